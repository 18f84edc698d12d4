"""Filters of products, built from conditions on their attributes.

(where("color") == "red") & (where("price") < 50) & ~where("tags").is_in(["sale", "used"])
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Value: TypeAlias = str | int | bool

_PARTS = ("must", "must_not", "should")


class Filter:
    """Which products are meant. `a & b`: both; `a | b`: at least one; `~a`: all others."""

    __slots__ = ("_json",)

    def __init__(self, json: Mapping[str, Any]) -> None:
        """
        Args:
            json: The filter in the language of the HTTP API: `{"must": [...], "must_not": [...], "should": [...]}`.
        """
        self._json = {
            name: [value] if name in _PARTS and isinstance(value, Mapping) else value for name, value in json.items()
        }

    def as_json(self) -> dict[str, Any]:
        """The filter in the language of the HTTP API."""
        return dict(self._json)

    def __and__(self, other: "Filter") -> "Filter":
        parts: dict[str, Any] = {"must": [*self._alternatives(), *other._alternatives()]}
        for each in (self, other):
            for name in ("must", "must_not"):
                parts[name] = [*parts.get(name, []), *each._json.get(name, [])]
        return Filter({name: conditions for name, conditions in parts.items() if conditions})

    def __or__(self, other: "Filter") -> "Filter":
        return Filter({"should": [*self._choices(), *other._choices()]})

    def __invert__(self) -> "Filter":
        if self._json.keys() == {"must_not"} and len(self._json["must_not"]) == 1:
            return Filter({"must": self._json["must_not"]})
        return Filter({"must_not": [self._condition()]})

    def __bool__(self) -> bool:
        raise TypeError("a filter is neither true nor false: write & for and, | for or, ~ for not")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and self._json == other._json

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Filter({self._json!r})"

    def _alternatives(self) -> list[Any]:
        """Its `should`, of which one has to hold, as a condition of its own."""
        return [{"should": self._json["should"]}] if "should" in self._json else []

    def _choices(self) -> list[Any]:
        return list(self._json["should"]) if self._json.keys() == {"should"} else [self._condition()]

    def _condition(self) -> Any:
        """All of it as one condition: filters may be nested a few times only."""
        must = self._json.get("must", [])
        return must[0] if self._json.keys() == {"must"} and len(must) == 1 else dict(self._json)


FilterLike: TypeAlias = Filter | Mapping[str, Any]
"""A filter, or the same in the language of the HTTP API."""


@dataclass(frozen=True, slots=True, eq=False)
class where:
    """An attribute, to be compared: `where("price") < 50`.

    Args:
        key: `color`, `size.width`, `tags[]`, `"list price"` (with the quotes, where a name has other signs).

    A list matches if one of its elements does.
    """

    key: str

    def __eq__(self, value: Value) -> Filter:  # type: ignore[override]
        return self._match({"value": value})

    def __ne__(self, value: Value) -> Filter:  # type: ignore[override]
        """All products that do not have this value, those without the attribute among them."""
        return ~self._match({"value": value})

    __hash__ = None  # type: ignore[assignment]

    def is_in(self, values: Iterable[str] | Iterable[int]) -> Filter:
        """One of these, which are all texts or all whole numbers."""
        return self._match({"any": list(values)})

    def is_other_than(self, values: Iterable[str] | Iterable[int]) -> Filter:
        """A value, and none of these."""
        return self._match({"except": list(values)})

    def is_empty(self) -> Filter:
        """No value: the attribute is not there, null or an empty list."""
        return Filter({"must": [{"is_empty": {"key": self.key}}]})

    def between(self, low: float, high: float) -> Filter:
        """From `low` to `high`, both included."""
        return self._range(gte=low, lte=high)

    def __lt__(self, value: float) -> Filter:
        return self._range(lt=value)

    def __le__(self, value: float) -> Filter:
        return self._range(lte=value)

    def __gt__(self, value: float) -> Filter:
        return self._range(gt=value)

    def __ge__(self, value: float) -> Filter:
        return self._range(gte=value)

    def _match(self, match: Mapping[str, Any]) -> Filter:
        return Filter({"must": [{"key": self.key, "match": match}]})

    def _range(self, **bounds: float) -> Filter:
        return Filter({"must": [{"key": self.key, "range": bounds}]})


def ids(*product_ids: str) -> Filter:
    """The products with these IDs."""
    return Filter({"must": [{"has_id": list(product_ids)}]})


def filter_json(filter: FilterLike) -> dict[str, Any]:
    """A filter in the language of the HTTP API."""
    return filter.as_json() if isinstance(filter, Filter) else dict(filter)
