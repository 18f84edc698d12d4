"""Schemas of OpenAPI of a filter: each of its variants by a name, since generators make a type of each."""

from typing import Any

from api.openapi.references import object_of, reference
from services.query.filters import MAX_IDS

_NAME = r'([\w-]+|"[^"\\]*")(\[[0-9]{0,9}\])*'
_KEY = {"type": "string", "maxLength": 256, "pattern": rf"^{_NAME}(\.{_NAME})*$", "examples": ["color", "size.width"]}
_INT64 = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
_VALUES = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "array", "items": _INT64}]}
_CONDITIONS = {
    "anyOf": [reference("Condition"), {"type": "array", "items": reference("Condition")}],
}


def _conditions(description: str) -> dict[str, Any]:
    return _CONDITIONS | {"description": description}


FILTERS: dict[str, dict[str, Any]] = {
    "Filter": object_of(
        must=_conditions("All of these hold."),
        must_not=_conditions("None of these holds."),
        should=_conditions("One of these holds, or more."),
    )
    | {
        "description": "Which products: all of must, none of must_not, one or more of should. Up to 8 deep.",
        "examples": [{"must": [{"key": "color", "match": {"value": "red"}}, {"key": "price", "range": {"lt": 50}}]}],
    },
    "Condition": {
        "description": "One condition of a filter, or a filter in its place.",
        "anyOf": [
            reference(name)
            for name in ("Filter", "MatchCondition", "RangeCondition", "EmptyCondition", "ProductCondition")
        ],
    },
    "MatchCondition": object_of("key", "match", key=_KEY, match=reference("Match"))
    | {"description": "An attribute has a value, or a list that contains it."},
    "RangeCondition": object_of("key", "range", key=_KEY, range=reference("Range"))
    | {"description": "An attribute has a number in a range."},
    "EmptyCondition": object_of("is_empty", is_empty=reference("EmptyAttribute"))
    | {"description": "An attribute has no value."},
    "EmptyAttribute": object_of("key", key=_KEY) | {"description": "Which attribute has no value."},
    "ProductCondition": object_of("has_id", has_id={"type": "array", "items": {"type": "string"}, "maxItems": MAX_IDS})
    | {"description": "The product is one of these."},
    "Match": {
        "description": "Which values.",
        "anyOf": [reference(name) for name in ("MatchValue", "MatchAny", "MatchExcept")],
    },
    "MatchValue": object_of("value", value={"anyOf": [{"type": "string"}, _INT64, {"type": "boolean"}]})
    | {"description": "This value."},
    "MatchAny": object_of("any", any=_VALUES) | {"description": "One of these values."},
    "MatchExcept": object_of("except", **{"except": _VALUES}) | {"description": "Any value but these."},
    "Range": object_of(**{bound: {"type": "number"} for bound in ("gt", "gte", "lt", "lte")})
    | {"minProperties": 1, "description": "Bounds of a number: greater, greater or equal, less, less or equal."},
}
"""By name."""
