"""The field indexes of attributes in Qdrant Edge."""

from collections.abc import Callable, Mapping
from typing import Any

import qdrant_edge as qdrant

from services.descriptions import AttributeKind
from services.index.field_indexes import FieldIndex
from services.query.filters import steps

PREFIX = "attributes."

_KINDS = {
    qdrant.PayloadSchemaType.Keyword: AttributeKind.KEYWORD,
    qdrant.PayloadSchemaType.Integer: AttributeKind.INTEGER,
    qdrant.PayloadSchemaType.Float: AttributeKind.FLOAT,
    qdrant.PayloadSchemaType.Bool: AttributeKind.BOOL,
}


def create_own(update: Callable[[qdrant.UpdateOperation], None]) -> None:
    """Creates the field indexes that writes and tombstones need."""
    # Vector searches never filter by these, so the graph needs no links for them.
    version = qdrant.IntegerIndexParams(enable_hnsw=False)
    removed_at = qdrant.FloatIndexParams(enable_hnsw=False)
    update(qdrant.UpdateOperation.create_field_index("version", version))
    update(qdrant.UpdateOperation.create_field_index("removed_at", removed_at))


class EdgeFields:
    """`FieldIndexes` of one shard, which only this process changes.

    An index that is not checked yet is only remembered, and built when it is checked.

    Args:
        read: The shard's payload schema.
        update: Applies an operation to the shard.
    """

    def __init__(
        self,
        read: Callable[[], Mapping[str, Any]],
        update: Callable[[qdrant.UpdateOperation], None],
    ) -> None:
        self._update = update
        self._read = read
        self._built = self._stored()
        self._begun: dict[str, FieldIndex] = {}

    def read(self) -> Mapping[str, FieldIndex]:
        return self._built | self._begun

    def built(self) -> Mapping[str, FieldIndex]:
        """Those that answer queries."""
        return self._built

    def create(self, attribute: str, index: FieldIndex) -> None:
        name = self._name(attribute)
        self._begun.pop(name, None)
        if not index.checked and name not in self._built:
            self._begun[name] = index
        elif self._built.get(name) != index:
            self._update(qdrant.UpdateOperation.create_field_index(PREFIX + name, _schema(index)))
            self._built = self._stored()

    def delete(self, attribute: str) -> None:
        name = self._name(attribute)
        self._begun.pop(name, None)
        if name in self._built:
            self._update(qdrant.UpdateOperation.delete_field_index(PREFIX + name))
            self._built = self._stored()

    def _name(self, attribute: str) -> str:
        """The key as the shard spells it."""
        return next((name for name in self._built if steps(name) == steps(attribute)), attribute)

    def _stored(self) -> dict[str, FieldIndex]:
        return stored_fields(self._read())


def stored_fields(schema: Mapping[str, Any]) -> dict[str, FieldIndex]:
    """The field indexes of attributes in a shard's payload schema."""
    return {
        key.removeprefix(PREFIX): FieldIndex(
            _KINDS[index.data_type],
            checked=getattr(index.params, "enable_hnsw", None) is True,
            ranges=getattr(index.params, "range", None) is not False,
        )
        for key, index in schema.items()
        if key.startswith(PREFIX)
    }


def _schema(index: FieldIndex) -> Any:
    # True is the default. Older versions did not name it, so where it is named the index was checked.
    hnsw = True if index.checked else None
    match index.kind:
        case AttributeKind.KEYWORD:
            return qdrant.KeywordIndexParams(enable_hnsw=hnsw)
        case AttributeKind.INTEGER:
            return qdrant.IntegerIndexParams(lookup=True, range=index.ranges, enable_hnsw=hnsw)
        case AttributeKind.FLOAT:
            return qdrant.FloatIndexParams(enable_hnsw=hnsw)
    return qdrant.BoolIndexParams(enable_hnsw=hnsw)
