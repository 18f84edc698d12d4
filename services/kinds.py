"""The kinds that a catalog declares for attributes, and the values that are of them."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from services.descriptions import AttributeKind
from services.errors import Conflict, InvalidAttributes
from services.query.filters import Steps, steps
from services.records import Attributes

EXACT = 2**53
"""Up to here every integer is a float, too."""

_SEND = {
    AttributeKind.KEYWORD: "text",
    AttributeKind.INTEGER: "a whole number of 64 bits",
    AttributeKind.FLOAT: "a number",
    AttributeKind.BOOL: "true or false",
}


class Kinds:
    """Declared kinds by the keys of attributes, as filters write them.

    A value is judged where a filter on that key would look: at the path, and if there is a list, each of its elements.
    Null is no value, and passes.
    """

    def __init__(self, declared: Mapping[str, AttributeKind]) -> None:
        self.declared = dict(declared)
        self._paths = [(key, steps(key), kind) for key, kind in declared.items()]

    def checked(self, attributes: Attributes) -> dict[str, Any]:
        """Returns the attributes, with an integer in place of a float like 12.0 where integers are declared.

        Raises:
            InvalidAttributes: A value is of another kind than the declared one.
        """
        found = dict(attributes)
        for key, path, kind in self._paths:
            if _leads(found, path):
                found = _replaced(found, path, partial(_taken, key, kind))
        return found

    def others(self, attributes: Attributes) -> dict[str, Any]:
        """By key, the first value that is of another kind than the declared one."""
        found = {}
        for key, path, kind in self._paths:
            for value in leaves_at(attributes, path):
                if not _is(value, kind):
                    found[key] = value
                    break
        return found

    def large(self, attributes: Attributes) -> set[str]:
        """The keys of integers so large that a float may not hold them."""
        return {
            key
            for key, path, kind in self._paths
            if kind is AttributeKind.INTEGER
            and any(isinstance(value, int) and abs(value) > EXACT for value in leaves_at(attributes, path))
        }


NO_KINDS = Kinds({})


def extended(declared: Mapping[str, AttributeKind], more: Mapping[str, AttributeKind]) -> dict[str, AttributeKind]:
    """Returns both declarations as one.

    Raises:
        Conflict: An attribute is declared as another kind already.
        ValueError: A name is not a valid key.
    """
    there = {steps(name): kind for name, kind in declared.items()}
    for name, kind in more.items():
        if (has := there.get(steps(name), kind)) is not kind:
            raise Conflict(f"indexed_attributes: {name} is indexed as {has} already and cannot become {kind}.")
    return {**declared, **more}


def leaves(attributes: Attributes, key: str) -> Iterator[Any]:
    """The values that a filter on this key looks at, null left out."""
    return (value for value in leaves_at(attributes, steps(key)) if value is not None)


def leaves_at(value: Any, path: Steps) -> Iterator[Any]:
    """The values at a path, null among them, and of a list there its elements."""
    for each in found_at(value, path):
        if isinstance(each, list):
            yield from each
        else:
            yield each


def found_at(value: Any, path: Steps) -> list[Any]:
    """The values at a path as they are, lists among them."""
    values = [value]
    for step in path:
        values = [child for each in values for child in _children(each, step)]
    return values


def shown(value: object) -> str:
    """A value as JSON, shortened."""
    text = json.dumps(value, ensure_ascii=False)
    text = text if len(text) <= 80 else text[:77] + "..."
    return text.encode(errors="backslashreplace").decode()


def _is(value: object, kind: AttributeKind) -> bool:
    """Whether a value is of this kind as it is stored."""
    match value:
        case None:
            return True
        case bool():
            return kind is AttributeKind.BOOL
        case int():
            return kind in (AttributeKind.INTEGER, AttributeKind.FLOAT)
        case float():
            return kind is AttributeKind.FLOAT
        case str():
            return kind is AttributeKind.KEYWORD
    return False


def _taken(key: str, kind: AttributeKind, value: Any) -> Any:
    if _is(value, kind):
        return value
    is_whole = isinstance(value, float) and value.is_integer() and -(2.0**63) <= value < 2.0**63
    if kind is AttributeKind.INTEGER and is_whole:
        return int(value)
    raise InvalidAttributes(
        f"{shown(key)[1:-1]} is declared as {kind}, and {shown(value)} is none: send {_SEND[kind]}, a list of such "
        "values, or null to have none."
    )


def _leads(value: object, path: Steps) -> bool:
    """Whether there is anything at the path's first step; most products lack most attributes."""
    return isinstance(value, Mapping) and path[0] in value


def _children(value: Any, step: str | int | None) -> list[Any]:
    if isinstance(step, str):
        return [value[step]] if isinstance(value, Mapping) and step in value else []
    if not isinstance(value, list):
        return []
    return value if step is None else value[step : step + 1]


def _replaced(value: Any, path: Steps, take: Callable[[Any], Any]) -> Any:
    """The value with what `take` makes of those at the path."""
    if not path:
        return [take(each) for each in value] if isinstance(value, list) else take(value)
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        if not isinstance(value, Mapping) or step not in value:
            return value
        return {**value, step: _replaced(value[step], rest, take)}
    if not isinstance(value, list):
        return value
    return [_replaced(each, rest, take) if step in (None, n) else each for n, each in enumerate(value)]
