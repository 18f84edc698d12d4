"""The contract of vector indexes, and the validation that all of them share."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import numpy as np

from services.descriptions import AttributeKind
from services.errors import AttributeNotIndexed, InvalidInput, InvalidVector
from services.index.number_order import NumberOrder
from services.query.filters import Filter
from services.records import AttributeUpdate, Facet, Graph, Neighbor, OtherKinds, Point, Revision, Tombstone, Vector

_PRODUCTS = uuid.UUID("9d6a3f0e-6f0b-4c53-8f0f-4b7c1f4a5e21")


def point_id(product_id: str) -> str:
    """The UUID under which every index stores a product, so that points can be copied from one index to another."""
    return str(uuid.uuid5(_PRODUCTS, product_id))


def checked_vector(vector: Vector | None, dim: int) -> Vector:
    """Returns the vector as contiguous float32, shape (dim,).

    Raises:
        InvalidVector: It is missing, of another dimension, not finite, or its length (L2 norm) is not one.
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
    """Returns the cursor of a scroll (a `point_id`) if it is valid. Raises `InvalidInput`."""
    if cursor is None:
        return None
    with suppress(ValueError):
        if cursor == str(uuid.UUID(cursor)):
            return cursor
    raise InvalidInput(f"The cursor {cursor[:80]!r} was not returned by this catalog; start again without one.")


def no_facets(attribute: str) -> AttributeNotIndexed:
    return AttributeNotIndexed(
        f"{attribute!r} has no facets; declare it as keyword, integer or bool in the catalog's indexed attributes."
    )


def done(update: AttributeUpdate, point: Point | None) -> bool:
    """Whether this point is the result of the update."""
    return point is not None and point.version == update.version and update.image in (None, point.image)


def never() -> bool:
    """Nothing cancels."""
    return False


def anything(_: int) -> None:
    """Whatever number of bytes may be written."""


def revisable(revision: Revision, stored: Point | None) -> bool:
    """Whether a revision applies to what is stored."""
    return stored is not None and (stored.version, stored.image) == (revision.point.version, revision.image)


def holds(revision: Revision, stored: Point) -> bool:
    """Whether this point is the result of a revision."""
    return (stored.version, stored.image) == (revision.point.version, revision.point.image)


