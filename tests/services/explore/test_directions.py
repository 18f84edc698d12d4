"""A direction leads from what it was learned against to what it was learned from, inside categories."""

import numpy as np
import numpy.typing as npt
import pytest

from services.errors import DirectionWeak, TooFewExamples
from services.explore import directions
from services.explore.directions import Direction, Examples, Space, learned, usable

DIM = 48
COLORS = 40
"""Where the color part of the made vectors begins."""
PLAIN = [Space(DIM)]
Floats = npt.NDArray[np.float32]


def unit(rows: npt.NDArray[np.floating]) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def axis(number: int) -> Floats:
    return np.eye(DIM, dtype=np.float32)[number]


def made(count: int, shift: Floats, seed: int, categories: int = 3, spread: float = 0.15) -> tuple[Floats, list[str]]:
    """Products of categories that are far apart, each moved by `shift`."""
    random = np.random.default_rng(seed)
    which = np.arange(count) % categories
    centers = unit(np.random.default_rng(99).standard_normal((categories, DIM)))
    noise = spread * random.standard_normal((count, DIM)) / np.sqrt(DIM / 8)
    return unit(centers[which] + shift + noise), [f"category {each}" for each in which]


def examples(count: int = 60, shift: Floats | None = None, seed: int = 0) -> Examples:
    shift = 0.2 * axis(7) if shift is None else shift
    positives, of_positives = made(count, shift, 2 * seed + 1)
    negatives, of_negatives = made(count, -shift, 2 * seed + 2)
    return Examples(positives, negatives, of_positives, of_negatives)


def test_a_direction_is_what_the_sides_differ_in_and_the_same_again() -> None:
    found, again = (learned(examples(), PLAIN) for _ in range(2))
    assert found.vector.dtype == np.float32
    assert np.linalg.norm(found.vector) == pytest.approx(1, abs=1e-6)
    assert found.vector @ axis(7) > 0.95
    assert (found.quality, found.positives, found.negatives, found.categories) == ("good", 60, 60, 3)
    assert found.auc == again.auc > 0.9
    np.testing.assert_array_equal(found.vector, again.vector)


def test_a_direction_turns_around_with_its_sides() -> None:
    one = examples()
    other = Examples(one.negatives, one.positives, one.negative_categories, one.positive_categories)
    np.testing.assert_allclose(learned(other, PLAIN).vector, -learned(one, PLAIN).vector, atol=1e-5)


def test_what_is_of_a_category_is_not_learned_as_the_difference() -> None:
    """Given positives that are mostly of one category and negatives of another, I expect the difference that both
    categories have inside, not that between the categories; without categories it would be that one."""
    positives, _ = made(80, 0.12 * axis(7), 1, categories=2)
    negatives, _ = made(80, -0.12 * axis(7), 2, categories=2)
    # Even rows are of the first category, odd ones of the second.
    positives = np.concatenate([positives[0::2], positives[1:20:2]])
    negatives = np.concatenate([negatives[1::2], negatives[0:20:2]])
    of_positives, of_negatives = ["a"] * 40 + ["b"] * 10, ["b"] * 40 + ["a"] * 10
    inside = learned(Examples(positives, negatives, of_positives, of_negatives), PLAIN)
    blind = learned(Examples(positives, negatives, [None] * 50, [None] * 50), PLAIN)
    assert inside.vector @ axis(7) > 0.85 > 0.8 > blind.vector @ axis(7)


def test_examples_of_categories_that_one_side_lacks_are_not_used() -> None:
    one = examples()
    lonely, _ = made(30, 0.9 * axis(3), 9)
    more = Examples(
        np.concatenate([one.positives, lonely]), one.negatives, [*one.positive_categories, *["lonely"] * 30],
        one.negative_categories,
    )  # fmt: skip
    found = learned(more, PLAIN)
    np.testing.assert_array_equal(found.vector, learned(one, PLAIN).vector)
    assert (found.positives, found.negatives, found.categories) == (60, 60, 3)


