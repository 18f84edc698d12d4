"""Reading Qdrant Edge's points in the order of their numbers at an attribute."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import qdrant_edge as qdrant

from services.index import edge_filters, field_indexes
from services.index.field_indexes import FieldIndex
from services.index.number_order import NumberOrder


def ordered(
    opened: Callable[[], AbstractContextManager[qdrant.EdgeShard]],
    built: Callable[[], Mapping[str, FieldIndex]],
    order: NumberOrder,
    limit: int,
    passing: qdrant.Filter,
) -> list[tuple[float, qdrant.Record]]:
    """See `VectorIndex.ordered`.

    Args:
        opened: Yields the shard.
        built: The field indexes that answer queries.
        order: What is asked for.
        limit: How many numbers, at most.
        passing: Matches the products that are asked for.
    """
    if not field_indexes.numeric(there := built(), order.key):
        raise order.missing()
    direction = qdrant.Direction.Desc if order.descending else qdrant.Direction.Asc
    by = qdrant.OrderBy(edge_filters.key(field_indexes.spelled(there, order.key)), direction, order.start)
    request = qdrant.ScrollRequest(limit=limit, filter=passing, order_by=by, with_payload=True, with_vector=False)
    try:
        with opened() as shard:
            records, _ = shard.scroll(request)
    except Exception as error:  # the library has no class of its own for this
        # A write of a value of another kind may have ended the index at this moment.
        if field_indexes.numeric(built(), order.key):
            raise
        raise order.missing() from error
    return [(_number(record), record) for record in records]


def _number(record: qdrant.Record) -> float:
    value = record.order_value
    assert isinstance(value, int | float), "an index of numbers orders by numbers"
    return float(value)
