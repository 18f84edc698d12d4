"""JSON, strictly: in UTF-8, without NaN and infinities, no name twice in one object."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from api.errors import Malformed


def parsed(text: bytes | str, field: str = "body") -> Any:
    """Parses a JSON text.

    Args:
        text: The text, as a string, or in UTF-8 with or without a byte order mark.
        field: What the message names where the text is refused.

    Raises:
        Malformed: This is not JSON.
    """
    if isinstance(text, bytes):
        text = decoded(text, field)
    with _refusals(field):
        return _DECODER.decode(text)


def parsed_at(text: str, position: int, field: str = "body") -> tuple[Any, int]:
    """Parses the value that begins at a position of a longer text. Raises `Malformed`.

    Returns:
        The value, and the position after it.
    """
    with _refusals(field):
        return _DECODER.raw_decode(text, position)


def decoded(data: bytes, field: str = "body") -> str:
    """The text that bytes are in UTF-8, without a byte order mark before it. Raises `Malformed`."""
    with _refusals(field):
        # RFC 8259 lets a parser ignore it; the codec utf-8-sig would count the bytes of its errors from behind it.
        return data.decode().removeprefix("\ufeff")


@contextmanager
def _refusals(field: str) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise Malformed(f"{field}: byte {error.start} is not UTF-8.", field) from None
    except RecursionError:
        raise Malformed(f"{field}: the JSON is nested too deep.", field) from None
    except ValueError as error:
        raise Malformed(f"{field}: this is not JSON: {error}.", field) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"the name {twice[:120]!a} is there twice")
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
