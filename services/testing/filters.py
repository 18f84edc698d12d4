"""What a filter means, written down a second time, in plain Python."""

from collections.abc import Iterable, Iterator
from typing import Any

from services.kinds import found_at, leaves_at
from services.query.filters import FieldCondition, Filter, HasId, IsEmpty, Match, Range, steps
from services.records import Attributes, Point


def matches(filter: Filter, point: Point) -> bool:
    """Whether a product passes a filter."""
    return (
        all(_holds(condition, point) for condition in filter.must)
        and not any(_holds(condition, point) for condition in filter.must_not)
        and (not filter.should or any(_holds(condition, point) for condition in filter.should))
    )


def _holds(condition: Filter | FieldCondition | IsEmpty | HasId, point: Point) -> bool:
    match condition:
        case Filter():
            return matches(condition, point)
        case HasId():
            return point.product_id in condition.has_id
        case IsEmpty():
            return all(value in (None, []) for value in found_at(point.attributes, steps(condition.is_empty.key)))
        case FieldCondition(match=Match() as match):
            return any(_matched(match, value) for value in leaves(point.attributes, condition.key))
        case FieldCondition(range=Range() as range):
            return any(_within(range, value) for value in leaves(point.attributes, condition.key))
    raise AssertionError(condition)


def _matched(match: Match, value: object) -> bool:
    if match.any is not None:
        return _in(value, match.any)
    if match.except_ is not None:
        return value is not None and not _in(value, match.except_)
    return _in(value, [match.value])


def _in(value: object, values: Iterable[object]) -> bool:
    """In JSON true is not 1, and 1.0 is not 1 for Qdrant."""
    return any(type(value) is type(other) and value == other for other in values)


def _within(range: Range, value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    number = float(value)
    return (
        (range.gt is None or number > range.gt)
        and (range.gte is None or number >= range.gte)
        and (range.lt is None or number < range.lt)
        and (range.lte is None or number <= range.lte)
    )


def leaves(attributes: Attributes, key: str) -> Iterator[Any]:
    """The values at a key, and of a list there its elements."""
    return leaves_at(attributes, steps(key))
