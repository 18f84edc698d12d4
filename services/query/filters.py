"""The filters of queries: Qdrant's JSON, with keys that are paths into a product's attributes.

    {"must": [{"key": "color", "match": {"value": "red"}}, {"key": "price", "range": {"lt": 50}}],
     "must_not": {"key": "tags", "match": {"any": ["sale", "used"]}},
     "should": [{"is_empty": {"key": "size.width"}}, {"has_id": ["SKU-1", "SKU-2"]}, {"must": [...]}]}

A list among the attributes matches if one of its elements does. `{}` matches every product.
"""

import json
import re
import sys
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from services.errors import InvalidFilter, InvalidInput

MAX_DEPTH = 8
MAX_CONDITIONS = 256
MAX_KEY = 256
MAX_IDS = 1000
_TOO_DEEP = f"filter: filters may be nested {MAX_DEPTH} deep."

Steps: TypeAlias = tuple[str | int | None, ...]
"""A path into attributes: a name, an index into a list, or None for every element of a list."""

_NAME = r'(?:[\w-]+|"[^"\\]*")'
_KEY = re.compile(rf"{_NAME}(?:\[[0-9]{{0,9}}\])*(?:\.{_NAME}(?:\[[0-9]{{0,9}}\])*)*")
_STEP = re.compile(r'"(?P<quoted>[^"\\]*)"|(?P<bare>[\w-]+)|\[(?P<index>[0-9]*)\]')


def steps(key: str) -> Steps:
    """Parses a key into a path: `size.width`, `"a.b"`, `tags[]`, `sizes[0].width`.

    Raises:
        ValueError: The text is not a valid key.
    """
    if not is_key(key):
        raise ValueError(f'{_shown(key)} is no attribute; write size.width, tags[], sizes[0] or "a.b"')
    return tuple(_step(found) for found in _STEP.finditer(key))


def is_key(text: str) -> bool:
    """Whether the text is a valid key."""
    return len(text) <= MAX_KEY and _text(text) and _KEY.fullmatch(text) is not None


def checked_keys(names: Iterable[str]) -> None:
    """Raises `InvalidInput` if one of the names is not a valid key of an attribute."""
    for name in names:
        if not is_key(name):
            raise InvalidInput(f'{name!r} is no attribute; write size.width, tags[] or "a.b".')


def key_of(name: str) -> str:
    """Returns the key of the attribute with exactly this name: `"list price"` for list price.

    Raises:
        ValueError: No key can name it: it contains a quote or a backslash, or is too long.
    """
    key = name if re.fullmatch(r"[\w-]+", name) else f'"{name}"'
    if not is_key(key):
        raise ValueError(f"{_shown(name)} cannot be written as a key: leave out quotes and backslashes")
    return key


def _step(found: re.Match[str]) -> str | int | None:
    index = found["index"]
    if index is None:
        return found["bare"] or found["quoted"] or ""
    return int(index) if index else None


