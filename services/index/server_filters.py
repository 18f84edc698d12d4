"""Conversion of filters to a Qdrant server's JSON: those of queries, and the conditions of writes."""

from collections.abc import Sequence
from typing import Any

from qdrant_client.models import Filter as ServerFilter

from services.index.vector_index import point_id
from services.query.filters import Filter
from services.records import AttributeUpdate, Revision, Tombstone

Condition = dict[str, Any]
"""A condition or filter in Qdrant's JSON."""

PREFIX = "attributes."
REMOVED = "removed_at"

_IS_ALIVE: Condition = {"is_empty": {"key": REMOVED}}


def alive(filter: Filter | None = None, exclude: Sequence[str] = ()) -> ServerFilter:
    """Matches products that pass the filter and are not in `exclude`; never a tombstone."""
    passed = [] if filter is None else [_prefixed(filter.model_dump(by_alias=True, exclude_none=True))]
    return _filter(must=[_IS_ALIVE, *passed], must_not=[_ids(exclude)] if exclude else [])


def older(versions: dict[str, int]) -> ServerFilter:
    """Matches products, or their tombstones, whose versions are lower than these."""
    return _filter(should=[{"must": [_ids([id]), _below(version)]} for id, version in versions.items()])


def updatable(update: AttributeUpdate) -> ServerFilter:
    """Matches the product of an update if the update applies: lower version, not removed, the same image."""
    same_image = [] if update.image is None else [{"key": "image", "match": {"value": update.image}}]
    return _filter(must=[_ids([update.product_id]), _below(update.version), _IS_ALIVE, *same_image])


def revisable(revisions: Sequence[Revision]) -> ServerFilter:
    """Matches the products of revisions that apply: not removed, the version and the image that each has to have."""
    return _filter(should=[{"must": [_IS_ALIVE, *_same(revision)]} for revision in revisions])


def removed(before: float) -> ServerFilter:
    """Matches tombstones of products removed before that time (Unix epoch seconds)."""
    return _filter(must=[{"key": REMOVED, "range": {"lt": before}}])


def still(tombstones: Sequence[Tombstone]) -> ServerFilter:
    """Matches these tombstones, except those that a newer change has replaced."""
    same = [
        {"must": [_ids([each.product_id]), {"key": "version", "match": {"value": each.version}}]} for each in tombstones
    ]
    return _filter(should=same, must_not=[_IS_ALIVE])


def _filter(**clauses: list[Condition]) -> ServerFilter:
    return ServerFilter.model_validate(clauses)


def _ids(product_ids: Sequence[str]) -> Condition:
    return {"has_id": [point_id(product_id) for product_id in product_ids]}


def _same(revision: Revision) -> list[Condition]:
    version = {"key": "version", "match": {"value": revision.point.version}}
    if revision.image is None:
        return [_ids([revision.point.product_id]), version, {"is_null": {"key": "image"}}]
    return [_ids([revision.point.product_id]), version, {"key": "image", "match": {"value": revision.image}}]


def _below(version: int) -> Condition:
    return {"key": "version", "range": {"lt": version}}


def _prefixed(part: Condition) -> Condition:
    """Converts a condition on a product to one on its point."""
    if "key" in part:
        return part | {"key": PREFIX + part["key"]}
    if "has_id" in part:
        return _ids(part["has_id"])
    if "is_empty" in part:
        return {"is_empty": {"key": PREFIX + part["is_empty"]["key"]}}
    return {clause: [_prefixed(each) for each in conditions] for clause, conditions in part.items()}
