import hashlib

import numpy as np
import pytest

from services.descriptions import AttributeKind, CatalogSpec
from services.hashes import perceptual
from services.records import Embedding

DIM = 8


@pytest.fixture
def spec() -> CatalogSpec:
    return CatalogSpec(
        name="shoes",
        id="c0",
        encoder="inception_v3",
        weights="/elsewhere/shoes.weights.h5",
        resample="bicubic",
        dim=DIM,
        fingerprint="inception_v3-1234",
        generation="0",
        created_at="2025-01-01T00:00:00Z",
        indexed_attributes={"color": AttributeKind.KEYWORD, "size.eu": AttributeKind.FLOAT},
    )


@pytest.fixture
def embeddings() -> list[Embedding]:
    random = np.random.default_rng(1)
    features = random.gamma(0.3, 10, (5, DIM)).astype(np.float32)
    features[0, :2] = [0.0, np.float32(1e-40)]
    attributes = [
        {"color": "grün 👟\u2028", "price": 1.0, "stock": 2**63, "tags": ["a", None, {"deep": [[1.5e-300, -1]]}]},
        {"text": 'quote " and \\ and \x00\n', "ok": True, "": False},
        {},
        {"x": None},
        {"long": "x" * 1000},
    ]
    images = [hashlib.sha256(b"0").hexdigest(), None, None, hashlib.sha256(b"1").hexdigest(), None]
    ids = ["shoe", "a/b.c..", "größe 👟 \x00x", " ", "shoe.jpg"]
    hashes = [perceptual(np.arange(64) % 2 == 0, np.zeros((8, 8, 3))), None, None, None, None]
    urls = [None, None, None, "https://example.com/größe 👟.jpg?x=1", None]
    return [Embedding(*row) for row in zip(ids, features, attributes, images, hashes, urls, strict=True)]
