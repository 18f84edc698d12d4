"""Every vector index there is, empty: in memory, in this process, on the twin of a Qdrant server, and on a real one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from services.descriptions import CatalogSpec, Quantization
from services.index.client import Client
from services.index.collections import Collections
from services.index.edge import EdgeIndex
from services.index.vector_index import VectorIndex
from services.testing import MemoryIndex

QDRANT_URL = os.environ.get("QDRANT_URL", "")
"""A real Qdrant, where there is one to test with; `make test-server` names it."""

needs_server = pytest.mark.skipif(not QDRANT_URL, reason="QDRANT_URL names no Qdrant server")
SERVER = pytest.param("server", marks=needs_server)


def new_spec(dim: int, **fields: object) -> CatalogSpec:
    """The description of a catalog whose name no other test has."""
    described = {
        "name": f"test-{uuid4().hex}",
        "id": uuid4().hex,
        "encoder": "stub",
        "weights": "random:1",
        "resample": "nearest",
        "dim": dim,
        "fingerprint": None,
        "generation": uuid4().hex,
        "created_at": "2026-01-01T00:00:00Z",
    }
    return CatalogSpec(**described | fields)  # type: ignore[arg-type]


def new_client(url: str) -> Client:
    return Client(url, api_key=os.environ.get("QDRANT_API_KEY", ""), timeout=10)


@contextmanager
def collections(url: str, **options: object) -> Iterator[Collections]:
    """The catalogs on a server; those of tests are gone afterwards."""
    found = Collections(new_client(url), prefix="lookalike-test", **options)  # type: ignore[arg-type]
    before = {spec.name for spec in found.catalogs()}
    try:
        yield found
    finally:
        for spec in found.catalogs():
            if spec.name not in before:
                found.remove(spec.name)
        found.close()


@contextmanager
def opened(
    kind: str, dim: int, path: Path, twin_url: str, quantization: Quantization = "none"
) -> Iterator[VectorIndex]:
    """An empty index of a kind; `path` is a folder that is not there yet."""
    if kind == "memory":
        yield MemoryIndex(dim)
    elif kind == "edge":
        index = EdgeIndex.open(path, dim, quantization)
        yield index
        index.close()
    else:
        spec = new_spec(dim, quantization=quantization)
        with collections(QDRANT_URL if kind == "server" else twin_url) as found:
            found.create(spec)
            yield found.index(spec)
