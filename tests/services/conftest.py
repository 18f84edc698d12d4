"""A catalog over every index, with real decoding children and an encoder that sees colors."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from indexes import opened

from services.catalog.catalog import Catalog
from services.descriptions import CatalogSpec, Form
from services.encoders.encoder import Encoder
from services.encoders.shared import SharedEncoder
from services.images.decoder import Decoder
from services.images.intake import QUIET_SECONDS, Fetches, Intake, Observe, nothing
from services.images.limits import Limits
from services.index.vector_index import VectorIndex
from services.storage.media import Media
from services.testing import StubEncoder, StubFetcher

SPEC = CatalogSpec(
    name="products",
    id="c0",
    encoder="stub",
    weights="imagenet",
    resample="nearest",
    dim=48,
    fingerprint="stub/colors/32-nearest",
    generation="0",
    created_at="2026-01-01T00:00:00Z",
)
MAX_BYTES = 1_000_000


@pytest.fixture(scope="session")
def decoder() -> Iterator[Decoder]:
    with Decoder(2, 10.0, 1 << 30, Limits(MAX_BYTES, 10_000_000)) as decoder:
        yield decoder


@pytest.fixture(scope="session")
def twin_url() -> Iterator[str]:
    """The URL of a stand-in for a Qdrant server."""
    from services.index.twin import QdrantTwin

    with QdrantTwin() as twin:
        yield twin.url


@pytest.fixture(params=["memory", "edge", "twin"])
def index(request: pytest.FixtureRequest, tmp_path: Path, twin_url: str) -> Iterator[VectorIndex]:
    with opened(request.param, SPEC.dim, tmp_path / "index", twin_url) as index:
        yield index


@pytest.fixture
def encoder() -> StubEncoder:
    return StubEncoder()


@pytest.fixture
def fetcher() -> StubFetcher:
    return StubFetcher()


@pytest.fixture
def media(tmp_path: Path) -> Media:
    return Media(tmp_path / "media")


@pytest.fixture
def make_intake(decoder: Decoder, fetcher: StubFetcher, media: Media) -> Callable[..., Intake]:
    """Makes what brings images into catalogs."""
    shared, none = decoder, fetcher

    def make_intake(
        *,
        decoder: Any = shared,
        fetcher: Fetches = none,
        check_space: Callable[[int], None] = lambda planned: None,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> Intake:
        return Intake(
            media,
            decoder,
            fetcher,
            threads=4,
            max_bytes=MAX_BYTES,
            check_space=check_space,
            quiet_seconds=quiet_seconds,
        )

    return make_intake


@pytest.fixture
def make(
    index: VectorIndex, encoder: StubEncoder, fetcher: StubFetcher, make_intake: Callable[..., Intake]
) -> Iterator[Callable[..., Catalog]]:
    """Makes catalogs over the same index, media and decoder."""
    encoders = []
    shared = index

    def make(
        *,
        spec: CatalogSpec = SPEC,
        load: Callable[[], Encoder] = lambda: encoder,
        index: VectorIndex = shared,
        fetcher: Fetches = fetcher,
        intake: Intake | None = None,
        save: Callable[[CatalogSpec], None] = lambda spec: None,
        check_space: Callable[[int], None] = lambda planned: None,
        observe: Observe = nothing,
    ) -> Catalog:
        encoders.append(SharedEncoder(load))
        return Catalog(
            spec,
            index,
            intake or make_intake(fetcher=fetcher, check_space=check_space),
            encoders[-1],
            form=Form(32, spec.resample),
            save=save,
            check_space=check_space,
            batch_size=8,
            observe=observe,
        )

    yield make
    for each in encoders:
        each.close()


@pytest.fixture
def catalog(make: Callable[..., Catalog]) -> Catalog:
    return make()
