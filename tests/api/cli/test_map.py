"""`lookalike map`: over a folder and over a service, as a picture and as a table."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from beside import beside
from shelf import COLORS, EACH, KINDS
from shelf import shelf as shelf

from api.cli.map_colors import NO_COLOR, OWN, PALETTE, RAMP, key_of
from api.cli.map_picture import BUDGET, EDGE, WIDTH, picture
from services.catalog.map import Standing
from services.catalog.map_columns import Column
from services.errors import MediaNotFound
from services.explore.regions import NO_REGION, Region
from services.testing import load_stub

Run = Callable[..., tuple[int, dict[str, Any]]]
Refused = Callable[..., str]

COUNT = len(COLORS) * len(KINDS) * EACH
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</title><script>alert(1)</script>"


@pytest.fixture(scope="module", params=["library", "service"])
def stocked(shelf: Path, request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Path]:
    """The shelf; either way."""
    data = Path(shutil.copytree(shelf, tmp_path_factory.mktemp("stocked") / "data"))
    with beside(data, load=load_stub) if request.param == "service" else nullcontext():
        yield data


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    """What was answered one way, to be compared with the other."""
    return {}


def test_both_ways_make_the_same_map_once(run: Run, stocked: Path, answers: dict[str, Any]) -> None:
    status, made = run("map", "--data", stocked)
    assert (status, made["version"], made["products"], made["stale"]) == (0, 1, COUNT, False)
    varying = ("seconds", "found_at", "hash")
    assert answers.setdefault("map", {name: made[name] for name in made if name not in varying}) == {
        name: made[name] for name in made if name not in varying
    }
    _, again = run("map", "--data", stocked)
    assert (again["hash"], again["found_at"]) == (made["hash"], made["found_at"])


def test_a_picture_is_one_file_of_xml_with_every_product(run: Run, stocked: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.svg"
    status, _ = run("map", "--out", out, "--color-by", "color", "--data", stocked)
    root = ElementTree.fromstring(out.read_text())
    images = list(root.iter(f"{SVG}image"))
    assert status == 0 and images and all(each.attrib["href"].startswith("data:image/webp;base64,") for each in images)
    dots = "".join(each.attrib["d"] for each in root.iter(f"{SVG}path")).count("h0")
    assert len(images) + dots == COUNT
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert {*COLORS} <= {*texts}
    page = tmp_path / "map.html"
    _, made = run("map", "--html", page, "--color-by", "n", "-n", "2", "--data", stocked)
    assert len(made["clusters"]) == 2
    text = page.read_text()
    assert "<svg" in text and "src=" not in text and "<script" not in text and text.count(RAMP[0]) > 1


def test_a_table_is_read_back(run: Run, stocked: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    out = tmp_path / "map.parquet"
    run("map", "--out", out, "--data", stocked)
    rows = pq.read_table(out).to_pylist()
    assert len({row["product_id"] for row in rows}) == COUNT
    assert list(rows[0]) == ["product_id", "x", "y", "cluster", "cluster_name"]
    assert all(0 <= row["x"] <= 65535 and 0 <= row["y"] <= 65535 for row in rows)


def test_what_cannot_be_written_is_refused_before_anything_is_made(
    refused: Refused, stocked: Path, tmp_path: Path
) -> None:
    said = refused("invalid_input", "map", "--out", tmp_path / "map.png", "--data", stocked)
    assert ".svg, .html, .parquet" in said
    assert "--out" in refused("invalid_input", "map", "--color-by", "color", "--data", stocked)
    table = tmp_path / "map.parquet"
    assert "a table has all" in refused("invalid_input", "map", "--out", table, "--color-by", "n", "--data", stocked)


def standing(count: int, name: str = "mug") -> Standing:
    points = np.random.default_rng(0).integers(0, 65536, (count, 2)).astype(np.uint16)
    labels = np.where(np.arange(count) % 2, 0, NO_REGION).astype(np.uint16)
    return Standing(tuple(f"p{n}" for n in range(count)), points, labels, (Region(name, 1, 2, count // 2),))


def test_thumbnails_have_room_and_stay_within_their_budget() -> None:
    shown = picture(standing(5000), lambda _: bytes(30_000), None)
    places = np.array([(each["x"], each["y"]) for each in shown["thumbnails"]])
    apart = np.abs(places[:, None] - places).max(axis=-1) + np.eye(len(places)) * 1e9
    assert apart.min() >= shown["side"]
    assert sum(len(each["uri"]) for each in shown["thumbnails"]) <= BUDGET and len(places) == BUDGET // 40_023
    assert sum(each["path"].count("h0") for each in shown["dots"]) == 5000 - len(places)
    assert places.min() >= 0 and places[:, 0].max() <= WIDTH - shown["side"] and EDGE > 0


def test_names_of_strangers_are_text_and_what_has_no_picture_is_a_dot(tmp_path: Path) -> None:
    from api.cli.pages import rendered

    def thumbnail(product_id: str) -> bytes:
        if product_id == "p1":
            raise MediaNotFound("It was not kept.")
        return b"picture"

    values = Column("keyword", np.zeros(3, np.uint16), np.zeros(0, np.float32), (HOSTILE,))
    where = standing(3, HOSTILE)
    where = Standing((HOSTILE, "p1", "\x00"), where.points, where.labels, where.regions)
    shown = picture(where, thumbnail, values)
    text = rendered("map.svg", **shown, title=HOSTILE, about=HOSTILE, by=HOSTILE, is_alone=True)
    root = ElementTree.fromstring(text)
    assert not [each for each in root.iter() if "script" in each.tag.casefold()]
    assert len([*root.iter(f"{SVG}image")]) == 2 and shown["shown"] == 2
    assert "<script" not in rendered("map.html", **shown, title=HOSTILE, about=HOSTILE, by=HOSTILE, is_alone=False)


def test_colors_are_those_of_values_that_are_colors_and_numbers_go_from_little_to_much() -> None:
    def keyword(*values: str) -> Column:
        return Column("keyword", np.array([*range(len(values)), 65535], np.uint16), np.zeros(0, np.float32), values)

    assert key_of(keyword("Red", "blue")).colors == [OWN["red"], OWN["blue"], NO_COLOR]
    assert key_of(keyword("red", "mug")).colors == [*PALETTE[:2], NO_COLOR]
    many = key_of(keyword(*(f"v{n}" for n in range(30))))
    assert many.entries[len(PALETTE) :] == [("other", NO_COLOR), ("no value", NO_COLOR)]
    numbers = np.array([*range(60), np.nan], np.float32)
    key = key_of(Column("number", np.zeros(0, np.uint16), numbers))
    assert [key.colors.count(color) for color in RAMP] == [10] * 6 and key.colors[-1] == NO_COLOR
    assert len(key.entries) == 7
    same = key_of(Column("number", np.zeros(0, np.uint16), np.full(4, 7, np.float32)))
    assert same.entries == [("7", RAMP[0])] and set(same.colors) == {RAMP[0]}
