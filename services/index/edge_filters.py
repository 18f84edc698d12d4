"""Conversion of filters to Qdrant Edge's types: those of queries, and the conditions of writes."""

from collections.abc import Sequence

import numpy as np
import qdrant_edge as qdrant

from services.index.vector_index import point_id
from services.query.filters import FieldCondition, Filter, HasId, IsEmpty, Match, Range
from services.records import AttributeUpdate, Tombstone


def key(attribute: str) -> str:
    """The key of an attribute in the payload of a point."""
    return f"attributes.{attribute}"


def alive(filter: Filter | None = None, exclude: Sequence[str] = ()) -> qdrant.Filter:
    """Matches products that pass the filter and are not in `exclude`; never a tombstone."""
    must: list[qdrant.ConditionType] = [qdrant.IsEmptyCondition("removed_at")]
    if filter is not None:
        must.append(_filter(filter))
    return qdrant.Filter(must=must, must_not=[_ids(exclude)] if exclude else None)


def alive_until(version: int) -> qdrant.Filter:
    """Matches products of this version or a lower one; never a tombstone."""
    until = qdrant.FieldCondition("version", range=qdrant.RangeFloat(lte=version))
    return qdrant.Filter(must=[qdrant.IsEmptyCondition("removed_at"), until])


def older(product_id: str, version: int) -> qdrant.Filter:
    """Matches this product, or its tombstone, if its version is lower."""
    return qdrant.Filter(must=[_ids([product_id]), _below(version)])


def updatable(update: AttributeUpdate) -> qdrant.Filter:
    """Matches the product of an update if the update applies: lower version, not removed, the same image."""
    must: list[qdrant.ConditionType] = [_ids([update.product_id]), _below(update.version)]
    must.append(qdrant.IsEmptyCondition("removed_at"))
    if update.image is not None:
        must.append(qdrant.FieldCondition("image", match=qdrant.MatchValue(update.image)))
    return qdrant.Filter(must=must)


def removed(before: float) -> qdrant.Filter:
    """Matches tombstones of products removed before that time (Unix epoch seconds)."""
    return qdrant.Filter(must=[qdrant.FieldCondition("removed_at", range=qdrant.RangeFloat(lt=before))])


def still(tombstone: Tombstone) -> qdrant.Filter:
    """Matches this tombstone, unless a newer change has replaced it."""
    version = qdrant.FieldCondition("version", match=qdrant.MatchValue(tombstone.version))
    return qdrant.Filter(must=[_ids([tombstone.product_id]), version], must_not=[qdrant.IsEmptyCondition("removed_at")])


def _ids(product_ids: Sequence[str]) -> qdrant.HasIdCondition:
    return qdrant.HasIdCondition({point_id(product_id) for product_id in product_ids})


def _below(version: int) -> qdrant.FieldCondition:
    return qdrant.FieldCondition("version", range=qdrant.RangeFloat(lt=version))


def _filter(filter: Filter) -> qdrant.Filter:
    return qdrant.Filter(
        must=[_condition(each) for each in filter.must],
        must_not=[_condition(each) for each in filter.must_not],
        should=[_condition(each) for each in filter.should],
    )


def _condition(condition: Filter | FieldCondition | IsEmpty | HasId) -> "qdrant.ConditionType":
    match condition:
        case Filter():
            return _filter(condition)
        case IsEmpty():
            return qdrant.IsEmptyCondition(key(condition.is_empty.key))
        case HasId():
            return _ids(condition.has_id)
        case FieldCondition(match=Match() as match):
            return qdrant.FieldCondition(key(condition.key), match=_match(match))
        case FieldCondition(range=Range() as range):
            return qdrant.FieldCondition(key(condition.key), range=qdrant.RangeFloat(**range.model_dump()))
    raise AssertionError(f"{condition} was not validated")


def _match(match: Match) -> "qdrant.MatchType":
    if match.any is not None:
        return qdrant.MatchAny(list(match.any))  # type: ignore[arg-type]
    if match.except_ is not None:
        return qdrant.MatchExcept(list(match.except_))  # type: ignore[arg-type]
    value = match.value
    assert value is not None, "validated: exactly one"
    # The binding converts Python's True to the integer 1; only numpy's becomes true.
    return qdrant.MatchValue(np.bool_(value) if isinstance(value, bool) else value)  # type: ignore[arg-type]
