"""Twins for tests: they keep the contracts, and need nothing but this process."""

import io
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from services.encoders import networks
from services.errors import FetchError, FetchNotFound
from services.index.vector_index import checked_attributes, checked_cursor, checked_vector, done, no_facets, point_id
from services.query.filters import FieldCondition, Filter, IsEmpty, Match, Range, Steps, is_key, steps
from services.records import (
    AttributeKind,
    Attributes,
    AttributeUpdate,
    Facet,
    Neighbor,
    Pixels,
    Point,
    Resample,
    Tombstone,
    Vector,
    Vectors,
)
from services.settings import Settings

_FACETED = {AttributeKind.KEYWORD: str, AttributeKind.INTEGER: int, AttributeKind.BOOL: bool}


class MemoryIndex:
    """`VectorIndex` in a dict: every search looks at every product."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._stored: dict[str, Point | Tombstone] = {}
        self._kinds: dict[Steps, AttributeKind] = {}
        self._writing = threading.RLock()

    def upsert(self, points: Sequence[Point | Tombstone]) -> list[bool]:
        checked = [self._checked(point) for point in points]
        with self._writing:
            for point in checked:
                if self._version(point.product_id) < point.version:
                    self._stored[point.product_id] = point
            return [self._version(point.product_id) == point.version for point in points]

    def update_attributes(self, moves: Sequence[AttributeUpdate]) -> list[bool]:
        with self._writing:
            for move in moves:
                point = self._alive(move.product_id)
                if point and point.version < move.version and move.image in (None, point.image):
                    moved = replace(point, attributes=dict(move.attributes), version=move.version)
                    self._stored[move.product_id] = moved
            return [done(move, self._alive(move.product_id)) for move in moves]

    def get(self, product_ids: Sequence[str], *, vectors: bool = False) -> list[Point | None]:
        points = [self._alive(product_id) for product_id in product_ids]
        return [point and _shown(point, vectors) for point in points]

    def versions(self, product_ids: Sequence[str]) -> list[int | None]:
        stored = [self._stored.get(product_id) for product_id in product_ids]
        return [point.version if point else None for point in stored]

    def scroll(
        self, *, after: str | None = None, limit: int = 100, filter: Filter | None = None, vectors: bool = False
    ) -> tuple[list[Point], str | None]:
        start = checked_cursor(after) or ""
        points = {point_id(point.product_id): point for point in self._matching(filter)}
        ids = sorted(id for id in points if id >= start)
        page = [_shown(points[id], vectors) for id in ids[:limit]]
        return page, ids[limit] if len(ids) > limit else None

    def search(
        self,
        vector: Vector,
        *,
        limit: int = 10,
        offset: int = 0,
        filter: Filter | None = None,
        min_score: float | None = None,
        exclude: Sequence[str] = (),
    ) -> list[Neighbor]:
        query = checked_vector(vector, self.dim)
        candidates = [point for point in self._matching(filter) if point.product_id not in exclude]
        neighbors = [
            Neighbor(point.product_id, float(query @ point.vector), point.attributes)
            for point in candidates
            if point.vector is not None
        ]
        if min_score is not None:
            neighbors = [neighbor for neighbor in neighbors if neighbor.score >= np.float32(min_score)]
        neighbors.sort(key=lambda neighbor: (-neighbor.score, neighbor.product_id))
        return neighbors[offset : offset + limit]

    def count(self, filter: Filter | None = None) -> int:
        return len(self._matching(filter))

    def facets(self, attribute: str, *, limit: int = 10, filter: Filter | None = None) -> list[Facet]:
        kind = self._kinds.get(steps(attribute)) if is_key(attribute) else None
        if kind not in _FACETED:
            raise no_facets(attribute)
        counts: Counter[Any] = Counter()
        for point in self._matching(filter):
            leaves = _leaves(point.attributes, attribute)
            counts.update({leaf for leaf in leaves if type(leaf) is _FACETED[kind]})
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [Facet(value, count) for value, count in ranked[:limit]]

    def declare(self, attributes: Mapping[str, AttributeKind]) -> None:
        checked_attributes(attributes)
        self._kinds |= {steps(attribute): kind for attribute, kind in attributes.items()}

    def max_version(self) -> int:
        return max((point.version for point in list(self._stored.values())), default=0)

    def tombstones(self, *, before: float) -> Iterator[Tombstone]:
        for point in list(self._stored.values()):
            if isinstance(point, Tombstone) and point.removed_at < before:
                yield point

    def purge(self, tombstones: Iterable[Tombstone]) -> None:
        with self._writing:
            for tombstone in tombstones:
                if self._stored.get(tombstone.product_id) == tombstone:
                    del self._stored[tombstone.product_id]

    def optimize(self) -> bool:
        return False

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _checked(self, point: Point | Tombstone) -> Point | Tombstone:
        if isinstance(point, Tombstone):
            return point
        return replace(point, vector=checked_vector(point.vector, self.dim).copy())

    def _version(self, product_id: str) -> int:
        stored = self._stored.get(product_id)
        return -1 if stored is None else stored.version

    def _alive(self, product_id: str) -> Point | None:
        stored = self._stored.get(product_id)
        return stored if isinstance(stored, Point) else None

    def _matching(self, filter: Filter | None) -> list[Point]:
        points = [point for point in list(self._stored.values()) if isinstance(point, Point)]
        return [point for point in points if filter is None or matches(filter, point.attributes)]


def _shown(point: Point, vectors: bool) -> Point:
    return point if vectors else replace(point, vector=None)


def matches(filter: Filter, attributes: Attributes) -> bool:
    """Whether attributes pass a filter: what it means, written down a second time, in plain Python."""
    return (
        all(_holds(condition, attributes) for condition in filter.must)
        and not any(_holds(condition, attributes) for condition in filter.must_not)
        and (not filter.should or any(_holds(condition, attributes) for condition in filter.should))
    )


def _holds(condition: Filter | FieldCondition | IsEmpty, attributes: Attributes) -> bool:
    match condition:
        case Filter():
            return matches(condition, attributes)
        case IsEmpty():
            return all(value in (None, []) for value in _found(attributes, condition.is_empty.key))
        case FieldCondition(match=Match() as match):
            return any(_matched(match, value) for value in _leaves(attributes, condition.key))
        case FieldCondition(range=Range() as range):
            return any(_within(range, value) for value in _leaves(attributes, condition.key))
    raise AssertionError(condition)


def _matched(match: Match, value: object) -> bool:
    if match.any is not None:
        return _in(value, match.any)
    if match.except_ is not None:
        return value is not None and not _in(value, match.except_)
    return _in(value, [match.value])


def _in(value: object, values: Iterable[object]) -> bool:
    """In JSON true is not 1, and 1.0 is not 1 for Qdrant."""
    return any(type(value) is type(other) and value == other for other in values)


def _within(range: Range, value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    number = float(value)
    return (
        (range.gt is None or number > range.gt)
        and (range.gte is None or number >= range.gte)
        and (range.lt is None or number < range.lt)
        and (range.lte is None or number <= range.lte)
    )


def _leaves(attributes: Attributes, key: str) -> Iterator[Any]:
    """The values at a path, and of a list there its elements."""
    for value in _found(attributes, key):
        if isinstance(value, list):
            yield from value
        else:
            yield value


def _found(attributes: Attributes, key: str) -> list[Any]:
    values: list[Any] = [attributes]
    for step in steps(key):
        values = [child for value in values for child in _children(value, step)]
    return values


def _children(value: Any, step: str | int | None) -> list[Any]:
    if isinstance(step, str):
        return [value[step]] if isinstance(value, Mapping) and step in value else []
    if not isinstance(value, list):
        return []
    return value if step is None else value[step : step + 1]


class StubEncoder:
    """`Encoder` that sees colors: the mean red, green and blue of each cell of a 4 x 4 grid, 0..1.

    A black picture has no features. `encoded` counts the pictures. With `seconds_per_batch` it is as slow as a device
    that takes so long for 64 of them. Of `dim` features more than 48 are zero.
    """

    name = "stub"
    trained = True
    lanes = 1
    turn = 16

    def __init__(
        self,
        fingerprint: str = "stub/colors/32-nearest",
        *,
        size: int = 32,
        dim: int = 48,
        seconds_per_batch: float = 0.0,
    ) -> None:
        self.fingerprint = fingerprint
        self.size = size
        self.dim = dim
        self.seconds_per_batch = seconds_per_batch
        self.encoded = 0
        self._lock = threading.Lock()

    def encode(self, pixels: Pixels) -> Vectors:
        with self._lock:
            self.encoded += len(pixels)
        time.sleep(self.seconds_per_batch * len(pixels) / 64)
        side = self.size // 4
        grid = pixels[:, : 4 * side, : 4 * side].reshape(-1, 4, side, 4, side, 3)
        cells = grid.mean(axis=(2, 4)).reshape(-1, 48) / 255
        features: Vectors = np.pad(cells, ((0, 0), (0, self.dim - 48))).astype(np.float32)
        return features

    def close(self) -> None:
        """Nothing to let go of."""


class StubFetcher:
    """Gives `images` by URL, raises where one is an error, and counts what it fetched."""

    def __init__(self, images: Mapping[str, bytes | FetchError] | None = None) -> None:
        self.images = dict(images or {})
        self.fetched: Counter[str] = Counter()

    def fetch(self, url: str) -> bytes:
        self.fetched[url] += 1
        image = self.images.get(url, FetchNotFound(f"{url} is not there."))
        if isinstance(image, FetchError):
            raise image
        return image

    def close(self) -> None:
        """Nothing to let go of."""


def picture(color: tuple[int, int, int], seed: int = 0, size: int = 64) -> bytes:
    """A PNG of one color, a little noise on it."""
    noise = np.random.default_rng(seed).integers(0, 30, (size, size, 3))
    pixels = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def load_stub(name: str, weights: str, resample: Resample, settings: Settings) -> StubEncoder:
    """For `bootstrap.catalogs(load=...)`: a stub in the place of the encoder of that name."""
    network = networks.network(name)
    return StubEncoder(f"stub/{name}/{weights}/{resample}", size=network.size, dim=network.dim)
