from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from services.attributes import MAX_BYTES, MAX_DEPTH, checked_attributes, merged
from services.errors import InvalidAttributes


def nested(depth: int) -> dict[str, Any]:
    return {} if depth == 1 else {"a": nested(depth - 1)}


def refusal(attributes: object) -> str:
    with pytest.raises(InvalidAttributes) as caught:
        checked_attributes(attributes)
    return str(caught.value)


def test_json_passes_unchanged() -> None:
    attributes = {
        "text": "größe \x00 👟",
        "numbers": [0, -1, 1.5, -0.0, 1e308, 2**63 - 1, -(2**63)],
        "truth": [True, False, None],
        "nested": {"": {"a.b": [[], {}]}},
    }
    assert checked_attributes(attributes) == attributes
    assert checked_attributes({}) == {}


def test_the_copy_is_plain_and_independent() -> None:
    tags = ["a"]
    copy = checked_attributes(MappingProxyType({"tags": tags, "size": OrderedDict(width=1)}))
    tags.append("b")
    assert copy == {"tags": ["a"], "size": {"width": 1}}
    assert (type(copy), type(copy["size"])) == (dict, dict)


TOO_LARGE = "is an integer that does not fit into 64 bits with its sign; send it as a string."


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (None, "The attributes must be a JSON object, not null."),
        ([], "The attributes must be a JSON object, not list."),
        ("{}", "The attributes must be a JSON object, not str."),
        ({1: 2}, "A name in attributes is int; names are strings."),
        ({"a": [{None: 1}]}, "A name in attributes.a[0] is null; names are strings."),
        ({"a": [1, {"b": float("nan")}]}, "attributes.a[1].b is nan; numbers are finite."),
        ({"a": float("-inf")}, "attributes.a is -inf; numbers are finite."),
        ({"a": 2**63}, "attributes.a " + TOO_LARGE),
        (
            {"a": -(2**63) - 1},
            "attributes.a " + TOO_LARGE,
        ),
        ({"a": (1, 2)}, "attributes.a is tuple, which JSON does not have."),
        ({"a": b"x"}, "attributes.a is bytes, which JSON does not have."),
        ({"a": {1}}, "attributes.a is set, which JSON does not have."),
        ({"a": "\ud800"}, "attributes.a holds half a surrogate pair, no character."),
        ({"\ud800": 1}, "attributes holds half a surrogate pair, no character."),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_anything_else_is_refused_with_its_place(attributes: object, expected: str) -> None:
    assert refusal(attributes) == expected


def test_a_refusal_can_be_printed_whatever_was_sent() -> None:
    assert len(refusal({"x" * 10_000: float("nan")}).encode()) < 200
    refusal({"\ud800": float("nan")}).encode()


def test_nesting_is_bounded() -> None:
    assert checked_attributes(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    assert "nested deeper than 16" in refusal(nested(MAX_DEPTH + 1))
    lists: Any = []
    for _ in range(MAX_DEPTH):
        lists = [lists]
    assert "nested deeper than 16" in refusal({"a": lists})
    endless: dict[str, Any] = {}
    endless["a"] = endless
    assert "nested deeper than 16" in refusal(endless)


def test_size_is_bounded_in_bytes() -> None:
    fits = {"a": "x" * (MAX_BYTES - len('{"a":""}'))}
    assert checked_attributes(fits) == fits
    assert refusal({"a": fits["a"] + "x"}) == "The attributes have 65,537 bytes as JSON; at most 65,536 are allowed."
    assert "bytes as JSON" in refusal({"a": "ä" * (MAX_BYTES // 2)})


@pytest.mark.parametrize(
    ("attributes", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": 1}, {"a": {"b": None}}, {"a": {}}),
    ],
)
def test_a_merge_patch_follows_rfc_7396(
    attributes: Mapping[str, Any], patch: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    before = repr(attributes)
    assert merged(attributes, patch) == expected
    assert repr(attributes) == before


def test_a_merge_that_would_not_be_allowed_is_refused() -> None:
    with pytest.raises(InvalidAttributes):
        merged({"a": 1}, {"b": float("nan")})
    with pytest.raises(InvalidAttributes):
        merged({"a": "x" * 40_000}, {"b": "x" * 40_000})
    with pytest.raises(InvalidAttributes):
        merged({"a": 1}, [])
