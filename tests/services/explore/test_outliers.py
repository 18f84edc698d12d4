"""Outliers: who is unlike its own label is found, whatever labels are called, and its own weight does not save it."""

import numpy as np
import pytest

from services.explore import outliers
from services.explore.outliers import FEWEST, SHRUNK, Sums, Verdict, isolated_below
from services.query.geometry import places
from services.records import Vectors

DIM = 12
LABELS = ("boot", "lamp", "mug")


def crowd(each: int = 20, seed: int = 0, spread: float = 0.25) -> tuple[list[str], Vectors]:
    """Labels and vectors of length one of as many products of each label, around a middle of its own."""
    random = np.random.default_rng(seed)
    rows = [np.eye(DIM)[at] + random.normal(0, spread, (each, DIM)) for at in range(len(LABELS))]
    return [label for label in LABELS for _ in range(each)], places(np.concatenate(rows).astype(np.float32), None)


def judged(labels: list[str], at: Vectors, page: int = 7) -> list[Verdict | None]:
    sums = Sums(at.shape[1])
    for start in range(0, len(labels), page):
        sums.add(labels[start : start + page], at[start : start + page])
    judge = sums.judge()
    assert judge
    pages = range(0, len(labels), page)
    return [each for start in pages for each in judge.verdicts(labels[start : start + page], at[start : start + page])]


def scores(found: list[Verdict | None]) -> list[float]:
    assert all(found)
    return [each.score for each in found if each]


def brute(labels: list[str], at: Vectors, row: int) -> Verdict:
    """The verdict on one product by middles and a spread in which it is not."""
    names, x = np.array(labels), at.astype(np.float64)
    own = names[row]
    middles = {label: x[names == label].mean(axis=0) for label in LABELS}
    within = sum(np.outer(d, d) for d in (x[i] - middles[names[i]] for i in range(len(names))))
    freedom = len(names) - len(LABELS)
    even = np.trace(within) / freedom / DIM  # how wide the spread is is that of all products
    others = (names == own) & (np.arange(len(names)) != row)
    before, middles[own] = x[names == own] - middles[own], x[others].mean(axis=0)
    after = x[others] - middles[own]
    within = within - before.T @ before + after.T @ after
    inverse = np.linalg.inv((1 - SHRUNK) * within / freedom + SHRUNK * even * np.eye(DIM))
    squared = {label: (x[row] - middle) @ inverse @ (x[row] - middle) for label, middle in middles.items()}
    best = min((label for label in LABELS if label != own), key=lambda label: squared[label])
    return Verdict(best, (squared[own] - squared[best]) / 2)


def test_the_product_with_a_wrong_label_is_found_and_says_what_it_looks_like() -> None:
    labels, at = crowd()
    assert max(scores(judged(labels, at))) < 0
    labels[3] = "lamp"
    found = judged(labels, at)
    assert int(np.argmax(scores(found))) == 3 and found[3] and found[3].looks_like == "boot" and found[3].score > 0


def test_a_product_is_in_nothing_that_it_is_judged_by() -> None:
    labels, at = crowd(each=6, spread=0.4)
    labels[1] = "mug"
    found = judged(labels, at)
    for row in range(len(labels)):
        expected, told = brute(labels, at, row), found[row]
        assert told and told.looks_like == expected.looks_like
        assert told.score == pytest.approx(expected.score, abs=1e-3, rel=1e-3)


def test_one_that_is_alone_far_from_its_own_label_is_not_saved_by_its_own_weight() -> None:
    """With it, a fifth of its label, the middle of that is nearer than any other, and the spread wide where it lies."""
    labels, at = ["boot"] * 5 + ["lamp"] * 30, np.zeros((35, DIM), np.float32)
    random = np.random.default_rng(5)
    at[:5, 0], at[5:, 1], at[4, 1] = 1, 1, 1
    at = places(at + random.normal(0, 0.05, at.shape).astype(np.float32), None)
    found = judged(labels, at)
    assert found[4] and found[4].score > 0 and max(each.score for each in found[:4] if each) < 0


