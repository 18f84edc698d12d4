"""A catalog to navigate: 60 products of three colors and two kinds, seen by a stub that sees colors."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services import bootstrap, settings
from services.catalog.definition import Definition, Side
from services.catalog.opening import new_spec
from services.query.filters import parse
from services.records import Change, State
from services.testing import load_stub

COLORS = {"red": (215, 40, 40), "green": (40, 190, 60), "blue": (40, 60, 215)}
KINDS = ("mug", "sock")
EACH = 10


def picture(color: str, kind: str, number: int) -> bytes:
    """A PNG of 4 x 4 cells of a color, each a little different; the middle ones of a sock are light."""
    random = np.random.default_rng([number, len(color), len(kind)])
    cells = np.clip(np.array(COLORS[color]) + random.normal(0, 30, (4, 4, 3)), 0, 255)
    if kind == "sock":
        cells[1:3, 1:3] = 235
    out = io.BytesIO()
    Image.fromarray(cells.astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)).save(out, "PNG")
    return out.getvalue()


def of(color: str) -> Side:
    return Side(parse({"must": [{"key": "color", "match": {"value": color}}]}))


CHANCE = tuple(
    f"{kind}-{color}-{number}"
    for at, (kind, color, number) in enumerate((k, c, n) for k in KINDS for c in COLORS for n in range(EACH))
    if np.random.default_rng(at).random() < 0.4
)
"""IDs that have nothing in common."""

RED = Definition(toward=of("red"), within="kind")


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the catalog `products` and its direction `red`, for tests that only read."""
    data = tmp_path_factory.mktemp("shelf") / "data"
    with bootstrap.catalogs(settings.load(data=data, decode_processes=1), load=load_stub) as catalogs:
        catalog = catalogs.create(new_spec("products", "efficientnet_lite0", "random:1", "nearest"))
        changes = [
            Change(
                f"{kind}-{color}-{number}",
                image=picture(color, kind, number),
                attributes={"color": color, "kind": kind, "n": number},
            )
            for color in COLORS
            for kind in KINDS
            for number in range(EACH)
        ]
        assert {each.state for each in catalog.put(changes)} == {State.APPLIED}
        catalog.directions.learn("red", RED)
    return data
