"""Validation and merging of attributes: JSON objects that every index stores and returns."""

import json
import math
from collections.abc import Mapping
from typing import Any

from services.errors import InvalidAttributes
from services.records import Attributes

MAX_DEPTH = 16
MAX_BYTES = 65_536


def checked_attributes(attributes: object) -> dict[str, Any]:
    """Returns a copy of `attributes` in plain JSON types.

    Raises:
        InvalidAttributes: It is not an object of strings, finite numbers, signed 64-bit integers, true, false, null,
            lists and objects; it is nested deeper than `MAX_DEPTH`; or it is larger than `MAX_BYTES` as JSON.
    """
    if not isinstance(attributes, Mapping):
        raise InvalidAttributes(f"The attributes must be a JSON object, not {_kind(attributes)}.")
    copy = _object(attributes, "attributes", 1)
    size = len(json.dumps(copy, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_BYTES:
        raise InvalidAttributes(f"The attributes have {size:,} bytes as JSON; at most {MAX_BYTES:,} are allowed.")
    return copy


def merged(attributes: Attributes, patch: object) -> dict[str, Any]:
    """Applies a JSON Merge Patch (RFC 7396): null removes a name, an object is merged, any other value replaces.

    Raises:
        InvalidAttributes: The patch or the result is invalid, as in `checked_attributes`.
    """
    return checked_attributes(_merged(attributes, checked_attributes(patch)))


def _merged(target: object, patch: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value) if isinstance(value, Mapping) else value
    return result


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__


def _object(value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise InvalidAttributes(f"The attributes are nested deeper than {MAX_DEPTH} at {_short(path)}.")
    for name in value:
        if not isinstance(name, str):
            raise InvalidAttributes(f"A name in {_short(path)} is {_kind(name)}; names are strings.")
    return {_text(name, path): _json(item, f"{path}.{name}", depth + 1) for name, item in value.items()}


def _list(value: list[Any], path: str, depth: int) -> list[Any]:
    if depth > MAX_DEPTH:
        raise InvalidAttributes(f"The attributes are nested deeper than {MAX_DEPTH} at {_short(path)}.")
    return [_json(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]


def _json(value: object, path: str, depth: int) -> Any:
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, path)
        case int():
            return _integer(value, path)
        case float():
            return _float(value, path)
        case list():
            return _list(value, path, depth)
        case Mapping():
            return _object(value, path, depth)
    raise InvalidAttributes(f"{_short(path)} is {_kind(value)}, which JSON does not have.")


def _text(value: str, path: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidAttributes(f"{_short(path)} holds half a surrogate pair, no character.") from error
    return value


def _integer(value: int, path: str) -> int:
    if not -(2**63) <= value < 2**63:
        raise InvalidAttributes(
            f"{_short(path)} is an integer that does not fit into 64 bits with its sign; send it as a string."
        )
    return value


def _float(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise InvalidAttributes(f"{_short(path)} is {value}; numbers are finite.")
    return value


def _short(path: str) -> str:
    text = path if len(path) <= 120 else path[:117] + "..."
    return text.encode(errors="backslashreplace").decode()
