"""The demo catalog: which products there are, and their pictures."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from services.demo import accessories, bags, canvas, clothing, footwear, furniture, sound, tableware
from services.demo.look import Look
from services.demo.palette import COLORS, second_to, shade_of
from services.demo.patterns import PATTERNS
from services.demo.pen import Paint
from services.demo.scene import Drawing, Pose, picture


@dataclass(frozen=True)
class Kind:
    """How a category is drawn, shown and priced."""

    drawing: Drawing
    pose: Pose
    cheapest: float
    dearest: float


@dataclass(frozen=True)
class DemoProduct:
    """A product before it is drawn."""

    product_id: str
    category: str
    color: str
    pattern: str
    price: float

    @property
    def attributes(self) -> dict[str, str | float]:
        return {"category": self.category, "color": self.color, "pattern": self.pattern, "price": self.price}


KINDS = {
    "mug": Kind(tableware.mug, Pose(True, 5, 1.22), 8, 28),
    "teapot": Kind(tableware.teapot, Pose(True, 5, 1.12), 24, 95),
    "bottle": Kind(tableware.bottle, Pose(True, 6, 1.12), 9, 45),
    "lamp": Kind(furniture.lamp, Pose(True, 4, 1.12), 35, 240),
    "chair": Kind(furniture.chair, Pose(True, 4, 1.08), 60, 420),
    "sofa": Kind(furniture.sofa, Pose(True, 3, 1.12), 390, 2400),
    "sneaker": Kind(footwear.sneaker, Pose(True, 9, 1.1), 45, 190),
    "boot": Kind(footwear.boot, Pose(True, 7, 1.08), 70, 320),
    "t-shirt": Kind(clothing.t_shirt, Pose(False, 12, 1.15), 12, 60),
    "dress": Kind(clothing.dress, Pose(False, 10, 1.08), 35, 260),
    "hat": Kind(clothing.hat, Pose(False, 14, 1.15), 18, 120),
    "handbag": Kind(bags.handbag, Pose(True, 6, 1.2), 40, 480),
    "backpack": Kind(bags.backpack, Pose(True, 7, 1.2), 35, 210),
    "watch": Kind(accessories.watch, Pose(False, 30, 1.15), 45, 900),
    "umbrella": Kind(accessories.umbrella, Pose(False, 25, 1.1), 12, 70),
    "sunglasses": Kind(accessories.sunglasses, Pose(False, 14, 1.15), 15, 230),
    "guitar": Kind(sound.guitar, Pose(False, 35, 1.12), 120, 1800),
    "headphones": Kind(sound.headphones, Pose(False, 14, 1.3), 25, 380),
}


def products(seed: int = 7, per_category: int = 24) -> list[DemoProduct]:
    """All products, category by category. What one looks like does not depend on the others."""
    return [_product(seed, category, number) for category in KINDS for number in range(per_category)]


def draw(product: DemoProduct, seed: int = 7) -> bytes:
    """The product's picture as JPEG."""
    rng = Random(f"{seed}/{product.product_id}/picture")
    color = shade_of(product.color, rng)
    second = second_to(color, rng)
    main = Paint(color, PATTERNS[product.pattern], second, rng.uniform(0.11, 0.24), rng.choice((0.0, 0.0, 90.0, 45.0)))
    kind = KINDS[product.category]
    look = Look(rng, main, Paint(color), Paint(second))
    return canvas.jpeg(picture(kind.drawing, kind.pose, look))


def write(
    folder: Path,
    *,
    seed: int = 7,
    per_category: int = 24,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[DemoProduct]:
    """Puts the pictures, `<product_id>.jpg`, and `attributes.csv` into a folder; tells how many are done of how many.

    A file that is there and right is left alone, and so is whatever else is in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = products(seed, per_category)
    _put(folder / "attributes.csv", _table(made))
    for done, product in enumerate(made, 1):
        _put(folder / f"{product.product_id}.jpg", draw(product, seed))
        on_progress(done, len(made))
    return made


def _product(seed: int, category: str, number: int) -> DemoProduct:
    product_id = f"{category}-{number:03}"
    rng = Random(f"{seed}/{product_id}")
    color = rng.choice(list(COLORS))
    pattern = rng.choices(list(PATTERNS), (5, 2, 2, 2, 1, 2))[0]
    kind = KINDS[category]
    price = kind.cheapest * (kind.dearest / kind.cheapest) ** rng.random()
    return DemoProduct(product_id, category, color, pattern, round(price) - 0.1)


def _table(made: list[DemoProduct]) -> bytes:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("product_id", "category", "color", "pattern", "price"))
    table.writerows((p.product_id, p.category, p.color, p.pattern, f"{p.price:.2f}") for p in made)
    return out.getvalue().encode()


def _put(path: Path, content: bytes) -> None:
    """Leaves a file that is right already alone, and never a half-written one behind."""
    if path.is_file() and path.read_bytes() == content:
        return
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
