"""The directions of a catalog: learned from two sets of its products, kept with it, and learned anew as it changes.

A direction is an object in media: what it is to be learned from, and its vector. The description of the catalog names
it, with what lists show.
"""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import structlog

from services.catalog.background import attempt
from services.catalog.definition import Definition, from_bytes, to_bytes
from services.catalog.space import CHANGED, CHECK_SECONDS
from services.descriptions import CatalogSpec, LearnedDirection, rfc3339, with_directions
from services.errors import DataCorrupt, DirectionNotFound, FeaturesNotFound, InvalidInput, LookalikeError
from services.index.vector_index import VectorIndex
from services.query.direction import WEAK, Direction
from services.query.space import Space
from services.records import Vector
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
        beside: Does what nobody waits for, whose name it gets, too.
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
        beside: Callable[[str, Callable[[], object]], object] = attempt,
    ) -> None:
        self._index = index
        self._media = media
        self._described = described
        self._renewed = renewed
        self._describe = describe
        self._space = space
        self._beside = beside
        self._lock = threading.Lock()
        self._loaded: dict[str, tuple[Definition, Vector]] = {}
        self._checked_at: dict[str, float] = {}
        self._failed: dict[str, tuple[float, LookalikeError]] = {}

    def all(self) -> tuple[LearnedDirection, ...]:
        """All of them, by name."""
        return self._renewed().directions

    def get(self, name: str) -> tuple[LearnedDirection, Definition]:
        """One of them, and what it is learned from. Raises `DirectionNotFound`."""
        kept = self._find(name)
        return kept, self._load(kept)[0]

    def named(self, name: str) -> Direction:
        """One of them, for a query.

        Where the catalog has many more products, or many fewer, than it was learned from, it is learned anew beside
        this. Where the catalog has other vectors now, it is learned anew first.

        Raises `DirectionNotFound`; where the catalog has other vectors now, also what `learn` does.
        """
        kept = self._find(name)
        if kept.fingerprint != self._described().fingerprint:
            kept = self._of_now(name)
        elif self._has_changed(kept):
            self._beside(f"learning direction {name} anew", lambda: self._relearn(kept))
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
        definition = self.checked(name, definition)
        kept = self._learned(name, definition, is_forced=definition.force, check=check)
        self._describe(lambda now: _with(now, kept))
        return self._find(name)

    def checked(self, name: str, definition: Definition) -> Definition:
        """What a direction of this name is to be learned from. Raises `InvalidInput`s where it cannot be."""
        checked_name(name)
        there = [each.name for each in self._described().directions]
        if name not in there and len(there) >= MAX_DIRECTIONS:
            raise too_many(self._described())
        return definition.checked(self._described().features)

    def remove(self, name: str) -> None:
        """Forgets one of them. Raises `DirectionNotFound`."""
        self._find(name)
        self._describe(lambda now: replace(now, directions=tuple(each for each in now.directions if each.name != name)))

    def _learned(
        self, name: str, definition: Definition, *, is_forced: bool, check: Callable[[], object]
    ) -> LearnedDirection:
        # Late: it is needed only here.
        from services.catalog.examples import examples_of
        from services.explore.directions import learned, usable

        spec, what = self._described(), f"Direction {name}"
        space = self._space() if spec.features == "head" else None
        mean = space.mean if space else None
        examples = examples_of(self._index, spec.indexed_attributes, definition, mean, what, check)
        check()
        weights = (definition.color_weight,) if definition.color_weight else COLOR_WEIGHTS
        found = learned(examples, weights if spec.features == "tuned" else (1.0,), what)
        if not is_forced:
            found = usable(found, what)
        check()
        now = rfc3339(datetime.now(UTC))
        return LearnedDirection(
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
                # What has been learned anew since then is among them.
                self._loaded.clear()
                self._checked_at.clear()
            try:
                loaded = self._loaded[kept.object] = from_bytes(self._media.read_object(kept.object))
            except (FeaturesNotFound, DataCorrupt) as error:
                raise DirectionNotFound(
                    f"What direction {kept.name} has learned is not in media, or is damaged: restore that folder or a "
                    "backup, or learn it again."
                ) from error
        return loaded

    def _of_now(self, name: str) -> LearnedDirection:
        """One of them, learned from the vectors that the catalog has now. What failed is not tried again at once."""
        with self._lock:
            kept = self._find(name)
            if kept.fingerprint == self._described().fingerprint:
                return kept
            failed_at, error = self._failed.get(kept.object, (-np.inf, None))
            if error is not None and time.monotonic() < failed_at + CHECK_SECONDS:
                raise error
            try:
                return self._relearn(kept)
            except LookalikeError as failed:
                if not failed.retryable:
                    self._failed = {kept.object: (time.monotonic(), failed)}
                raise

    def _has_changed(self, kept: LearnedDirection) -> bool:
        """Whether the catalog has many more products than it had, or many fewer, which is looked at now and then."""
        if time.monotonic() < self._checked_at.get(kept.object, -np.inf) + CHECK_SECONDS:
            return False
        self._checked_at = {**self._checked_at, kept.object: time.monotonic()}
        return not kept.products / CHANGED <= self._index.count() <= kept.products * CHANGED

    def _relearn(self, before: LearnedDirection) -> LearnedDirection:
        """Learns one anew, unless somebody has learned it otherwise, or removed it, meanwhile. However weak it has
        become, it is kept."""
        definition, _ = self._load(before)
        kept = self._learned(before.name, definition, is_forced=True, check=lambda: None)
        self._describe(lambda now: _with(now, kept, before.object))
        return self._find(before.name)


def is_weak(direction: LearnedDirection) -> bool:
    """Whether what it leads to is often something else."""
    return direction.quality < WEAK


def told(direction: LearnedDirection) -> dict[str, Any]:
    """A direction as it is shown: its fields as JSON, and whether it is weak. What object it has in media, and of which
    vectors it is, is its own affair."""
    shown = asdict(direction) | {"weak": is_weak(direction)}
    return {name: value for name, value in shown.items() if name not in ("object", "fingerprint")}


def checked_name(name: str) -> str:
    """The name itself. Raises `InvalidInput` where no direction can have it."""
    if not NAME.fullmatch(name):
        raise InvalidInput(
            f"The name {name[:80]!r} is no direction's: it takes 1 to 64 letters, digits, dots, dashes and "
            "underscores, and begins with a letter or digit."
        )
    return name


def too_many(spec: CatalogSpec) -> InvalidInput:
    return InvalidInput(f"Catalog {spec.name} has {MAX_DIRECTIONS} directions, and may have no more: remove one.")


def _with(now: CatalogSpec, kept: LearnedDirection, instead_of: str | None = None) -> CatalogSpec:
    """The description with a direction, in the place of one of its name; with `instead_of`, only if that one's object
    is this."""
    before = {each.name: each for each in now.directions}
    if instead_of is not None and (kept.name not in before or before[kept.name].object != instead_of):
        return now
    if kept.name in before:
        kept = replace(kept, created_at=before[kept.name].created_at)
    elif len(before) >= MAX_DIRECTIONS:
        raise too_many(now)
    return with_directions(now, [kept])