def _shown(value: object) -> str:
    text = json.dumps(str(value)[:80], ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()


def _int64(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _text(value: object) -> bool:
    """Whether a value is text without lone surrogates, which UTF-8, and so the index, cannot encode."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _key(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be a string, the path of an attribute")
    steps(value)
    return value


def _value(value: object) -> object:
    if not (isinstance(value, bool) or _int64(value) or _text(value)):
        raise ValueError("must be a string, an integer of 64 bits, true or false")
    return value


def _values(values: object) -> object:
    if isinstance(values, list | tuple) and (all(map(_text, values)) or all(map(_int64, values))):
        return tuple(values)
    raise ValueError("must be a list of strings or a list of integers of 64 bits")


def _ids(values: object) -> object:
    if not isinstance(values, list | tuple) or not all(map(_text, values)):
        raise ValueError("must be a list of product IDs, which are strings")
    if len(values) > MAX_IDS:
        raise ValueError(f"has {len(values):,} product IDs; it may have {MAX_IDS:,}")
    return tuple(values)


def _bound(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        return float(value)
    raise ValueError("must be a finite number")


def _conditions(value: object) -> object:
    if isinstance(value, dict | _Part):
        return (value,)
    if isinstance(value, list | tuple):
        return tuple(value)
    raise ValueError("must be a condition or a list of conditions")


class _Part(BaseModel):
    """Base of the parts of a filter: rejects unknown fields with a sentence that lists the allowed ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    takes: ClassVar[str]
    exactly_one: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _belongs(cls, raw: object) -> object:
        if isinstance(raw, cls):
            return raw
        if not isinstance(raw, dict):
            raise ValueError(f"must be an object; {cls.takes}")
        known = {field.alias or name: field for name, field in cls.model_fields.items()}
        for name, value in raw.items():
            if name not in known:
                raise ValueError(f"unknown field {_shown(name)}; {cls.takes}")
            if value is None:
                raise ValueError(f"{name} is null; {cls.takes}")
        lacking = [name for name, field in known.items() if field.is_required() and name not in raw]
        if lacking or (cls.exactly_one and len(cls.exactly_one & raw.keys()) != 1):
            raise ValueError(cls.takes)
        return raw


Key = Annotated[StrictStr, BeforeValidator(_key)]
Values = Annotated[tuple[StrictStr, ...] | tuple[StrictInt, ...], BeforeValidator(_values)]
Ids = Annotated[tuple[StrictStr, ...], BeforeValidator(_ids)]
Bound = Annotated[float, BeforeValidator(_bound)]


class Match(_Part):
    takes = "a match takes one of value, any, except"
    exactly_one = frozenset({"value", "any", "except"})

    value: Annotated[StrictStr | StrictInt | StrictBool | None, BeforeValidator(_value)] = None
    any: Values | None = None
    except_: Values | None = Field(None, alias="except")


class Range(_Part):
    takes = "a range takes one or more of gt, gte, lt, lte"

    gt: Bound | None = None
    gte: Bound | None = None
    lt: Bound | None = None
    lte: Bound | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> "Range":
        if not self.model_fields_set:
            raise ValueError(self.takes)
        return self


class FieldCondition(_Part):
    takes = "a condition takes key and one of match, range; or is_empty; or has_id; or must, must_not, should"
    exactly_one = frozenset({"match", "range"})

    key: Key
    match: Match | None = None
    range: Range | None = None


class Attribute(_Part):
    takes = "is_empty takes key"

    key: Key


class IsEmpty(_Part):
    takes = "a condition with is_empty takes nothing else"

    is_empty: Attribute


class HasId(_Part):
    takes = "a condition with has_id takes nothing else"

    has_id: Ids


def _kind(raw: Any) -> str:
    if isinstance(raw, _Part):
        return f"<{type(raw).__name__}>"
    keys = raw.keys() if isinstance(raw, dict) else {"key"}
    if "is_empty" in keys:
        return "<IsEmpty>"
    if "has_id" in keys:
        return "<HasId>"
    return "<Filter>" if not keys or keys & {"must", "must_not", "should"} else "<FieldCondition>"


Condition: TypeAlias = Annotated[
    Annotated["Filter", Tag("<Filter>")]
    | Annotated[FieldCondition, Tag("<FieldCondition>")]
    | Annotated[IsEmpty, Tag("<IsEmpty>")]
    | Annotated[HasId, Tag("<HasId>")],
    Discriminator(_kind),
]
Conditions = Annotated[tuple[Condition, ...], BeforeValidator(_conditions)]


class Filter(_Part):
    """Matches products that satisfy all of `must`, none of `must_not`, and at least one of `should` if it is given."""

    takes = "a filter takes must, must_not, should"

    must: Conditions = ()
    must_not: Conditions = ()
    should: Conditions = ()

    @property
    def conditions(self) -> tuple["Filter | FieldCondition | IsEmpty | HasId", ...]:
        return self.must + self.must_not + self.should

    @model_validator(mode="after")
    def _bounded(self) -> "Filter":
        if _depth(self) > MAX_DEPTH:
            raise ValueError(f"filters may be nested {MAX_DEPTH} deep")
        if _size(self) > MAX_CONDITIONS:
            raise ValueError(f"a filter may have {MAX_CONDITIONS} conditions")
        return self


def _nested(filter: Filter) -> list[Filter]:
    return [condition for condition in filter.conditions if isinstance(condition, Filter)]


def _depth(filter: Filter) -> int:
    return 1 + max(map(_depth, _nested(filter)), default=0)


def _size(filter: Filter) -> int:
    return len(filter.conditions) + sum(map(_size, _nested(filter)))


def parse(source: object) -> Filter:
    """Parses a filter from JSON text or from decoded JSON.

    Raises:
        InvalidFilter: It is invalid; the message has the path of the error and what is allowed there.
    """
    try:
        return Filter.model_validate(json.loads(source) if isinstance(source, str | bytes) else source)
    except ValidationError as error:
        raise InvalidFilter(_sentence(error.errors(include_url=False)[0])) from error
    except RecursionError as error:
        raise InvalidFilter(_TOO_DEEP) from error
    except ValueError as error:
        raise InvalidFilter(f"filter: this is not JSON: {error}.") from error


def as_json(filter: Filter) -> Any:
    """A filter as the decoded JSON that `parse` takes."""
    return filter.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def written(filter: Filter) -> str:
    """A filter as the JSON text that `parse` takes."""
    return filter.model_dump_json(by_alias=True, exclude_defaults=True)


def _sentence(error: ErrorDetails) -> str:
    if len(error["loc"]) > 4 * MAX_DEPTH:
        return _TOO_DEEP
    path = "filter"
    for part in error["loc"]:
        if not str(part).startswith("<"):
            path += f"[{part}]" if isinstance(part, int) else f".{part}"
    cause = error.get("ctx", {}).get("error", error["msg"])
    return f"{path}: {cause}."
