"""What was found of a catalog, whatever it is: when it is out of date."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from copies import product
from shelf import picture
from shops import Place, shop

from services.catalog.catalog import Catalog
from services.images.decoder import Decoder
from services.records import Change, State

APPLIED = State.APPLIED
COUNT = 36


@pytest.fixture
def catalog(tmp_path: Path, decoder: Decoder) -> Iterator[Catalog]:
    with Place(tmp_path, decoder).opened() as catalogs:
        made = catalogs.create(shop())
        for _ in made.put_embeddings(product(f"p{number}", number) for number in range(COUNT)):
            pass
        # The first picture gives a catalog its fingerprint.
        assert [each.state for each in made.apply([Change("first", image=picture("red", "sock", 1))])] == [APPLIED]
        yield made


def stale(catalog: Catalog) -> list[bool | None]:
    return [
        catalog.duplicates.page().stale,
        catalog.map.told()["stale"],
        catalog.outliers.page(None)["stale"],
    ]


def test_a_change_that_came_before_others_and_is_applied_after_them_makes_all_findings_stale(catalog: Catalog) -> None:
    """Given a change of a long feed, which one of a short one has overtaken, I expect what was found between both to be
    stale, though the highest version of the catalog is what it was."""
    catalog.duplicates.look()
    catalog.map.make()
    catalog.outliers.look(None)
    assert stale(catalog) == [False, False, False]
    highest = catalog.max_version()
    [outcome] = catalog.apply([Change("late", image=picture("red", "mug", 1), version=1)])
    assert (outcome.state, catalog.max_version()) == (APPLIED, highest)
    assert stale(catalog) == [True, True, True]
