"""Conditions as a Qdrant server takes them: those of queries, and those that guard writes."""

from collections.abc import Sequence
from typing import Any

from qdrant_client.models import Filter as ServerFilter

from services.index.vector_index import point_id
from services.query.filters import Filter
from services.records import AttributeUpdate, Tombstone

Condition = dict[str, Any]
"""A condition or filter in Qdrant's JSON."""

PREFIX = "attributes."
REMOVED = "removed_at"

_IS_ALIVE: Condition = {"is_empty": {"key": REMOVED}}


def alive(filter: Filter | None = None, exclude: Sequence[str] = ()) -> ServerFilter:
    """Products that pass the filter; never a tombstone."""
    passed = [] if filter is None else [_prefixed(filter.model_dump(by_alias=True, exclude_none=True))]
    return _filter(must=[_IS_ALIVE, *passed], must_not=[_ids(exclude)] if exclude else [])


def older(versions: dict[str, int]) -> ServerFilter:
    """Products, or their tombstones, below these versions."""
    return _filter(should=[{"must": [_ids([id]), _below(version)]} for id, version in versions.items()])


def movable(move: AttributeUpdate) -> ServerFilter:
    """The product of a move, as long as the move may be done."""
    same_image = [] if move.image is None else [{"key": "image", "match": {"value": move.image}}]
    return _filter(must=[_ids([move.product_id]), _below(move.version), _IS_ALIVE, *same_image])


def removed(before: float) -> ServerFilter:
    """Tombstones of that time."""
    return _filter(must=[{"key": REMOVED, "range": {"lt": before}}])


def still(tombstones: Sequence[Tombstone]) -> ServerFilter:
    """These tombstones, but for those of which something newer has taken the place."""
    same = [
        {"must": [_ids([each.product_id]), {"key": "version", "match": {"value": each.version}}]} for each in tombstones
    ]
    return _filter(should=same, must_not=[_IS_ALIVE])


def _filter(**clauses: list[Condition]) -> ServerFilter:
    return ServerFilter.model_validate(clauses)


def _ids(product_ids: Sequence[str]) -> Condition:
    return {"has_id": [point_id(product_id) for product_id in product_ids]}


def _below(version: int) -> Condition:
    return {"key": "version", "range": {"lt": version}}


def _prefixed(part: Condition) -> Condition:
    """A condition on attributes as one on stored points."""
    if "key" in part:
        return part | {"key": PREFIX + part["key"]}
    if "is_empty" in part:
        return {"is_empty": {"key": PREFIX + part["is_empty"]["key"]}}
    return {clause: [_prefixed(each) for each in conditions] for clause, conditions in part.items()}
