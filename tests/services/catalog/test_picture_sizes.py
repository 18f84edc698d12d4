"""Sizes of originals: so many are opened for one answer, and what is known is not opened again."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from shops import Place, shop

from services.catalog import duplicate_shown, picture_sizes
from services.catalog.catalog import Catalog
from services.catalog.duplicate_shown import NOT_COMPARED
from services.catalog.picture_sizes import PictureSizes
from services.images.decoder import Decoder
from services.images.intake import Intake
from services.records import Change


def drawing(seed: int, side: int) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC).resize((side, side)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def catalog(tmp_path: Path, decoder: Decoder) -> Iterator[Catalog]:
    """Three drawings, each on two products, of which the second has the larger picture."""
    with Place(tmp_path, decoder).opened() as catalogs:
        made = catalogs.create(shop())
        sides = (("small", 64), ("large", 96))
        made.apply([Change(f"{name}-{n}", image=drawing(n, side)) for n in range(3) for name, side in sides])
        yield made


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the originals that are opened, in whatever order."""
    lengths = list[int]()
    size = Intake.size

    def counted(self: Intake, data: bytes) -> Any:
        lengths.append(len(data))
        return size(self, data)

    monkeypatch.setattr(Intake, "size", counted)
    return lengths


def test_a_group_is_opened_as_a_whole_or_not_and_what_is_known_is_not_opened_again(
    catalog: Catalog, opened: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = [[catalog.get(f"{name}-{n}").image or "" for name in ("small", "large")] for n in range(3)]
    sizes = PictureSizes(catalog._intake)
    of_two = {image: size for group in groups[:2] for image, size in zip(group, ((64, 64), (96, 96)), strict=True)}
    assert sizes.of(groups, most=5) == of_two and len(opened) == 4
    assert sizes.of(groups, most=2).keys() == {image for group in groups for image in group}
    assert len(opened) == 6
    assert sizes.of([["0" * 64]], most=1) == {"0" * 64: None}
    monkeypatch.setattr(picture_sizes, "KEPT", 2)
    sizes.of(groups[1:2], most=0)
    assert sizes.of(groups, most=0) == {image: of_two[image] for image in groups[1]}, "those that were asked for last"


def test_a_page_opens_so_many_pictures_and_says_where_sizes_are_not_compared(
    catalog: Catalog, opened: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicate_shown, "MOST_OPENED", 2)
    catalog.duplicates.look()
    for compared in (1, 2, 3):
        page = catalog.duplicates.page(limit=1000)
        assert len(opened) == 2 * compared
        assert [each.why.endswith(NOT_COMPARED) for each in page.groups] == [False] * compared + [True] * (3 - compared)
        for each in page.groups[:compared]:
            assert each.why == "the largest picture (96 x 96)" and each.keep[0].startswith("large")
        for each in page.groups[compared:]:
            assert {(member.width, member.height) for member in each.members} == {(None, None)}
