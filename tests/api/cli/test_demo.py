"""Whether the demo shows what it is meant to: a trained network finds products of a kind, nothing cheaper does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from api.cli.demo import painters
from services import bootstrap, demo, settings
from services.catalog.catalog import Catalog

LOOKALIKE = Path(sys.executable).parent / "lookalike"
K = 5

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    demo.write(folder)
    return folder


def test_a_process_that_draws_is_not_started_anew_for_each_picture() -> None:
    with painters() as children:
        pids: set[int] = set()
        for each in demo.products()[:40]:
            children.submit(demo.draw, each).result()
            pids.update(children.pids())
    assert len(pids) == len(os.sched_getaffinity(0))


def precision(catalog: Catalog) -> float:
    """The share of the 5 nearest neighbors of every product that are of its category."""
    products = demo.products()
    same = [
        neighbor.attributes["category"] == product.category
        for product in products
        for neighbor in catalog.neighbors(product.product_id, limit=K)
    ]
    assert len(same) == K * len(products)
    return sum(same) / len(same)


def indexed_precision(pictures: Path, data: Path, weights: str) -> float:
    table = pictures / "attributes.csv"
    command = [LOOKALIKE, "index", pictures, "--attributes", table, "--data", data, "--weights", weights]
    subprocess.run([*map(str, command), "--encoder", "efficientnet_lite0"], check=True, capture_output=True)
    configured = settings.load(data=data)
    with bootstrap.catalogs(configured) as catalogs:
        return precision(catalogs.get("products"))


def test_trained_weights_find_products_of_the_same_category(
    pictures: Path, tmp_path: Path, record_property: Any
) -> None:
    reached = indexed_precision(pictures, tmp_path, "imagenet")
    record_property("precision", reached)
    assert reached >= 0.80


@pytest.mark.parametrize("seed", [1, 2])
def test_random_weights_do_not(pictures: Path, tmp_path: Path, seed: int, record_property: Any) -> None:
    reached = indexed_precision(pictures, tmp_path, f"random:{seed}")
    record_property("precision", reached)
    assert reached < 0.60


def test_colors_and_layout_alone_do_not_give_the_category_away(pictures: Path) -> None:
    images = [Image.open(pictures / f"{product.product_id}.jpg").resize((8, 8)) for product in demo.products()]
    tiny = np.stack([np.asarray(image, np.float64).ravel() for image in images])
    tiny -= tiny.mean()
    directions = tiny / np.linalg.norm(tiny, axis=1, keepdims=True)
    scores = directions @ directions.T
    np.fill_diagonal(scores, -np.inf)
    nearest = np.argsort(-scores, axis=1)[:, :K]
    categories = np.array([product.category for product in demo.products()])
    assert (categories[nearest] == categories[:, np.newaxis]).mean() < 0.60


def test_the_demo_takes_the_installed_weights_where_imagenet_cannot_be_had(tmp_path: Path) -> None:
    """Given no way out (a proxy that refuses), I expect a catalog, the reason on stderr, a sheet that stands alone."""
    environment = os.environ | {"KERAS_HOME": str(tmp_path / "keras"), "https_proxy": "http://127.0.0.1:9"}
    command = [LOOKALIKE, "demo", "--data", str(tmp_path / "data"), "--json"]
    first = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    answer = json.loads(first.stdout)
    assert (answer["catalog"], answer["encoder"], answer["failed"]) == ("demo", "efficientnet_lite0", 0)
    assert answer["applied"] == answer["total"] == len(demo.products())
    assert "efficientnet_lite0, trained on ImageNet: The ImageNet weights of inception_v3" in first.stderr
    html = Path(answer["html"]).read_text()
    assert html.count("data:image/webp;base64,") >= 30 and "http" not in html
    again = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    repeated = json.loads(again.stdout)
    assert (repeated["total"], repeated["failed"], repeated["products"]) == (0, 0, answer["total"])
