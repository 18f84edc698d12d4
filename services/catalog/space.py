"""The space of a generation, as a catalog keeps it: made of a sample of its products, and made anew as it grows.

It is an object in media, named in the description of its generation, so every process compares with the same one.
"""

import threading
import time
from collections.abc import Callable
from itertools import islice

import numpy as np
import structlog

from services.catalog.copying import read_points
from services.catalog.features import normalized
from services.descriptions import Features
from services.errors import (
    DataCorrupt,
    DataError,
    FeaturesNotFound,
    IndexUnavailable,
    LedgerUnavailable,
    NotFound,
)
from services.index.vector_index import VectorIndex
from services.query.space import REFERENCES, Space, from_bytes
from services.records import Vectors
from services.storage.media import Media

FEWEST = 30
"""Products without which nothing is known: of so few, what is alike by chance is chance itself."""
SAMPLED = 2000
"""Products that the mean is of. They come in the order of hashes of their IDs, so the first ones are a sample."""
CHANGED = 1.5
"""A catalog that has so many times as many products as its space was made of, or as few, gets a new one."""
CHECK_SECONDS = 60.0
"""How often products are counted for that."""
FEW_SECONDS = 1.0
"""The same, while they are too few."""
_PAGE = 256

log = structlog.get_logger("catalog")


class KeptSpace:
    """The space of a catalog's live generation. Thread-safe.

    Args:
        index: Where the vectors are.
        features: Those of its vectors; `tuned` ones are centered as they are stored.
        media: Where spaces are kept.
        described: The hash of the one that the description names now; None: it names none.
        describe: Has the description name another one. Raises what saving it does.
    """

    def __init__(
        self,
        index: VectorIndex,
        features: Features,
        media: Media,
        *,
        described: Callable[[], str | None],
        describe: Callable[[str], None],
    ) -> None:
        self._index = index
        self._features = features
        self._media = media
        self._described = described
        self._describe = describe
        self._lock = threading.Lock()
        self._hash: str | None = None
        self._space: Space | None = None
        self._is_kept = True
        self._counted_at = -np.inf

    def now(self) -> Space | None:
        """The space; None while the catalog has fewer than `FEWEST` products. Raises `IndexUnavailable`."""
        if self._is_known():
            return self._space
        # Who comes meanwhile goes on with what there is.
        if not self._lock.acquire(blocking=self._space is None):
            return self._space
        try:
            if not self._is_known():
                self._renew()
            return self._space
        finally:
            self._lock.release()

    def _is_known(self) -> bool:
        # A catalog of few products soon has more.
        waits = CHECK_SECONDS if self._space else min(CHECK_SECONDS, FEW_SECONDS)
        return self._described() == self._hash and time.monotonic() < self._counted_at + waits

    def _renew(self) -> None:
        named = self._described()
        if named != self._hash:
            self._space, self._hash = self._read(named), named
            self._is_kept = self._space is not None
        products = self._index.count()
        if products < FEWEST:
            self._space = None
        elif self._space is None or not self._space.products / CHANGED <= products <= self._space.products * CHANGED:
            self._space = sampled(self._index, products, self._features)
            self._is_kept = False
        if self._space is not None and not self._is_kept:
            self._keep(self._space)
        self._counted_at = time.monotonic()

    def _read(self, hash: str | None) -> Space | None:
        try:
            return None if hash is None else from_bytes(self._media.read_object(hash), self._index.dim)
        except (FeaturesNotFound, DataCorrupt) as error:
            log.warning("the space of a catalog is made anew", reason=str(error))
            return None

    def _keep(self, space: Space) -> None:
        """Keeps it where others find it. That it cannot be kept now is no reason not to answer."""
        try:
            hash = self._media.put_object(space.to_bytes())
            self._describe(hash)
        except (DataError, NotFound, LedgerUnavailable, IndexUnavailable) as error:
            log.warning("the space of a catalog is not kept", reason=str(error))
        else:
            self._hash, self._is_kept = hash, True


def sampled(index: VectorIndex, products: int, features: Features) -> Space | None:
    """The space of an index that has so many products; None where fewer than `FEWEST` of them are there to be read."""
    points = islice(read_points(index, _PAGE), SAMPLED)
    found = [normalized(each.vector)[0] for each in points if each.vector is not None]
    if len(found) < FEWEST:
        return None
    vectors: Vectors = np.stack(found)
    mean = np.zeros(index.dim) if features == "tuned" else vectors.mean(axis=0, dtype=np.float64)
    return Space(products, mean.astype(np.float32), vectors[:REFERENCES])
