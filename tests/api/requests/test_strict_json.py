"""JSON is read strictly, as a whole and as an array element by element."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import Malformed
from api.requests import feed, strict_json

REJECTED = [
    '{"a": NaN}',
    '{"a": Infinity}',
    '{"a": -Infinity}',
    '{"a": 1, "a": 2}',
    '{"a": {"b": 1, "b": 1}}',
    "{'a': 1}",
    '{"a": 1,}',
    "",
    "{",
    "nul",
    '"\\x"',
    '{"a": 01}',
    "[" * 100_000,
    "1" * 5000,
    "\ufeff",
    "\ufeff\ufeff{}",
    " \ufeff{}",
    "{} {}",
]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize("text", REJECTED, ids=range(len(REJECTED)))
def test_what_is_not_quite_json_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        strict_json.parsed(text.encode())
    with pytest.raises(Malformed):
        list(feed.elements(f"[{text}, 1]".encode()))


@given(json_values)
def test_json_is_read_as_it_was_written(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False).encode()
    assert strict_json.parsed(text) == value


@given(json_values)
def test_a_byte_order_mark_before_it_is_ignored(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False).encode("utf-8-sig")
    assert strict_json.parsed(text) == value
    assert list(feed.elements(b"\xef\xbb\xbf[%b]" % text[3:])) == [value]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-32"])
def test_another_unicode_encoding_is_refused(codec: str) -> None:
    with pytest.raises(Malformed, match=r"body: (byte 0 is not UTF-8|this is not JSON: .*)"):
        strict_json.parsed('{"limit": 1}'.encode(codec))


@given(st.lists(json_values), st.sampled_from(["", " ", "\n\t\r "]))
def test_the_elements_of_an_array_are_those_that_are_in_it(values: list[Any], space: str) -> None:
    text = f"{space}[{space}" + f"{space},{space}".join(map(json.dumps, values)) + f"{space}]{space}"
    assert list(feed.elements(text.encode())) == values


@given(st.binary() | st.text('[]{}",:1 a\\').map(str.encode))
def test_any_bytes_are_an_array_or_refused(data: bytes) -> None:
    try:
        found = list(feed.elements(data))
    except Malformed:
        return
    assert found == json.loads(data)


def test_a_name_that_is_there_twice_among_many_is_found_soon() -> None:
    """A mebibyte of names, as one JSON body may have: looking each up among all others took minutes."""
    names = [f'"{number:x}":0' for number in range(90_000)]
    text = "{" + ",".join([*names, names[-1]]) + "}"
    started = time.process_time()
    with pytest.raises(Malformed, match="the name '15f8f' is there twice"):
        strict_json.parsed(text)
    assert time.process_time() - started < 5
