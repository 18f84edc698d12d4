"""The regions of a map, and what they are called."""

from collections.abc import Iterator

import numpy as np
import pytest

from services.explore.regions import NO_REGION, Region, regions_of

MIDDLES = np.array([[8000, 9000], [50_000, 12_000], [30_000, 55_000]])


def points(each: int = 60, spread: float = 900) -> np.ndarray:  # type: ignore[type-arg]
    random = np.random.default_rng(0)
    return np.concatenate([middle + random.normal(0, spread, (each, 2)) for middle in MIDDLES]).astype(np.uint16)


def test_regions_are_named_after_what_most_of_their_products_have_and_few_others() -> None:
    kind = ["mug"] * 60 + ["sock"] * 60 + ["sofa"] * 60
    pattern = ["plain"] * 60 + (["floral"] * 50 + ["plain"] * 10) + ["plain", "striped"] * 30
    stock: list[str | None] = ["yes"] * 180
    stock[3] = None
    labels, regions = regions_of(points(), {"kind": kind, "pattern": pattern, "stock": stock})
    assert [(each.name, each.products) for each in regions] == [
        ("plain mug", 60),
        ("floral sock", 60),
        ("striped sofa", 60),
    ]
    for number, region in enumerate(regions):
        assert (labels[number * 60 : number * 60 + 60] == number).all()
        assert np.abs(np.array([region.x, region.y]) - MIDDLES[number]).max() < 1000


def test_a_region_that_has_nothing_in_common_has_no_name() -> None:
    labels, regions = regions_of(points(), {"color": [f"c{row % 9}" for row in range(180)]})
    assert [each.name for each in regions] == ["", "", ""] and set(labels.tolist()) == {0, 1, 2}
    assert regions_of(points(), {})[1] == regions


def test_parts_of_one_name_that_touch_are_one_region_and_a_few_strays_are_none() -> None:
    line = np.stack([np.linspace(5000, 60_000, 400), np.full(400, 20_000)], axis=1)
    hats = np.full((300, 2), 50_000)
    stray = np.array([[5000, 60_000]])
    kinds = {"kind": ["belt"] * 400 + ["hat"] * 301}
    labels, regions = regions_of(np.concatenate([line, hats, stray]).astype(np.uint16), kinds)
    assert [(each.name, each.products) for each in regions] == [("belt", 400), ("hat", 300)]
    assert labels.tolist() == [0] * 400 + [1] * 300 + [NO_REGION]
    assert regions_of(np.zeros((0, 2), np.uint16), {})[1] == ()


def test_one_place_is_one_region() -> None:
    same = np.full((5, 2), 32_768, np.uint16)
    labels, regions = regions_of(same, {"kind": ["mug", "mug", "mug", "mug", "sock"]})
    assert labels.tolist() == [0] * 5 and [each.products for each in regions] == [5]
    assert regions[0] == Region(regions[0].name, 32_768, 32_768, 5)


def test_whoever_is_to_stop_is_asked_at_each_step_and_stops_there() -> None:
    """Given three peaks of different kinds, I expect to be asked before each of two attributes is counted, before both
    are looked at for the name of each peak (and one of them again for a second word) and of each region."""
    columns = {key: ["mug"] * 60 + ["sock"] * 60 + ["sofa"] * 60 for key in ("kind", "name")}
    steps: list[int] = []
    regions_of(points(), columns, lambda: steps.append(1))
    assert len(steps) == 2 + 3 * 3 + 1 + 3 * 3

    class Stopped(Exception):
        pass

    for asked in range(1, len(steps) + 1):
        left = iter(range(asked - 1))

        def check(left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Stopped

        with pytest.raises(Stopped):
            regions_of(points(), columns, check)