@pytest.mark.parametrize("count", [20, 47, 49, 200])
def test_the_smaller_side_of_the_system_gives_the_same_direction(count: int) -> None:
    """Solved as the formula says it: (0.2 covariance + 0.8 mean variance) w = difference. Fewer examples than numbers
    and more go different ways."""
    both = examples(count // 2 + 1)
    every = np.concatenate([both.positives, both.negatives]).astype(np.float64)
    names = np.array([*both.positive_categories, *both.negative_categories])
    residuals = every.copy()
    for name in set(names):
        residuals[names == name] -= every[names == name].mean(axis=0)
    covariance = residuals.T @ residuals / len(residuals)
    shrunk = 0.2 * covariance + 0.8 * np.trace(covariance) / DIM * np.eye(DIM)
    expected = np.linalg.solve(shrunk, residuals[: len(both.positives)].sum(axis=0))
    np.testing.assert_allclose(learned(both, PLAIN).vector, unit(expected), atol=1e-5)


def test_the_quality_is_that_of_examples_that_were_held_out() -> None:
    """Given sides that differ in nothing, I expect chance, although so many numbers fit these examples perfectly."""
    random = np.random.default_rng(3)
    aucs = []
    for _ in range(5):
        noise = unit(random.standard_normal((60, DIM)))
        aucs.append(learned(Examples(noise[:30], noise[30:], [None] * 30, [None] * 30), PLAIN).auc)
    assert 0.35 < np.mean(aucs) < 0.65


def test_a_pair_of_a_category_is_held_out_together() -> None:
    """Given categories of one example on each side, I expect pairs to compare, and all of them won."""
    random = np.random.default_rng(0)
    centers = unit(random.standard_normal((12, DIM)))
    names = [str(each) for each in range(12)]
    found = learned(Examples(unit(centers + 0.3 * axis(7)), unit(centers - 0.3 * axis(7)), names, names), PLAIN)
    assert (found.auc, found.categories) == (1.0, 12)


def test_too_few_examples_are_refused_and_only_those_of_common_categories_count() -> None:
    positives, names = made(30, 0.2 * axis(7), 1)
    negatives, _ = made(9, -0.2 * axis(7), 2)
    with pytest.raises(TooFewExamples, match=r"10 examples on each side, .* there are 30 for it and 9 against"):
        learned(Examples(positives, negatives, names, [*names[:9]]), PLAIN)
    with pytest.raises(TooFewExamples, match="there are 0 for it and 0 against: name more"):
        learned(Examples(positives, positives, names, ["another"] * 30), PLAIN)


def test_sides_that_are_the_same_have_no_direction() -> None:
    same = np.tile(axis(0), (12, 1))
    with pytest.raises(DirectionWeak, match="look the same"):
        learned(Examples(same, same, [None] * 12, [None] * 12), PLAIN)


@pytest.mark.parametrize(("auc", "quality"), [(0.85, "good"), (0.849, "weak"), (0.65, "weak"), (0.649, "unusable")])
def test_a_direction_is_called_good_weak_or_unusable_by_its_quality(auc: float, quality: str) -> None:
    found = Direction(axis(0), PLAIN[0], auc, 10, 10, 1)
    assert found.quality == quality
    if quality == "unusable":
        with pytest.raises(DirectionWeak, match=r"The quality of red is 0\.649, .* or force it; 0\.65 is"):
            usable(found, "red")
    else:
        assert usable(found, "red") is found


def test_a_step_of_nothing_is_the_query_and_steps_lead_to_the_side_they_are_towards() -> None:
    found = learned(examples(), PLAIN)
    query = examples(seed=4).negatives[0]
    np.testing.assert_allclose(found.stepped(query, 0), query, atol=1e-6)
    positions = [float(found.stepped(query, amount) @ found.vector) for amount in (-1.0, 0.0, 0.25, 1.0, 4.0)]
    assert positions == sorted(positions)
    stepped = query + 2 * found.vector
    np.testing.assert_allclose(found.stepped(query, 1), stepped / np.linalg.norm(stepped), atol=1e-6)


def test_a_step_in_a_space_of_colors_ranks_stored_vectors_as_that_space_does() -> None:
    """What is sent has the other root of the weight, so that its cosine with stored vectors, whose parts have lengths
    that are the same for all, orders them as both being scaled would."""
    random = np.random.default_rng(5)
    parts = unit(random.standard_normal((200, COLORS))), unit(random.standard_normal((200, DIM - COLORS)))
    stored = unit(np.hstack([parts[0], np.sqrt(np.float32(0.1)) * parts[1]]))
    space = Space(COLORS, 5.0)
    found = Direction(unit(random.standard_normal(DIM)), space, 0.9, 10, 10, 1)
    sent = found.stepped(stored[0], 0.7)
    assert np.linalg.norm(sent) == pytest.approx(1, abs=1e-6)
    there = space.scaled(stored) @ (space.scaled(stored[0]) + 1.4 * found.vector)
    assert [*np.argsort(-(stored @ sent))] == [*np.argsort(-there)]


def test_a_color_weight_is_taken_only_where_it_tells_more_apart() -> None:
    spaces = [Space(COLORS), Space(COLORS, 5.0)]
    of_layers, of_color = (examples(shift=0.15 * axis(number)) for number in (7, COLORS + 2))
    assert learned(of_layers, spaces).space.weight == 1
    faint = examples(shift=0.03 * axis(COLORS + 2))
    assert learned(of_color, spaces).auc > 0.95
    assert learned(faint, spaces).auc >= learned(faint, spaces[:1]).auc


def test_a_space_is_worth_what_it_gains() -> None:
    """Given a color that layers hide, I expect the weight that brings it out; whichever stands first, if both do."""
    random = np.random.default_rng(7)

    def side(sign: float) -> Floats:
        rows = random.standard_normal((40, DIM))
        rows[:, COLORS:] *= 0.03
        rows[:, COLORS] += sign * 0.03
        return unit(rows)

    hidden = Examples(side(1), side(-1), [None] * 40, [None] * 40)
    plain, heavy = (learned(hidden, [Space(COLORS, weight)]) for weight in (1.0, 400.0))
    assert heavy.auc > plain.auc + directions.GAIN
    assert learned(hidden, [plain.space, heavy.space]).space == heavy.space
    assert learned(hidden, [heavy.space, heavy.space]).space == heavy.space
