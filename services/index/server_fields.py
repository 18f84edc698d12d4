"""The field indexes of attributes on a Qdrant server."""

from collections.abc import Callable, Mapping
from typing import Any

from qdrant_client import models

from services.descriptions import AttributeKind
from services.index.field_indexes import FieldIndex
from services.index.server_filters import PREFIX


class ServerFields:
    """`FieldIndexes` of one collection, which other processes may change, too.

    Args:
        call: Calls a method of the client for the collection.
        write: The options of a write.
    """

    def __init__(self, call: Callable[..., Any], write: Mapping[str, Any]) -> None:
        self._call = call
        self._write = write

    def read(self) -> dict[str, FieldIndex]:
        return field_indexes(self._call("get_collection"))

    def create(self, attribute: str, index: FieldIndex) -> None:
        self._call("create_payload_index", PREFIX + attribute, _schema(index), **self._write)

    def delete(self, attribute: str) -> None:
        self._call("delete_payload_index", PREFIX + attribute, **self._write)


def field_indexes(collection: models.CollectionInfo) -> dict[str, FieldIndex]:
    """The attributes that a collection has payload indexes for."""
    return {
        key.removeprefix(PREFIX): FieldIndex(
            AttributeKind(index.data_type.value),
            checked=getattr(index.params, "enable_hnsw", None) is True,
            ranges=getattr(index.params, "range", None) is not False,
        )
        for key, index in collection.payload_schema.items()
        if key.startswith(PREFIX)
    }


def _schema(index: FieldIndex) -> Any:
    # True is the default. Older versions did not name it, so where it is named the index was checked.
    hnsw = True if index.checked else None
    match index.kind:
        case AttributeKind.KEYWORD:
            return models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, enable_hnsw=hnsw)
        case AttributeKind.INTEGER:
            return models.IntegerIndexParams(
                type=models.IntegerIndexType.INTEGER, lookup=True, range=index.ranges, enable_hnsw=hnsw
            )
        case AttributeKind.FLOAT:
            return models.FloatIndexParams(type=models.FloatIndexType.FLOAT, enable_hnsw=hnsw)
    return models.BoolIndexParams(type=models.BoolIndexType.BOOL, enable_hnsw=hnsw)
