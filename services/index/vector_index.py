"""The contract that every vector index keeps."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import numpy as np

from services.errors import AttributeNotIndexed, InvalidInput, InvalidVector
from services.query.filters import Filter, is_key
from services.records import AttributeKind, AttributeUpdate, Facet, Neighbor, Point, Tombstone, Vector

_PRODUCTS = uuid.UUID("9d6a3f0e-6f0b-4c53-8f0f-4b7c1f4a5e21")


def point_id(product_id: str) -> str:
    """The UUID under which every index keeps a product, so that its points can move to another one."""
    return str(uuid.uuid5(_PRODUCTS, product_id))


def checked_vector(vector: Vector | None, dim: int) -> Vector:
    """The vector as contiguous float32.

    Raises `InvalidVector` for another dimension, numbers that are not finite, or a length other than one.
    """
    if vector is None or vector.shape != (dim,):
        found = "is missing" if vector is None else f"has shape {vector.shape}"
        raise InvalidVector(f"The vector {found}; this index takes vectors of {dim} numbers.")
    checked = np.ascontiguousarray(vector, dtype=np.float32)
    if not np.isfinite(checked).all():
        raise InvalidVector("The vector holds NaN or infinity; every number must be finite.")
    length = float(np.linalg.norm(checked))
    if abs(length - 1) > 1e-3:
        raise InvalidVector(f"The vector has length {length:.4g}; divide it by that, the index takes length one.")
    return checked


def checked_cursor(cursor: str | None) -> str | None:
    """The cursor of a scroll by `point_id`s. Raises `InvalidInput` for one that is none."""
    if cursor is None:
        return None
    with suppress(ValueError):
        if cursor == str(uuid.UUID(cursor)):
            return cursor
    raise InvalidInput(f"The cursor {cursor[:80]!r} is none that this catalog gave out; start again without one.")


def checked_attributes(names: Iterable[str]) -> None:
    """Raises `InvalidInput` for a name of an attribute that is none."""
    for name in names:
        if not is_key(name):
            raise InvalidInput(f'{name!r} is no attribute; write size.width, tags[] or "a.b".')


def no_facets(attribute: str) -> AttributeNotIndexed:
    return AttributeNotIndexed(
        f"{attribute!r} has no facets; declare it as keyword, integer or bool in the catalog's indexed attributes."
    )


def done(move: AttributeUpdate, point: Point | None) -> bool:
    """Whether a move is what made this point."""
    return point is not None and point.version == move.version and move.image in (None, point.image)


class VectorIndex(Protocol):
    """One generation of one catalog: vectors by product ID, under cosine.

    Writes are guarded: a stored product or tombstone changes only when the new version is greater. What is read
    never shows a tombstone. Filters speak of attribute names. Calls may come from several threads.

    Attributes come back as they were, but that a float of more than 15 digits may be one unit in the last place
    off.

    Raises `IndexUnavailable` when the backend cannot answer.
    """

    dim: int

    def upsert(self, points: Sequence[Point | Tombstone]) -> list[bool]:
        """Writes points, and tombstones in place of removed ones; each vector float32, shape (dim,), length one.

        Of several for one product the one with the highest version counts. Tells for each whether its version is
        now the one stored, so a change delivered twice is True twice; False means that a newer one was there.

        Raises `InvalidVector` (wrong dimension, not finite, not of length one), before anything is written.
        """

    def update_attributes(self, moves: Sequence[AttributeUpdate]) -> list[bool]:
        """Sets attributes and version of stored products at once, keeps vector, norm and image.

        Of several for one product the highest version that may be done counts. Tells for each whether its version
        is now the one stored; False: not stored, removed, newer, or of another image.
        """

    def get(self, product_ids: Sequence[str], *, vectors: bool = False) -> list[Point | None]:
        """The points in the order asked for; None where there is none."""

    def versions(self, product_ids: Sequence[str]) -> list[int | None]:
        """The stored versions, those of tombstones included; None where nothing is stored."""

    def scroll(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        filter: Filter | None = None,
        vectors: bool = False,
    ) -> tuple[list[Point], str | None]:
        """The next points in a stable order of the index's own, and the cursor that goes on (None: that was all).

        Each product that is there from the first page to the last is shown once, whatever is written meanwhile.

        Raises `InvalidInput` for a cursor that is none.
        """

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
        """The nearest products by cosine, best first, without those of `exclude`; scores from `min_score` up.

        The order among equal scores is not promised, nor that it is the same from one page to the next.

        Raises `InvalidVector`, as `upsert` does.
        """

    def count(self, filter: Filter | None = None) -> int:
        """How many products there are."""

    def facets(self, attribute: str, *, limit: int = 10, filter: Filter | None = None) -> list[Facet]:
        """The most frequent values of an attribute, most first, then by value.

        Raises `AttributeNotIndexed` unless it was declared a keyword, an integer or a bool.
        """

    def declare(self, attributes: Mapping[str, AttributeKind]) -> None:
        """Indexes attributes, so that filters on them are fast and they have facets; again is harmless.

        From then on a filter may take values of another kind than the declared one as missing. Names are those of
        filters (`size.width`, `tags[]`).

        Raises `InvalidInput` for a name that is none.
        """

    def max_version(self) -> int:
        """The highest version stored, tombstones included; 0 for an empty index."""

    def tombstones(self, *, before: float) -> Iterable[Tombstone]:
        """The tombstones of products removed before that time (Unix epoch seconds)."""

    def purge(self, tombstones: Sequence[Tombstone]) -> None:
        """Forgets these tombstones; one that a newer change has replaced stays as it is."""

    def optimize(self) -> bool:
        """Builds the search graph; True if there was work. Blocks the whole process: never in one that serves."""

    def flush(self) -> None:
        """When it returns, all that was written survives the process."""

    def close(self) -> None:
        """Flushes and lets go; the index is unusable afterwards. Closing again is harmless."""
