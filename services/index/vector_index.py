"""The contract that every vector index keeps."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from services.filters import Filter
from services.records import AttributeKind, Facet, Move, Neighbor, Point, Tombstone, Vector


class VectorIndex(Protocol):
    """One generation of one catalog: vectors by product ID, under cosine.

    Writes are guarded: a stored product or tombstone changes only when the new version is greater. What is read
    never shows a tombstone. Filters speak of attribute names. Calls may come from several threads.

    Raises `IndexUnavailable` when the backend cannot answer.
    """

    dim: int

    def upsert(self, points: Sequence[Point | Tombstone]) -> list[bool]:
        """Writes points, and tombstones in place of removed ones; each vector float32, shape (dim,), length one.

        Of several for one product the one with the highest version counts. Tells for each whether it is now what
        is stored; False means that a newer change was there.

        Raises `InvalidVector` (wrong dimension, not finite), before anything is written.
        """

    def move(self, moves: Sequence[Move]) -> list[bool]:
        """Sets attributes and version of stored products, keeps vector, norm and image.

        Tells for each whether it was done; False: not stored, removed, newer, or of another image.
        """

    def get(self, product_ids: Sequence[str], *, vectors: bool = False) -> list[Point | None]:
        """The points in the order asked for; None where there is none."""

    def versions(self, product_ids: Sequence[str]) -> list[int | None]:
        """The stored versions, those of tombstones included; None where nothing is stored."""

    def scroll(
        self, *, after: str | None = None, limit: int = 100, filter: Filter | None = None, vectors: bool = False
    ) -> tuple[list[Point], str | None]:
        """The next points in a stable order of the index's own, and the cursor that goes on (None: that was all).

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
        """The nearest products by cosine, best first, without those of `exclude`."""

    def count(self, filter: Filter | None = None) -> int:
        """How many products there are."""

    def facets(self, attribute: str, *, limit: int = 10, filter: Filter | None = None) -> list[Facet]:
        """The most frequent values of an indexed attribute, most first, then by value.

        Raises `AttributeNotIndexed`.
        """

    def declare(self, attributes: Mapping[str, AttributeKind]) -> None:
        """Indexes attributes, so that filters on them are fast and they have facets; again is harmless."""

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
        """Flushes and lets go; the index is unusable afterwards."""
