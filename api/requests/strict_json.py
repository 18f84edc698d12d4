"""JSON, strictly: in UTF-8, no NaN, no name twice in one object."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from api.errors import Malformed

_SPACE = re.compile(r"[ \t\r\n]*")


def parsed(text: bytes | str, field: str = "body") -> Any:
    """What JSON text writes; `field` names it where it is refused. Raises `Malformed`."""
    with _reading(field):
        return _DECODER.decode(text if isinstance(text, str) else text.decode())


def elements(data: bytes) -> Iterator[Any]:
    """The elements of a JSON array, one by one. Raises `Malformed`, also after some of them."""
    with _reading("body"):
        text = data.decode()
    place = _past(text, 0, "[")
    if text[place : place + 1] == "]":
        return _end(text, place + 1)
    while True:
        with _reading("body"):
            value, place = _DECODER.raw_decode(text, place)
        yield value
        place = _skip_space(text, place)
        if text[place : place + 1] == "]":
            return _end(text, place + 1)
        place = _past(text, place, ",")


@contextmanager
def _reading(field: str) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise Malformed(f"{field}: byte {error.start} is not UTF-8.", field) from None
    except RecursionError:
        raise Malformed(f"{field}: the JSON is nested too deep.", field) from None
    except ValueError as error:
        raise Malformed(f"{field}: this is not JSON: {error}.", field) from None


def _past(text: str, place: int, sign: str) -> int:
    place = _skip_space(text, place)
    if text[place : place + 1] != sign:
        raise Malformed(f"body: this is no JSON array: {sign!r} is missing at character {place}.", "body")
    return _skip_space(text, place + 1)


def _end(text: str, place: int) -> None:
    place = _skip_space(text, place)
    if place < len(text):
        raise Malformed(f"body: this is no JSON array: it goes on at character {place}, after its end.", "body")


def _skip_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"the name {twice[:120]!a} is there twice")
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
