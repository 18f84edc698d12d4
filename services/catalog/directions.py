"""The directions of a catalog: learned from two sets of its products, kept with it, and learned anew as it changes.

A direction is an object in media: what it is to be learned from, and its vector. The description of the catalog names
it, with what lists show.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np
import structlog

from services.catalog.definition import Definition, Side, from_bytes, to_bytes
from services.catalog.labels import group_at
from services.catalog.space import CHANGED, CHECK_SECONDS
from services.descriptions import CatalogSpec, LearnedDirection, rfc3339
from services.errors import (
    Conflict,
    DataCorrupt,
    DataError,
    DirectionNotFound,
    FeaturesNotFound,
    InvalidInput,
    NotFound,
)
from services.index.vector_index import VectorIndex
from services.paging import paginate
from services.query.direction import Direction
from services.query.geometry import places
from services.query.space import Space
from services.records import Point, Vector, Vectors
from services.storage.media import Media

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MOST = 1000
"""Examples of a side that are learned from. Products come in the order of hashes of their IDs: these are a sample."""
MAX_DIRECTIONS = 100
COLOR_WEIGHTS = (1.0, 2.0, 5.0)
"""Color weights that are tried, where none is asked for."""
_PAGE = 256

log = structlog.get_logger("catalog")
Describe = Callable[[Callable[[CatalogSpec], CatalogSpec]], object]


class KeptDirections:
    """The directions of a catalog. Thread-safe.

    Args:
        index: Where the vectors are.
        media: Where directions are kept.
        described: The description of the catalog.
        renewed: The same, as it is at this moment.
        describe: Changes it. Raises what saving it does.
        space: That of the catalog; None while it has too few products.
    """

    def __init__(
        self,
        index: VectorIndex,
        media: Media,
        *,
        described: Callable[[], CatalogSpec],
        renewed: Callable[[], CatalogSpec],
        describe: Describe,
        space: Callable[[], Space | None],
    ) -> None:
        self._index = index
        self._media = media
        self._described = described
        self._renewed = renewed
        self._describe = describe
        self._space = space
        self._lock = threading.Lock()
        self._loaded: dict[str, tuple[Definition, Vector]] = {}
        self._checked_at: dict[str, float] = {}

    def all(self) -> tuple[LearnedDirection, ...]:
        """All of them, by name."""
        return self._renewed().directions

    def get(self, name: str) -> tuple[LearnedDirection, Definition]:
        """One of them, and what it is learned from. Raises `DirectionNotFound`."""
        kept = self._find(name)
        return kept, self._load(kept)[0]

    def named(self, name: str) -> Direction:
        """One of them, for a query; it is learned anew first where the catalog has changed much.

        Raises `DirectionNotFound`; where the catalog has other vectors now, also what `learn` does.
        """
        kept = self._find(name)
        if self._is_due(kept):
            with self._lock:
                kept = self._find(name)
                if self._is_due(kept):
                    kept = self._relearned(kept)
        definition, vector = self._load(kept)
        return Direction(name, vector, kept.color_weight, kept.quality, definition.toward.filter)

    def learn(self, name: str, definition: Definition, check: Callable[[], object] = lambda: None) -> LearnedDirection:
        """Learns a direction, and keeps it in the place of one that has its name.

        Args:
            name: 1 to 64 letters, digits, dots, dashes and underscores.
            definition: What it is learned from.
            check: Called before something takes long; what it raises ends this.

        Raises `InvalidInput`s, `TooFewExamples`, `DirectionWeak`, `CatalogNotFound`, `DataFull`, `DataNotWritable`.
        """
        definition = definition.checked(self._described().features)
        return self._learn(checked_name(name), definition, check)

    def remove(self, name: str) -> None:
        """Forgets one of them. Raises `DirectionNotFound`."""
        self._find(name)
        self._describe(lambda now: replace(now, directions=tuple(each for each in now.directions if each.name != name)))

    def _learn(self, name: str, definition: Definition, check: Callable[[], object]) -> LearnedDirection:
        # Late: it is needed only here.
        from services.explore.directions import learned, usable

        examples = self._examples(definition, check)
        check()
        weights = (definition.color_weight,) if definition.color_weight else COLOR_WEIGHTS
        spec = self._described()
        weights = weights if spec.features == "tuned" else (1.0,)
        found = learned(examples, weights)
        if not definition.force:
            found = usable(found, f"Direction {name}")
        check()
        now = rfc3339(datetime.now(UTC))
        kept = LearnedDirection(
            name=name,
            object=self._media.put_object(to_bytes(definition, found.vector)),
            fingerprint=spec.fingerprint,
            quality=round(found.auc, 6),
            color_weight=found.color_weight,
            positives=found.positives,
            negatives=found.negatives,
            categories=found.categories,
            products=self._index.count(),
            created_at=now,
            learned_at=now,
        )
        self._describe(lambda described: _with(described, kept))
        return self._find(name)

    def _find(self, name: str) -> LearnedDirection:
        # Another process may have learned it just now.
        for spec in (self._described, self._renewed):
            directions = spec().directions
            if found := next((each for each in directions if each.name == name), None):
                return found
        there = ", ".join(each.name for each in directions)
        raise DirectionNotFound(
            f"Catalog {self._described().name} has no direction {name!r}; "
            f"{f'it has {there}' if there else 'it has none: learn one first'}."
        )

    def _load(self, kept: LearnedDirection) -> tuple[Definition, Vector]:
        loaded = self._loaded.get(kept.object)
        if loaded is None:
            if len(self._loaded) >= MAX_DIRECTIONS:
                self._loaded.clear()  # what was learned anew since then is among them
            try:
                loaded = self._loaded[kept.object] = from_bytes(self._media.read_object(kept.object))
            except (FeaturesNotFound, DataCorrupt) as error:
                raise DirectionNotFound(
                    f"What direction {kept.name} has learned is not in media, or is damaged: restore that folder or a "
                    "backup, or learn it again."
                ) from error
        return loaded

    def _is_due(self, kept: LearnedDirection) -> bool:
        if kept.fingerprint != self._described().fingerprint:
            return True
        if time.monotonic() < self._checked_at.get(kept.object, -np.inf) + CHECK_SECONDS:
            return False
        self._checked_at[kept.object] = time.monotonic()
        return not kept.products / CHANGED <= self._index.count() <= kept.products * CHANGED

    def _relearned(self, kept: LearnedDirection) -> LearnedDirection:
        definition, _ = self._load(kept)
        try:
            return self._learn(kept.name, replace(definition, force=True), lambda: None)
        except (InvalidInput, Conflict, DataError, NotFound) as error:
            if kept.fingerprint != self._described().fingerprint:
                raise
            log.warning("a direction stays as it was", direction=kept.name, reason=str(error))
            return kept

    def _examples(self, definition: Definition, check: Callable[[], object]) -> Any:
        from services.explore.directions import Examples

        sides = (definition.toward, definition.away_from or definition.toward.others())
        space = self._space() if self._described().features == "head" else None
        vectors: list[Vectors] = []
        categories: list[list[str | None]] = []
        for side in sides:
            check()
            points = list(islice(self._points(side), MOST))
            raw = np.array([each.vector for each in points], np.float32).reshape(len(points), self._index.dim)
            vectors.append(places(raw, space.mean if space else None))
            categories.append([_category(each, definition.within) for each in points])
        return Examples(vectors[0], vectors[1], categories[0], categories[1])

    def _points(self, side: Side) -> Iterator[Point]:
        if side.filter is None:
            return (
                each for each in self._index.get(side.product_ids, vectors=True) if each and each.vector is not None
            )
        points = paginate(
            lambda cursor: self._index.scroll(after=cursor, limit=_PAGE, filter=side.filter, vectors=True)
        )
        return (each for each in points if each.vector is not None)


def checked_name(name: str) -> str:
    """The name itself. Raises `InvalidInput` where no direction can have it."""
    if not NAME.fullmatch(name):
        raise InvalidInput(
            f"The name {name[:80]!r} is no direction's: it takes 1 to 64 letters, digits, dots, dashes and "
            "underscores, and begins with a letter or digit."
        )
    return name


def _category(point: Point, within: str | None) -> str | None:
    return None if within is None else group_at(point.attributes, within)


def _with(now: CatalogSpec, kept: LearnedDirection) -> CatalogSpec:
    """The description with a direction, in the place of one of its name."""
    before = {each.name: each for each in now.directions}
    if kept.name in before:
        kept = replace(kept, created_at=before[kept.name].created_at)
    elif len(before) >= MAX_DIRECTIONS:
        raise InvalidInput(f"Catalog {now.name} has {MAX_DIRECTIONS} directions, and may have no more: remove one.")
    directions = sorted({**before, kept.name: kept}.values(), key=lambda each: each.name)
    return replace(now, directions=tuple(directions))