def test_other_names_change_nothing() -> None:
    labels, at = crowd()
    labels[3], labels[45] = "lamp", "boot"
    named = {"boot": "z", "lamp": "ä ö", "mug": "0"}
    found, other = judged(labels, at), judged([named[each] for each in labels], at)
    assert scores(other) == pytest.approx(scores(found), abs=1e-3, rel=1e-3)
    assert [each and named[each.looks_like] for each in found] == [each and each.looks_like for each in other]


def test_the_order_of_products_and_pages_does_not_matter() -> None:
    labels, at = crowd()
    order = np.random.default_rng(1).permutation(len(labels))
    found = judged([labels[each] for each in order], at[order], page=11)
    expected = judged(labels, at)
    assert scores(found) == pytest.approx([scores(expected)[each] for each in order], abs=1e-3, rel=1e-3)


def test_what_all_products_have_in_common_does_not_matter_once_its_mean_is_known() -> None:
    labels, at = crowd()
    mean = np.random.default_rng(2).normal(2, 1, DIM).astype(np.float32)
    assert scores(judged(labels, places(at + mean, mean))) == pytest.approx(scores(judged(labels, at)), abs=1e-2)


def test_labels_of_too_few_products_are_neither_judged_nor_looked_like() -> None:
    labels, at = crowd()
    # The rare one lies where the product with the wrong label does.
    labels[: FEWEST - 1], labels[FEWEST] = ["rare"] * (FEWEST - 1), "lamp"
    found = judged(labels, at)
    assert found[: FEWEST - 1] == [None] * (FEWEST - 1)
    assert {each.looks_like for each in found if each} == set(LABELS)
    labels[FEWEST - 1] = "rare"
    assert judged(labels, at)[0] is not None


def test_one_label_is_none_to_compare_with() -> None:
    _, at = crowd()
    sums = Sums(DIM)
    sums.add(["a"] * FEWEST + ["b"] * (FEWEST - 1), at[: 2 * FEWEST - 1])
    assert sums.judge() is None and sums.counts == {"a": FEWEST, "b": FEWEST - 1}


def test_products_that_are_all_the_same_are_judged() -> None:
    at = places(np.eye(2, dtype=np.float32).repeat(6, axis=0), None)
    labels = ["a"] * 6 + ["b"] * 6
    assert all(score < 0 for score in scores(judged(labels, at)))


def test_most_planted_mistakes_come_first() -> None:
    """A wrong label at random, of each twentieth product: the area under the ROC curve is the share of pairs of a wrong
    one and a right one in which the wrong one has the higher score."""
    labels, at = crowd(each=60, spread=0.35)
    wrong = np.random.default_rng(4).permutation(len(labels))[:9]
    for row in wrong:
        labels[row] = LABELS[(LABELS.index(labels[row]) + 1) % len(LABELS)]
    found = np.array(scores(judged(labels, at)))
    right = np.delete(found, wrong)
    assert (found[wrong][:, np.newaxis] > right).mean() >= 0.95


def test_the_module_keeps_nothing_of_products() -> None:
    labels, at = crowd()
    sums = Sums(DIM)
    for _ in range(50):
        sums.add(labels, at)
    held = [sums._products, *sums._sums.values()]
    assert sum(each.size for each in held) == DIM * DIM + len(LABELS) * DIM
    assert len(LABELS) <= outliers.MOST_LABELS


def test_what_is_isolated_in_a_small_catalog_is_what_would_be_rare_by_chance() -> None:
    """Of so many points at random, hardly any is alone by that rule."""
    assert [isolated_below(products) for products in (1, 2, 201, 2001, 100_000)] == [0.0, 0.0, 90.0, 99.0, 99.0]
    random = np.random.default_rng(7)
    shares = []
    for _ in range(20):
        at = places(random.normal(0, 1, (60, DIM)).astype(np.float32), None)
        scores = at @ at.T
        np.fill_diagonal(scores, -1)
        pairs = np.sort(scores[np.triu_indices(60, 1)])
        percentiles = 100 * np.searchsorted(pairs, scores.max(axis=1)) / len(pairs)
        shares.append((percentiles < isolated_below(60)).mean())
    assert np.mean(shares) < 0.02
