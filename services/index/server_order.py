"""Reading a Qdrant server's points in the order of their numbers at an attribute."""

from collections.abc import Callable, Mapping
from typing import Any

from qdrant_client import models

from services.errors import IndexRefused
from services.index import field_indexes, server_filters
from services.index.field_indexes import FieldIndex
from services.index.number_order import NumberOrder


def ordered(
    call: Callable[..., Any],
    read: Callable[[], Mapping[str, FieldIndex]],
    order: NumberOrder,
    limit: int,
    passing: models.Filter,
) -> list[tuple[float, models.Record]]:
    """See `VectorIndex.ordered`.

    Args:
        call: Calls a method of the client for the collection.
        read: The field indexes that there are.
        order: What is asked for.
        limit: How many numbers, at most.
        passing: Matches the products that are asked for.
    """
    if not field_indexes.numeric(there := read(), order.key):
        raise order.missing()
    by = models.OrderBy(
        key=server_filters.PREFIX + field_indexes.spelled(there, order.key),
        direction=models.Direction.DESC if order.descending else models.Direction.ASC,
        start_from=order.start,
    )
    try:
        records, _ = call("scroll", scroll_filter=passing, limit=limit, order_by=by, with_payload=True)
    except IndexRefused as error:
        # A write of a value of another kind may have ended the index at this moment.
        if field_indexes.numeric(read(), order.key):
            raise
        raise order.missing() from error
    return [(float(record.order_value), record) for record in records]
