"""A catalog with generations: opened again and again at one place, changed at random, and compared as a whole."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from services import bootstrap, settings
from services.catalog.catalog import Catalog
from services.catalog.catalogs import Catalogs
from services.catalog.opening import new_spec
from services.descriptions import CatalogSpec
from services.images.decoder import Decoder
from services.index.vector_index import VectorIndex
from services.paging import paginate
from services.records import Change, ChangeKind, RemoteImage, State
from services.testing import StubFetcher, load_stub, picture

FIRST, SECOND = "efficientnet_lite0", "inception_v3"
"""Two encoders whose vectors have different lengths; in tests of generations both are stubs that see colors."""

COLORS = [(220, 30, 30), (30, 220, 30), (30, 30, 220), (220, 220, 30), (30, 220, 220)]


def shop(encoder: str = FIRST, name: str = "shop") -> CatalogSpec:
    return new_spec(name, encoder, "random:1", "nearest")


class Lent:
    """A decoder that others go on using when its borrower closes it."""

    def __init__(self, decoder: Decoder) -> None:
        self.processes = decoder.processes
        self.submit = decoder.submit
        self.submit_hashed = decoder.submit_hashed
        self.submit_thumbnail = decoder.submit_thumbnail
        self.submit_size = decoder.submit_size

    def close(self) -> None:
        """Closes nothing."""


class Place:
    """Where catalogs are kept, a data folder or a Qdrant server: `opened` opens them as one more process does.

    All decode in the children of one decoder, which take a second to start.
    """

    def __init__(self, path: Path, decoder: Decoder, url: str = "") -> None:
        self.path = path
        self.fetcher = fetcher()
        self._decoder: Any = Lent(decoder)
        self._given: dict[str, Any] = {"data": path / "data", "decode_processes": 2, "min_free_bytes": 64 << 20}
        if url:
            # A twin answers late where others load the processors.
            self._given |= {"qdrant_url": url, "qdrant_timeout": 60}
            self._given |= {"qdrant_prefix": f"test-{uuid4().hex[:8]}", "media": str(path / "media")}

    @contextmanager
    def opened(
        self, load: bootstrap.Load = load_stub, *, fresh_seconds: float = 0.0, **options: Any
    ) -> Iterator[Catalogs]:
        given = settings.load(**self._given | options)
        with bootstrap.catalogs(given, load=load, fresh_seconds=fresh_seconds) as catalogs:
            catalogs.intake.decoder.close()
            catalogs.intake.decoder = self._decoder
            catalogs.intake.fetcher = self.fetcher
            yield catalogs

    @property
    def is_shared(self) -> bool:
        """Whether several processes may have them open."""
        return "qdrant_url" in self._given

    def names(self, catalogs: Catalogs) -> set[str]:
        """The folders or collections of vectors that there are."""
        registry: Any = catalogs.registry
        if not self._given.get("qdrant_url"):
            return {each.name for each in (self.path / "data" / "catalogs").glob("*/*") if each.is_dir()}
        found = registry._client.call("get_collections").collections
        prefix = f"{self._given['qdrant_prefix']}."
        return {each.name.rpartition(".")[2] for each in found if each.name.startswith(prefix)}


def seen(color: int, seed: int) -> bytes:
    return picture(COLORS[color % len(COLORS)], seed, size=16)


def at_url(color: int, seed: int) -> RemoteImage:
    """The same picture, to be fetched."""
    return RemoteImage(f"http://pictures/{color % len(COLORS)}-{seed}.png")


def fetcher() -> StubFetcher:
    """Has the pictures of `at_url`."""
    return StubFetcher({at_url(color, seed).url: seen(color, seed) for color in range(5) for seed in range(4)})


def script(seed: int, length: int, products: int = 12, first: int = 1) -> list[Change]:
    """Changes of a few products, put, patched, deleted and put again, each with the next version."""
    choice = random.Random(seed)
    made = []
    for version in range(first, first + length):
        product_id = f"p{choice.randrange(products)}"
        kind = choice.choices(list(ChangeKind), [5, 3, 2])[0]
        color, variant = choice.randrange(5), choice.randrange(4)
        source = at_url if version % 3 == 0 else seen
        image = source(color, variant) if kind is ChangeKind.PUT or (kind is ChangeKind.PATCH and color == 0) else None
        attributes = None if kind is ChangeKind.DELETE or color == 4 else {"color": color, f"v{variant}": version}
        if kind is ChangeKind.PATCH and image is None and attributes is None:
            attributes = {"patched": version}
        made.append(Change(product_id, kind, image, attributes, version))
    return made


def applied(catalog: Callable[[], Catalog], changes: Sequence[Change]) -> None:
    """Applies changes one after the other, as batches of one."""
    for change in changes:
        [outcome] = catalog().apply([change])
        assert outcome.state in (State.APPLIED, State.UNCHANGED, State.FAILED)


def told(index: VectorIndex) -> dict[str, Any]:
    """All that an index has, but for when products were removed."""
    points = list(paginate(lambda cursor: index.scroll(after=cursor, limit=1000, vectors=True)))
    return {
        "removed": {each.product_id: each.version for each in index.tombstones(before=float("inf"))},
        "points": {
            each.product_id: (each.version, dict(each.attributes), each.image, each.perceptual, each.url)
            for each in points
        },
        "features": {
            each.product_id: np.round(np.asarray(each.vector) * np.float32(each.norm), 4).tolist() for each in points
        },
    }


def of_live(catalog: Catalog) -> dict[str, Any]:
    return told(catalog._index)


def of_other(catalog: Catalog, generation: str) -> dict[str, Any]:
    return told(catalog.beside.index_of(generation))


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Whole values; features within a tolerance."""
    for part in ("removed", "points"):
        assert found[part] == expected[part]
    assert found["features"].keys() == expected["features"].keys()
    for product_id, features in expected["features"].items():
        np.testing.assert_allclose(found["features"][product_id], features, atol=2e-3, err_msg=product_id)
