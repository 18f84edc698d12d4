"""The map of a catalog: stable while products come and go, laid out once, kept with the catalog."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services import bootstrap, settings
from services.catalog import mapping
from services.catalog.catalog import Catalog
from services.catalog.map import Standing, to_bytes
from services.catalog.map_reader import MAP, SUMMARY
from services.catalog.mapping import NEXT
from services.catalog.opening import new_spec
from services.descriptions import AttributeKind
from services.errors import FindingNotFound, TooFewProducts
from services.explore.layout import ROUNDS
from services.explore.regions import NO_REGION
from services.failpoints import enabled
from services.records import Embedding, State
from services.testing import load_stub

DIM = 1280
KINDS = ("mug", "sock", "sofa")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with bootstrap.catalogs(settings.load(data=tmp_path / "data", decode_processes=1), load=load_stub) as catalogs:
        made = catalogs.create(new_spec("products", "efficientnet_lite0", "random:1", "nearest"))
        made.declare({"kind": AttributeKind.KEYWORD})
        yield made


def embedding(number: int, kind: int | None = None) -> Embedding:
    kind = number % len(KINDS) if kind is None else kind
    middle = np.random.default_rng(kind).normal(size=DIM)
    features = middle + 0.3 * np.random.default_rng([7, number]).normal(size=DIM)
    return Embedding(f"p{number}", features.astype(np.float32), {"kind": KINDS[kind], "price": number / 2})


def put(catalog: Catalog, embeddings: Iterable[Embedding]) -> None:
    assert {each.state for each in catalog.put_embeddings(embeddings)} == {State.APPLIED}


def places(standing: Standing) -> dict[str, tuple[int, int]]:
    return {id: (int(x), int(y)) for id, (x, y) in zip(standing.product_ids, standing.points, strict=True)}


def test_products_that_stay_keep_their_places_bit_for_bit(catalog: Catalog) -> None:
    put(catalog, map(embedding, range(60)))
    made = catalog.map.make()
    kept = catalog.map.read(catalog.map.found())
    # The last bit of a place depends on the machine, so it may be another one on the next.
    catalog.findings.keep(catalog.map.found(), to_bytes(replace(kept, points=kept.points ^ 1)))
    before = places(catalog.map.standing())
    assert (made["version"], made["products"], made["stale"]) == (1, 60, False)
    assert sorted((each["name"], each["products"]) for each in made["clusters"]) == [(kind, 20) for kind in KINDS]

    put(catalog, map(embedding, range(60, 90)))
    catalog.remove(["p3", "p4"])
    catalog.patch("p5", {"price": 7})
    put(catalog, [embedding(0, kind=1)])
    assert catalog.map.told()["stale"]
    made = catalog.map.make()
    after = places(catalog.map.standing())
    assert (made["version"], made["products"], made["stale"]) == (1, 88, False)
    assert before.keys() - after.keys() == {"p3", "p4"}
    stayed = before.keys() & after.keys() - {"p0", "p5"}
    assert {id: after[id] for id in stayed} == {id: before[id] for id in stayed}
    assert after["p0"] != before["p0"]  # it has another vector
    # It has no image by which it could be known that its vector is the same, so it was placed again.
    assert np.abs(np.subtract(after["p5"], before["p5"])).max() <= 3
    kinds = {f"p{number}": number % 3 for number in range(90)} | {"p0": 1}
    ids, at = list(after), np.array(list(after.values()), float)
    apart = np.square(at[:, None] - at).sum(axis=-1) + np.eye(len(ids)) * 1e18
    assert [kinds[ids[row]] for row in apart.argmin(axis=1)] == [kinds[id] for id in ids]


def test_a_thousand_new_products_move_none_of_the_old_and_are_placed(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So few landmarks are laid out quickly; most of the old products are then placed among them, too.
    monkeypatch.setattr(mapping, "LANDMARKS", 60)
    put(catalog, map(embedding, range(1100)))
    catalog.map.make()
    before = places(catalog.map.standing())
    put(catalog, map(embedding, range(1100, 2100)))
    made = catalog.map.make()
    standing = catalog.map.standing()
    after = places(standing)
    assert (made["version"], made["products"], len(after)) == (1, 2100, 2100)
    assert {id: after[id] for id in before} == before
    # Each new product stands in the region that is named after its kind.
    names = [standing.regions[label].name if label != NO_REGION else "" for label in standing.labels]
    new = [(id, name) for id, name in zip(standing.product_ids, names, strict=True) if id not in before]
    placed = sum(name == KINDS[int(id[1:]) % len(KINDS)] for id, name in new)
    assert len(new) == 1000 and placed >= 990


def test_a_map_is_laid_out_anew_where_that_is_asked_for_or_the_catalog_has_twice_as_many(catalog: Catalog) -> None:
    put(catalog, map(embedding, range(20)))
    first = catalog.map.make()
    assert catalog.map.make()["version"] == 1
    again = catalog.map.make(anew=True)
    assert (first["version"], again["version"]) == (1, 2)
    put(catalog, map(embedding, range(20, 40)))
    assert (catalog.map.make()["version"], catalog.map.make()["version"]) == (3, 3)
    catalog.remove([f"p{number}" for number in range(20)])
    assert catalog.map.make()["version"] == 4


def test_a_layout_is_kept_although_placing_was_interrupted(catalog: Catalog) -> None:
    put(catalog, map(embedding, range(30)))
    catalog.map.make()
    shown = places(catalog.map.standing())
    put(catalog, map(embedding, range(30, 60)))
    reports: list[int] = []

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError), enabled("map_laid_out", stop):
        catalog.map.make(report=lambda done, total: reports.append(done))
    assert (reports[0], reports[-1]) == (0, ROUNDS)
    assert [each.name for each in catalog.findings.all()] == [MAP, NEXT, SUMMARY]
    assert places(catalog.map.standing()) == shown

    reports.clear()
    made = catalog.map.make(report=lambda done, total: reports.append(done))
    assert min(reports) > ROUNDS and (made["version"], made["products"]) == (2, 60)
    assert [each.name for each in catalog.findings.all()] == [MAP, SUMMARY]


def test_a_canceled_layout_leaves_nothing(catalog: Catalog) -> None:
    put(catalog, map(embedding, range(10)))
    checks: list[int] = []

    def stop() -> None:
        checks.append(1)
        if len(checks) > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        catalog.map.make(check=stop)
    assert catalog.findings.all() == ()
    with pytest.raises(FindingNotFound, match="Catalog products has no map yet"):
        catalog.map.told()


def test_whoever_stops_while_clusters_get_their_names_is_heeded_and_the_layout_stays(catalog: Catalog) -> None:
    put(catalog, map(embedding, range(10)))
    named: list[int] = []

    def stop() -> None:
        if named:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), enabled("map_named", lambda: named.append(1)):
        catalog.map.make(check=stop)
    assert named == [1] and [each.name for each in catalog.findings.all()] == [NEXT]


def test_an_empty_catalog_has_no_map_and_one_or_two_products_have(catalog: Catalog) -> None:
    with pytest.raises(TooFewProducts, match="Catalog products has no products"):
        catalog.map.make()
    put(catalog, [embedding(0)])
    assert catalog.map.make()["products"] == 1
    assert places(catalog.map.standing()) == {"p0": (32768, 32768)}
    put(catalog, [embedding(1)])
    catalog.map.make()
    two = places(catalog.map.standing())
    assert len(set(two.values())) == 2


def test_a_column_has_what_products_have_now_in_the_order_of_the_map(catalog: Catalog) -> None:
    put(catalog, map(embedding, range(8)))
    catalog.map.make()
    ids = catalog.map.standing().product_ids
    catalog.patch("p2", {"kind": None, "price": "much"})
    catalog.remove(["p3"])
    kinds: list[Any] = [KINDS[int(id[1:]) % 3] if id not in ("p2", "p3") else None for id in ids]
    column = catalog.map.column("kind", ids)
    assert (column.kind, column.cells(), set(column.values)) == ("keyword", kinds, set(KINDS))
    texts = catalog.map.column("price", ids)  # one is no number, and it is not declared
    assert texts.kind == "keyword" and texts.cells()[ids.index("p1")] == "0.5"
    catalog.patch("p2", {"price": 1e300})
    numbers = catalog.map.column("price", ids)
    assert numbers.kind == "number" and np.isnan(numbers.numbers[ids.index("p3")])
    assert numbers.numbers[ids.index("p2")] == np.finfo(np.float32).max
    assert catalog.map.column("nothing", ids).cells() == [None] * 8


def test_a_map_that_was_lost_is_made_again(catalog: Catalog) -> None:
    put(catalog, map(embedding, range(5)))
    catalog.map.make()
    found = catalog.findings.find(MAP)
    assert found
    catalog.findings.keep(found, b"no map")
    with pytest.raises(FindingNotFound, match="damaged"):
        catalog.map.standing()
    made = catalog.map.make()
    # Whoever knows the places of the first layout is told that these are others.
    assert (made["products"], made["version"]) == (5, 2)
    assert len(catalog.map.standing().product_ids) == 5


def test_a_summary_is_read_apart_from_the_map_and_where_it_was_lost_out_of_it(catalog: Catalog) -> None:
    put(catalog, map(embedding, range(30)))
    told = catalog.map.make()
    found, summary = (catalog.findings.described(name) for name in (MAP, SUMMARY))
    assert found and summary and told["clusters"]
    catalog.findings.keep(summary, b"no summary")
    assert catalog.map.told() == told
    catalog.findings.keep_all([(found, b"no map"), (summary, catalog.findings.read(summary))])
    damaged = catalog.findings.described(MAP)
    assert damaged and catalog.map.told() == {**told, "hash": damaged.object}


def test_a_summary_of_another_map_is_not_taken_for_its_own(catalog: Catalog) -> None:
    """Given a description that was put together out of two, I expect what is told to be of the map that it names."""
    put(catalog, map(embedding, range(9)))
    catalog.map.make()
    other = catalog.findings.described(SUMMARY)
    assert other
    data = catalog.findings.read(other)
    put(catalog, [embedding(9)])
    told = catalog.map.make(anew=True)
    catalog.findings.keep(other, data)
    assert (catalog.map.told(), told["version"], told["products"]) == (told, 2, 10)
