"""Products that are removed together, over every index."""

import math
from typing import Any

import pytest

from services.catalog.catalog import Catalog
from services.catalog.removal import PAGE, Names, Removed, Since, checked_filter
from services.errors import InvalidFilter, InvalidInput
from services.index.vector_index import VectorIndex
from services.names import digest
from services.query.filters import parse
from services.records import Change, ChangeKind, Point, State
from services.testing import picture

RED = {"must": {"key": "color", "match": {"value": "red"}}}


def put(catalog: Catalog, *product_ids: str, color: str = "red") -> None:
    outcomes = list(
        catalog.put(Change(each, image=picture((200, 30, 30)), attributes={"color": color}) for each in product_ids)
    )
    assert {outcome.state for outcome in outcomes} <= {State.APPLIED, State.UNCHANGED}


def stored(catalog: Catalog) -> set[str]:
    return {point.product_id for point in catalog.points()}


def test_what_a_feed_does_not_name_any_more_is_removed(catalog: Catalog) -> None:
    put(catalog, *"abcd")
    since = catalog.begin()
    put(catalog, "a", "new")
    names = Names.of(["a", "b", "c", "new", "unknown"])
    assert catalog.remove_unnamed(names, since) == Removed(1)
    assert stored(catalog) == {"a", "b", "c", "new"}
    assert [(each.product_id, each.version) for each in catalog.tombstones()] == [("d", since.version)]
    assert catalog.remove_unnamed(names, since) == Removed(0), "again is harmless"


def test_what_came_after_the_feed_began_stays(catalog: Catalog) -> None:
    put(catalog, *"abcde")
    since = catalog.begin()
    put(catalog, "late")
    catalog.patch("b", {"x": 1})
    put(catalog, "c", color="blue")
    catalog.remove(["d"])
    assert catalog.remove_unnamed(Names.of(["a"]), since, max_removed=1) == Removed(1)
    assert stored(catalog) == {"a", "b", "c", "late"}


def test_a_product_that_is_put_again_while_it_is_removed_stays(catalog: Catalog, index: VectorIndex) -> None:
    """It was found before; the version decides when its deletion is written."""
    put(catalog, *"ab")
    since = catalog.begin()
    [found] = [page for page in catalog.removable(since.version) if page]
    put(catalog, "b", color="blue")
    deletes = [Change(each, ChangeKind.DELETE, version=since.version) for each in sorted(found)]
    assert [outcome.state for outcome in catalog.apply(deletes)] == [State.APPLIED, State.SUPERSEDED]
    assert stored(catalog) == {"b"}


@pytest.mark.parametrize(("named", "removed"), [(7, 3), (6, None)])
def test_if_too_many_would_go_none_does(catalog: Catalog, named: int, removed: int | None) -> None:
    ids = [f"p{number}" for number in range(10)]
    put(catalog, *ids)
    since = catalog.begin()
    put(catalog, *(f"other{number}" for number in range(100)))
    answer = catalog.remove_unnamed(Names.of(ids[:named]), since)
    assert answer == (Removed(0, "too_many_removed") if removed is None else Removed(removed))
    assert catalog.count() == 110 - (removed or 0)


def test_how_many_may_go_is_a_share_of_what_there_was() -> None:
    of = Since(1, 100)
    assert [of.most(share) for share in (0, 0.29, 0.3, 0.999, 1)] == [0, 29, 30, 99, None]
    assert Since(1, 0).most(0.5) == 0
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(InvalidInput, match="a share, from 0 to 1"):
            of.most(share)


def test_what_matches_a_filter_is_removed(catalog: Catalog) -> None:
    put(catalog, *"ab")
    put(catalog, *"cd", color="blue")
    assert catalog.remove_matching(parse(RED)) == Removed(2)
    assert stored(catalog) == {"c", "d"}
    assert catalog.remove_matching(parse(RED)) == Removed(0)


@pytest.mark.parametrize(
    "filter", [{}, {"must": []}, {"must": [{"should": []}]}, {"must_not": [{}], "should": {"must": {}}}]
)
def test_a_filter_without_a_condition_removes_nothing(catalog: Catalog, filter: Any) -> None:
    put(catalog, "a")
    with pytest.raises(InvalidFilter, match="remove the catalog instead"):
        catalog.remove_matching(parse(filter))
    assert catalog.count() == 1
    nested = {"must": [filter, {"must": {"is_empty": {"key": "x"}}}]}
    assert checked_filter(parse(nested)) == parse(nested)


def test_more_products_than_a_page_are_removed(index: VectorIndex, catalog: Catalog) -> None:
    put(catalog, "a")
    [vector] = [point.vector for point in catalog.points()]
    catalog.remove(["a"])
    ids = [f"p{number}" for number in range(PAGE * 2 + 7)]
    index.upsert([Point(each, 1, vector) for each in ids])
    catalog.purge(math.inf, below=None)
    assert catalog.remove_unnamed(Names.of(ids[::2]), Since(2, len(ids)), max_removed=1).removed == len(ids) // 2
    assert stored(catalog) == set(ids[::2])


def test_names_are_those_that_were_given() -> None:
    ids = [f"sku {number} é" for number in range(1000)]
    named = Names([b"".join(map(digest, ids[:300])), digest(ids[300]), *map(digest, ids[301:500])])
    assert named.without(ids) == ids[500:]
    assert named.without([]) == []
    assert Names([]).without(ids) == ids
