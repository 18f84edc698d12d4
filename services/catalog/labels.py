"""Attributes of products as labels: texts by which they are alike."""

import json
from collections.abc import Iterator
from typing import Any

from services.kinds import leaves
from services.records import Attributes


def values_at(attributes: Attributes, key: str) -> frozenset[str]:
    """The values at a key, as text: text as it is, numbers, true and false as in JSON, 12.0 as 12.

    Of a list each element is one; null, objects, and lists in lists are none, unless the key leads there (`tags[]`).
    """
    return frozenset(_texts(attributes, key))


def group_at(attributes: Attributes, key: str) -> str | None:
    """The first value at a key, as text; None where there is none."""
    return next(_texts(attributes, key), None)


def _texts(attributes: Attributes, key: str) -> Iterator[str]:
    for value in leaves(attributes, key):
        if not isinstance(value, dict | list):
            yield _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)