class VectorIndex(Protocol):
    """One generation of one catalog: vectors by product ID, compared by cosine similarity.

    Writes are conditional: a stored product or tombstone changes only if the new version is greater. Unless a method
    says otherwise, reads never return tombstones. Filters refer to attributes by their keys. Thread-safe.

    Attributes are returned as they were written, except that a float of more than 15 digits may differ by one unit in
    the last place.

    Every method raises `IndexUnavailable` if the backend does not answer.
    """

    dim: int

    def upsert(self, points: Sequence[Point | Tombstone]) -> list[bool]:
        """Writes points, and tombstones for removed products.

        Args:
            points: Their vectors are float32, shape (dim,), length one. Of several points for one product, the one
                with the highest version is written.

        Returns:
            For each point whether its version is now the stored one. A change delivered twice is True both times;
            False means that a newer version was stored already.

        Raises:
            InvalidVector: Wrong dimension, not finite, or not of length one; nothing was written.
        """

    def update_attributes(self, updates: Sequence[AttributeUpdate]) -> list[bool]:
        """Sets attributes and version of stored products; keeps vector, norm and image.

        Of several updates for one product, the highest version that applies wins.

        Returns:
            For each update whether its version is now the stored one. False means that the product is not stored,
            removed, of a newer version, or has another image.
        """

    def revise(self, revisions: Sequence[Revision]) -> list[bool]:
        """Replaces vector, norm and image of stored products whose version and attributes stay.

        Returns:
            For each revision whether its image is now the stored one. False means that the product is not stored,
            removed, of another version, or has another image than the one it had to have.

        Raises:
            InvalidVector: As in `upsert`.
        """

    def get(self, product_ids: Sequence[str], *, vectors: bool = False) -> list[Point | None]:
        """The points in the order of the IDs; None where there is no product."""

    def versions(self, product_ids: Sequence[str]) -> list[int | None]:
        """The stored versions in the order of the IDs, tombstones included; None where nothing is stored."""

    def scroll(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        filter: Filter | None = None,
        vectors: bool = False,
    ) -> tuple[list[Point], str | None]:
        """Returns a page of points in a stable order of the index's own, and the cursor of the next page.

        A product that is stored from the first page to the last is returned exactly once, whatever is written
        meanwhile. The cursor is None after the last page.

        Raises:
            InvalidInput: `after` is not a valid cursor.
        """

    def ordered(
        self, order: NumberOrder, *, limit: int = 100, filter: Filter | None = None
    ) -> list[tuple[float, Point]]:
        """Returns the first `limit` numbers of this order, and the products that have them and pass the filter.

        A product with several numbers there comes once for each that is different, so more than once. The order among
        equal numbers is undefined. Numbers are those that range filters compare, which may differ by one unit in the
        last place from those in the attributes.

        Raises:
            AttributeNotIndexed: The attribute is not indexed as integer or float, or has integers beyond 2**53 in an
                index of integers.
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
        """Returns the nearest products by cosine similarity, best first, with scores of at least `min_score`.

        Products in `exclude` (IDs) are left out. The order among equal scores is undefined and may differ from one
        page to the next.

        Raises:
            InvalidVector: As in `upsert`.
        """

    def search_each(
        self, vectors: Sequence[Vector], *, limit: int = 10, min_score: float | None = None, exclude: Sequence[str] = ()
    ) -> list[list[Neighbor]]:
        """Returns what `search` finds for each of these vectors, at a fraction of the cost of a search each.

        A walk of the search graph keeps fewer candidates: it finds what is near as surely as `search`, and may miss
        more of the rest.

        Raises:
            InvalidVector: As in `upsert`.
        """

    def count(self, filter: Filter | None = None) -> int:
        """The number of products that pass the filter."""

    def facets(self, attribute: str, *, limit: int = 10, filter: Filter | None = None) -> list[Facet]:
        """Returns the most frequent values of an attribute with their counts, most frequent first, then by value.

        Raises:
            AttributeNotIndexed: The attribute is not indexed as keyword, integer or bool.
        """

    def declare(self, attributes: Mapping[str, AttributeKind]) -> dict[str, OtherKinds]:
        """Indexes attributes, which makes filters on them fast and allows facets. Idempotent.

        A filter matches the same products, whether an attribute is indexed or not. So an attribute of which a product
        has a value of another kind is not indexed, and one of which such a value is written later is not indexed any
        more; declaring it again, when no product has one, indexes it. Null is of every kind, an integer is a float,
        1.0 is no integer, and of a list each element counts. All products are read, unless the attributes are indexed
        already. Names are the keys of filters (`size.width`, `tags[]`).

        Returns:
            Of each attribute that was not indexed for that reason, how many products have such values, and some.

        Raises:
            InvalidInput: A name is not a valid key.
        """

    def max_version(self) -> int:
        """The highest stored version, tombstones included; 0 for an empty index."""

    def tombstones(self, *, before: float) -> Iterable[Tombstone]:
        """The tombstones of products removed before that time (Unix epoch seconds)."""

    def purge(self, tombstones: Sequence[Tombstone]) -> None:
        """Deletes these tombstones, except those that a newer change has replaced."""

    def graph(self) -> Graph:
        """How many of the products the search graph holds, and what searches cost."""

    def optimize(self, *, check_space: Callable[[int], None] = anything, canceled: Callable[[], bool] = never) -> bool:
        """Builds the search graph, and returns when it is in use; calls of other threads go on meanwhile.

        It takes minutes. A process of its own builds the graph on a copy, at low priority, and ends with this process.
        Writes wait while the copy is made. What a process that was killed left of a build is gone at the next one, or
        when the index is opened.

        Args:
            check_space: Raises `DataFull` where so many bytes should not be written.
            canceled: Whether the build is no longer wanted. It is called often, also while writes wait.

        Returns:
            Whether a graph was built: False where none was due, or where it was canceled.

        Raises:
            Conflict: The graph is being built by another call.
            GraphNotBuilt: The process that builds it failed.
            DataFull: There is no space for the copy, or not any more.
            DataNotWritable: The copy cannot be written.
            IndexUnavailable: Also where the index is closed meanwhile.
        """

    def flush(self) -> None:
        """Makes all writes durable: after it returns, they survive the end of the process."""

    def close(self) -> None:
        """Flushes and releases the index, which is unusable afterwards. Idempotent."""
