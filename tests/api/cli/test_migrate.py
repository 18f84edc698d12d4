"""`lookalike migrate`: a catalog to a Qdrant server and back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services import bootstrap, settings
from services.catalog.opening import new_spec
from services.descriptions import AttributeKind
from services.index.twin import QdrantTwin
from services.records import Embedding
from services.settings import Settings
from services.testing import load_stub

Run = Callable[..., tuple[int, dict[str, Any]]]
PRODUCTS = 300


def held(configured: Settings) -> tuple[dict[str, Any], set[Any], np.ndarray]:
    """All that a catalog has: points, tombstones and vectors, in the order of product IDs."""
    with bootstrap.catalogs(configured, load=load_stub) as catalogs:
        catalog = catalogs.get("shoes")
        points = sorted(catalog.points(), key=lambda point: point.product_id)
        described = {"id": catalog.spec.id, "attributes": dict(catalog.spec.indexed_attributes), "points": points}
        described["facets"] = catalog.facets("n", limit=5)
        return described, set(catalog.tombstones()), np.stack([np.asarray(point.vector) for point in points])


@pytest.mark.parametrize("products", [PRODUCTS, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_a_catalog_goes_to_a_server_and_back(run: Run, tmp_path: Path, products: int) -> None:
    random = np.random.default_rng(1)
    source, back = settings.load(data=tmp_path / "source"), settings.load(data=tmp_path / "back")
    with bootstrap.catalogs(source, load=load_stub) as catalogs:
        shoes = catalogs.create(new_spec("shoes", "efficientnet_lite0", "random:1", "nearest"))
        shoes.declare({"n": AttributeKind.INTEGER})
        features = (
            Embedding(f"p/{n}", random.random(1280, np.float32), {"n": n % 7, "of": [{"n": n}]})
            for n in range(products)
        )
        assert len(list(shoes.put_embeddings(features))) == products
        shoes.remove([f"p/{n}" for n in range(0, products, 10)])
    with QdrantTwin() as twin:
        server = settings.load(data=tmp_path / "elsewhere", qdrant_url=twin.url)
        for _ in range(2):
            status, answer = run("migrate", "--catalog", "shoes", "--data", source.data, "--to", twin.url)
            assert (status, answer["products"], answer["tombstones"]) == (0, products * 9 // 10, products // 10)
        there = held(server)
        # What the copy shows may lie where it came from: neither may take it for a leftover.
        with bootstrap.catalogs(source, load=load_stub) as catalogs:
            assert catalogs.intake.media.others() == [f"lookalike in {twin.url}"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LOOKALIKE_QDRANT_URL", twin.url)
            assert run("migrate", "--catalog", "shoes", "--data", server.data, "--to", back.data)[0] == 0
    here = held(source)
    for described, tombstones, vectors in (there, held(back)):
        assert (described, tombstones) == here[:2]
        np.testing.assert_allclose(vectors, here[2], atol=2e-7)


def test_a_place_that_is_none_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    data = tmp_path / "data"
    bootstrap.catalogs(settings.load(data=data), load=load_stub).close()
    assert "is where the catalog is" in refused("setting_invalid", "migrate", "--data", data, "--to", data)
    assert "LOOKALIKE_QDRANT_URL" in refused("setting_invalid", "migrate", "--data", data, "--to", "ftp://x")
