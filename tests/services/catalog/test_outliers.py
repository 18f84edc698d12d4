"""Outliers of a catalog: found among all products, kept with it, and shown as long as they are what they were."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shops import SECOND, Place, shop

from services.catalog import isolated as scanning
from services.catalog import mislabeled as judging
from services.catalog import outliers as keeping
from services.catalog.catalog import Catalog
from services.catalog.catalogs import Catalogs
from services.errors import Conflict, FindingNotFound, InvalidInput, LabelUnusable, TooFewProducts
from services.explore.outliers import Judge, Verdict, isolated_below
from services.images.decoder import Decoder
from services.records import Change, ChangeKind, Embedding, Vectors

KINDS = ("boot", "lamp", "mug")
COUNT = 90
WRONG = {"p3": "lamp", "p31": "mug"}
"""Products with another label than that of what they look like: a boot, and a lamp."""


@pytest.fixture
def catalogs(tmp_path: Path, decoder: Decoder) -> Iterator[Catalogs]:
    with Place(tmp_path, decoder).opened() as catalogs:
        yield catalogs


@pytest.fixture(params=["folder", "twin"])
def either(request: pytest.FixtureRequest, tmp_path: Path, twin_url: str, decoder: Decoder) -> Iterator[Catalogs]:
    """Catalogs in a folder, or on a server."""
    with Place(tmp_path, decoder, {"folder": "", "twin": twin_url}[request.param]).opened() as catalogs:
        yield catalogs


def embedding(number: int, **attributes: Any) -> Embedding:
    """Products of three kinds, thirty of each, and far from all others from there on."""
    # Three products each look much the same, so that none of them is alone.
    three, random = np.random.default_rng(number // 3), np.random.default_rng(1000 + number)
    features = np.abs(three.normal(1, 0.1, 1280) + random.normal(0, 0.03, 1280)).astype(np.float32)
    kind = number // 30
    features[200 * kind : 200 * kind + 200] *= 2 if number < COUNT else 0.2
    if number >= COUNT:
        features *= np.float32(random.random(1280) ** 4)
    labels = {"kind": KINDS[kind]} if number < COUNT else {}
    return Embedding(f"p{number}", features, {**labels, "n": number, **attributes})


def filled(catalogs: Catalogs, *more: Embedding) -> Catalog:
    catalog = catalogs.create(shop())
    wrong = [embedding(int(product_id[1:]), kind=kind) for product_id, kind in WRONG.items()]
    for _ in catalog.put_embeddings([*(embedding(number) for number in range(COUNT)), *wrong, *more]):
        pass
    return catalog


def ids(catalog: Catalog, label: str | None, **options: Any) -> list[str]:
    return [each["product_id"] for each in catalog.outliers.page(label, **options)["outliers"]]


def test_products_with_a_wrong_label_are_listed_with_what_they_look_like(either: Catalogs) -> None:
    odd = [Embedding("a", embedding(7).features, {}), embedding(8, kind=["boot", "mug"]), embedding(9, kind="boat")]
    catalog = filled(either, *odd)
    told: list[tuple[int, int]] = []
    finding = catalog.outliers.look("kind", lambda done, total: told.append((done, total)))
    assert (finding.name, finding.products, finding.cursor) == ("outliers:kind", COUNT + 1, None)
    assert told == sorted(told) and told[-1][0] == told[-1][1]
    page = catalog.outliers.page("kind")
    found = page.pop("outliers")  # type: ignore[misc]
    assert {each["product_id"]: (each["label"], each["looks_like"], each["disagreeing"]) for each in found} == {
        "p3": ("lamp", "boot", 1.0),
        "p31": ("mug", "lamp", 1.0),
    }
    assert [each["score"] for each in found] == sorted((each["score"] for each in found), reverse=True)
    assert found[0]["attributes"] == catalog.get(found[0]["product_id"]).attributes
    counts = {"judged": 88, "unlabeled": 1, "several_labels": 1, "rare_labels": 1, "rare": ["boat"], "found": 2}
    state = {"stale": False, "complete": True, "found_at": finding.found_at, "next": None}
    assert page == {"label": "kind", "products": COUNT + 1, **counts, **state}


def test_isolated_products_are_those_whose_nearest_one_is_no_good_match(either: Catalogs) -> None:
    catalog = filled(either, embedding(90), embedding(91))
    catalog.outliers.look(None)
    page = catalog.outliers.page(None)
    assert {each["product_id"] for each in page["outliers"]} == {"p90", "p91"}
    assert (page["label"], page["products"], page["judged"], page["found"]) == (None, COUNT + 2, COUNT + 2, 2)
    for each in page["outliers"]:
        [nearest] = catalog.neighbors(each["product_id"], limit=1)
        assert (each["nearest"], each["score"]) == (nearest.product_id, pytest.approx(nearest.score, abs=1e-5))
        assert each["percentile"] == nearest.percentile is not None and each["percentile"] < isolated_below(COUNT + 2)
    scores = [each["score"] for each in page["outliers"]]
    assert scores == sorted(scores)


def test_only_what_still_is_an_outlier_is_shown_and_changes_make_the_list_stale(catalogs: Catalogs) -> None:
    catalog = filled(catalogs)
    catalog.outliers.look("kind")
    [*catalog.put([Change("p3", ChangeKind.PATCH, attributes={"kind": "boot"})])]
    assert ids(catalog, "kind") == ["p31"] and catalog.outliers.page("kind")["stale"]
    catalog.remove(["p31"])
    assert ids(catalog, "kind") == []
    catalog.outliers.look("kind")
    assert ids(catalog, "kind") == [] and not catalog.outliers.page("kind")["stale"]


def test_a_product_with_another_picture_is_not_shown_any_more(catalogs: Catalogs) -> None:
    catalog = filled(catalogs)
    catalog.outliers.look("kind")
    [*catalog.put_embeddings([Embedding("p3", embedding(3).features, None, image="0" * 64)])]
    assert ids(catalog, "kind") == ["p31"]


def test_pages_and_values(catalogs: Catalogs) -> None:
    catalog = filled(catalogs)
    catalog.outliers.look("kind")
    first = catalog.outliers.page("kind", limit=1)
    assert first["next"]
    second = catalog.outliers.page("kind", limit=1, cursor=first["next"])
    both = [each["product_id"] for each in (*first["outliers"], *second["outliers"])]
    assert (sorted(both), second["next"]) == (["p3", "p31"], None)
    assert (ids(catalog, "kind", value="mug"), ids(catalog, "kind", value="boot")) == (["p31"], [])
    with pytest.raises(InvalidInput, match="cursor"):
        catalog.outliers.page("kind", cursor="x")
    [*catalog.put([Change("p31", ChangeKind.PATCH, attributes={"kind": "lamp"})])]
    catalog.outliers.look("kind")
    with pytest.raises(Conflict, match="looked for anew"):
        catalog.outliers.page("kind", limit=1, cursor=first["next"])


def test_what_cannot_be_looked_for_is_said_before_anything_is_looked_at(
    catalogs: Catalogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = filled(catalogs)
    for label, error, says in (
        ("a b", InvalidInput, "no attribute"),
        ("kinds", LabelUnusable, "perhaps kind is meant"),
        ("n", LabelUnusable, "Fewer than two values of n are those of 5"),
    ):
        with pytest.raises(error, match=says):
            catalog.outliers.look(label)
    monkeypatch.setattr(judging, "MOST_LABELS", 40)
    with pytest.raises(LabelUnusable, match="n has more than 40 values"):
        catalog.outliers.look("n")
    for label in ("kind", None):
        with pytest.raises(FindingNotFound, match="has not been looked through"):
            catalog.outliers.page(label)
    with pytest.raises(InvalidInput, match="value"):
        catalog.outliers.page(None, value="mug")
    other = catalogs.create(shop(SECOND, "few"))
    for label in ("kind", None):
        with pytest.raises((TooFewProducts, LabelUnusable)):
            other.outliers.look(label)


def at_product(number: int, do: Callable[[], object]) -> Callable[[], None]:
    """Does something when so many products, or pages, have been looked at."""
    count = [0]

    def check() -> None:
        count[0] += 1
        if count[0] == number:
            do()

    return check


class Ends(Exception):
    """The process ends."""


def end() -> None:
    raise Ends


def test_who_comes_after_an_end_goes_on_where_it_was(catalogs: Catalogs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "KEEP_SECONDS", 0.0)
    monkeypatch.setattr(scanning, "SHARE", 0.0)
    monkeypatch.setattr(scanning, "_PAGE", 10)
    catalog = filled(catalogs, embedding(90), embedding(91))
    with pytest.raises(Ends):
        catalog.outliers.look(None, check=at_product(45, end))
    partial = catalog.outliers.page(None)
    assert (partial["complete"], partial["products"]) == (False, 40)
    looked_at: list[None] = []
    catalog.outliers.look(None, check=lambda: looked_at.append(None))
    assert len(looked_at) == COUNT + 2 - 40
    page = catalog.outliers.page(None)
    assert (page["complete"], page["products"], set(ids(catalog, None))) == (True, COUNT + 2, {"p90", "p91"})
    with pytest.raises(Ends):
        catalog.outliers.look(None, check=at_product(45, end))
    assert catalog.outliers.page(None) == page, "the list that there is stays until there is another"
    monkeypatch.setattr(keeping, "GONE_ON_SECONDS", 0.0)
    looked_at.clear()
    catalog.outliers.look(None, check=lambda: looked_at.append(None))
    assert len(looked_at) == COUNT + 2, "what was left long ago is of another catalog"
    assert catalog.outliers.page(None)["outliers"] == page["outliers"]
    assert [each.name for each in catalog.findings.all()] == ["outliers"]


def test_who_changes_between_the_readings_is_not_judged(catalogs: Catalogs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Judged without ever having been added, it would be taken out of sums that it is not in."""
    monkeypatch.setattr(judging, "_PAGE", 30)
    catalog = filled(catalogs)

    def relabel() -> None:
        [*catalog.put([Change(f"p{number}", ChangeKind.PATCH, attributes={"kind": "mug"}) for number in (4, 5)])]

    judged: list[str] = []
    verdicts = Judge.verdicts

    def counted(self: Judge, labels: list[str], at: Vectors) -> list[Verdict | None]:
        judged.extend(labels)
        return verdicts(self, labels, at)

    monkeypatch.setattr(Judge, "verdicts", counted)
    catalog.outliers.look("kind", check=at_product(COUNT // 30, relabel))
    assert len(judged) == COUNT - 2
    assert set(ids(catalog, "kind")) == set(WRONG) and catalog.outliers.page("kind")["stale"]


def test_a_list_of_other_vectors_is_stale(catalogs: Catalogs) -> None:
    catalog = filled(catalogs)
    finding = catalog.outliers.look("kind")
    assert not catalog.outliers.page("kind")["stale"]
    catalog.findings.keep(replace(finding, fingerprint="another"), catalog.findings.read(finding))
    assert catalog.outliers.page("kind")["stale"] and set(ids(catalog, "kind")) == set(WRONG)
