"""Products with their versions, out of one catalog and into another: what backups and migrations move."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from services.errors import Conflict
from services.images.intake import Intake
from services.index.vector_index import VectorIndex
from services.paging import paginate
from services.records import Point, Tombstone
from services.storage.media import Media


def read_points(index: VectorIndex, batch_size: int, *, vectors: bool = True) -> Iterator[Point]:
    """Every product as the index keeps it, with its vector unless that is not asked for."""
    return paginate(lambda cursor: index.scroll(after=cursor, limit=batch_size, vectors=vectors))


def write_points(
    index: VectorIndex,
    points: Iterable[Point | Tombstone],
    intake: Intake,
    originals: Media | None,
    *,
    batch_size: int,
    check_space: Callable[[int], None],
    written: Callable[[Sequence[str]], None],
) -> int:
    """See `Catalog.copy`; `written` is called with the IDs of each batch."""
    count = 0
    stream = iter(points)
    while batch := list(islice(stream, batch_size)):
        check_space(0)
        for point in batch:
            if originals and isinstance(point, Point) and point.image:
                intake.copy(point.image, originals)
        index.upsert(batch)
        index.flush()
        written([point.product_id for point in batch])
        count += len(batch)
    return count


def check_copy(catalog: str, source: VectorIndex, copy: VectorIndex) -> None:
    """See `Catalog.check_copy`."""
    if (source.count(), source.max_version()) != (copy.count(), copy.max_version()):
        raise Conflict(
            f"The copy of {catalog} has {copy.count()} products up to version {copy.max_version()}, and the "
            f"catalog has {source.count()} up to {source.max_version()}: either one was changed meanwhile, so run "
            "it again, or the copy is an older one with more, so remove that first."
        )
