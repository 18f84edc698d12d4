"""The products of a catalog along a direction."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shelf import of
from shelf import shelf as shelf

from services import bootstrap, settings
from services.catalog.axis import ordered, stops
from services.catalog.catalog import Catalog
from services.errors import DirectionNotFound, InvalidInput
from services.query.filters import parse
from services.testing import load_stub


@pytest.fixture(scope="module")
def catalog(shelf: Path) -> Iterator[Catalog]:
    with bootstrap.catalogs(settings.load(data=shelf), create=False, load=load_stub) as catalogs:
        yield catalogs.get("products")


def test_an_axis_reads_alike_from_both_ends(catalog: Catalog) -> None:
    down = ordered(catalog, "red", limit=100).stops
    assert [each.rank for each in down] == [*range(60, 0, -1)]
    assert {each.neighbor.attributes["color"] for each in down[:20]} == {"red"}
    assert [each.neighbor.score for each in down] == sorted((each.neighbor.score for each in down), reverse=True)
    up = ordered(catalog, "red", limit=100, reverse=True).stops
    assert [(each.rank, each.neighbor.product_id) for each in up] == [
        (each.rank, each.neighbor.product_id) for each in reversed(down)
    ]
    assert [each.neighbor.score for each in up] == pytest.approx([each.neighbor.score for each in reversed(down)])


@pytest.mark.parametrize(("count", "ranks"), [(2, [1, 60]), (5, [1, 16, 31, 45, 60]), (7, [1, 11, 21, 31, 40, 50, 60])])
def test_stops_are_at_even_ranks_with_both_ends(catalog: Catalog, count: int, ranks: list[int]) -> None:
    whole = {each.rank: each.neighbor for each in ordered(catalog, "red", limit=100).stops}
    found = stops(catalog, "red", count)
    assert (found.products, [each.rank for each in found.stops]) == (60, ranks)
    assert [each.neighbor.product_id for each in found.stops] == [whole[rank].product_id for rank in ranks]
    scores = [each.neighbor.score for each in found.stops]
    assert scores == sorted(scores) == pytest.approx([whole[rank].score for rank in ranks])


def test_stops_of_fewer_products_are_all_of_them(catalog: Catalog) -> None:
    few = parse({"must": [{"key": "n", "match": {"value": 3}}, {"key": "color", "match": {"value": "blue"}}]})
    found = stops(catalog, "red", 5, filter=few)
    assert (found.products, [each.rank for each in found.stops]) == (2, [1, 2])
    none = stops(catalog, "red", 5, filter=parse({"must": {"key": "n", "match": {"value": 99}}}))
    assert (none.products, none.stops) == (0, ())
    assert stops(catalog, "red", 3, filter=of("blue").filter).products == 20


@pytest.mark.parametrize("count", [1, 51])
def test_too_few_or_many_stops_are_refused(catalog: Catalog, count: int) -> None:
    with pytest.raises(InvalidInput, match=f"The stops {count} are refused; an axis has 2 to 50."):
        stops(catalog, "red", count)


def test_a_direction_that_is_not_there_is_told_of_an_empty_axis_too(catalog: Catalog) -> None:
    with pytest.raises(DirectionNotFound):
        stops(catalog, "blue", 5, filter=parse({"must": {"key": "n", "match": {"value": 99}}}))
