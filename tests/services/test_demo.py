import csv
import io
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from services import demo
from services.demo import DemoProduct

SEEDS = (7, 1, 2)


@pytest.fixture(scope="module")
def one_of_each() -> dict[DemoProduct, bytes]:
    return {product: demo.draw(product) for product in demo.products(per_category=1)}


def test_there_are_at_least_360_products_of_12_categories() -> None:
    products = demo.products()
    assert len(products) >= 360
    assert len({product.category for product in products}) >= 12


def test_product_ids_are_unique_and_begin_with_the_category() -> None:
    products = demo.products()
    assert len({product.product_id for product in products}) == len(products)
    for product in products:
        category, _, number = product.product_id.rpartition("-")
        assert category == product.category
        assert number.isdecimal()


@pytest.mark.parametrize("seed", SEEDS)
def test_every_category_comes_in_many_colors_and_patterns(seed: int) -> None:
    colors, patterns = defaultdict(set), defaultdict(set)
    for product in demo.products(seed):
        colors[product.category].add(product.color)
        patterns[product.category].add(product.pattern)
    assert min(map(len, colors.values())) >= 5
    assert min(map(len, patterns.values())) >= 3


def test_attributes_are_complete() -> None:
    for product in demo.products():
        assert product.attributes == {
            "category": product.category,
            "color": product.color,
            "pattern": product.pattern,
            "price": product.price,
        }
        assert product.category and product.color and product.pattern
        assert 5 < product.price < 5000


def test_another_seed_is_another_catalog() -> None:
    assert demo.products(1) != demo.products(2)
    mug = demo.products()[0]
    assert demo.draw(mug, 1) != demo.draw(mug, 2)


def test_a_product_does_not_depend_on_how_many_there_are() -> None:
    few = demo.products(per_category=3)
    assert set(few) < set(demo.products(per_category=5))


def test_pictures_are_480_pixels_square_and_in_color(one_of_each: dict[DemoProduct, bytes]) -> None:
    for picture in one_of_each.values():
        with Image.open(io.BytesIO(picture)) as image:
            image.load()
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (480, 480))


def test_a_picture_drawn_again_alone_has_the_same_bytes(one_of_each: dict[DemoProduct, bytes]) -> None:
    for product in reversed(one_of_each):
        assert demo.draw(product) == one_of_each[product]


def test_no_two_pictures_are_the_same(one_of_each: dict[DemoProduct, bytes]) -> None:
    assert len(set(one_of_each.values())) == len(one_of_each)


@pytest.mark.parametrize(("color", "strongest"), [("red", 0), ("green", 1), ("blue", 2)])
def test_a_product_has_the_color_that_its_attribute_says(color: str, strongest: int) -> None:
    """In the middle of a plain sofa there is nothing but sofa."""
    sofa = next(product for product in demo.products() if product.category == "sofa")
    picture = demo.draw(replace(sofa, color=color, pattern="plain"))
    with Image.open(io.BytesIO(picture)) as image:
        channels = image.crop((200, 190, 280, 270)).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(channels, tuple)
    assert channels.index(max(channels)) == strongest


def test_a_pattern_changes_the_picture() -> None:
    mug = replace(demo.products()[0], pattern="plain")
    pictures = {demo.draw(replace(mug, pattern=pattern)) for pattern in ("plain", "striped", "dotted", "floral")}
    assert len(pictures) == 4


def test_write_puts_pictures_and_a_table_into_the_folder(tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    products = demo.write(
        tmp_path / "demo", per_category=1, on_progress=lambda done, total: progress.append((done, total))
    )
    assert progress == [(done, len(products)) for done in range(1, len(products) + 1)]
    files = {path.name for path in (tmp_path / "demo").iterdir()}
    assert files == {"attributes.csv"} | {f"{product.product_id}.jpg" for product in products}
    for product in products:
        assert (tmp_path / "demo" / f"{product.product_id}.jpg").read_bytes() == demo.draw(product)


def test_the_table_holds_every_product_and_attribute(tmp_path: Path) -> None:
    products = demo.write(tmp_path, per_category=1)
    with (tmp_path / "attributes.csv").open(newline="") as file:
        table = csv.DictReader(file)
        rows = list(table)
    assert table.fieldnames == ["product_id", "category", "color", "pattern", "price"]
    assert rows == [
        {
            "product_id": product.product_id,
            "category": product.category,
            "color": product.color,
            "pattern": product.pattern,
            "price": f"{product.price:.2f}",
        }
        for product in products
    ]


def test_writing_again_touches_only_what_is_missing_or_wrong(tmp_path: Path) -> None:
    products = demo.write(tmp_path, per_category=1)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tmp_path.iterdir()}
    gone, damaged = (tmp_path / f"{product.product_id}.jpg" for product in products[:2])
    right = damaged.read_bytes()
    gone.unlink()
    damaged.write_bytes(b"damaged")
    demo.write(tmp_path, per_category=1)
    after = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in tmp_path.iterdir()}
    assert after.keys() == before.keys()
    assert {path for path in after if after[path] != before[path]} == {gone, damaged}
    assert damaged.read_bytes() == right
