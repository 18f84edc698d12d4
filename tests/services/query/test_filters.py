import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.errors import InvalidFilter
from services.query.filters import (
    MAX_IDS,
    MAX_KEY,
    FieldCondition,
    Filter,
    HasId,
    IsEmpty,
    Match,
    Range,
    is_key,
    parse,
    steps,
)

RED = {"key": "color", "match": {"value": "red"}}


def sentence(source: Any) -> str:
    with pytest.raises(InvalidFilter) as caught:
        parse(source)
    return str(caught.value)


def nested(depth: int) -> str:
    return '{"must":' * (depth - 1) + "{}" + "}" * (depth - 1)


def test_text_and_objects_are_parsed_alike() -> None:
    source = {
        "must": [RED, {"key": "price", "range": {"gt": 1, "lte": 2.5}}],
        "must_not": [{"key": "tags", "match": {"any": ["sale", "used"]}}, {"key": "n", "match": {"except": [1]}}],
        "should": [{"is_empty": {"key": "size.width"}}, {"has_id": ["SKU-1", " "]}, {"must": [RED]}],
    }
    expected = Filter(
        must=(
            FieldCondition(key="color", match=Match(value="red")),
            FieldCondition(key="price", range=Range(gt=1.0, lte=2.5)),
        ),
        must_not=(
            FieldCondition(key="tags", match=Match(any=("sale", "used"))),
            FieldCondition(key="n", match=Match.model_validate({"except": [1]})),
        ),
        should=(
            IsEmpty.model_validate({"is_empty": {"key": "size.width"}}),
            HasId(has_id=("SKU-1", " ")),
            parse({"must": RED}),
        ),
    )
    text = json.dumps(source)
    assert parse(source) == parse(text) == parse(text.encode()) == parse(expected) == expected


def test_a_filter_writes_the_json_it_was_read_from() -> None:
    source = {"must": [RED, {}], "must_not": [{"key": "a", "match": {"except": ["x"]}}]}
    assert parse(source).model_dump(mode="json", by_alias=True, exclude_unset=True) == source


def test_one_condition_needs_no_list() -> None:
    assert parse({"must": RED}) == parse({"must": [RED]})


def test_an_empty_filter_is_one() -> None:
    assert parse("{}") == Filter() == parse({"must": []})


def test_true_is_not_one() -> None:
    values = [parse({"must": {"key": "a", "match": {"value": value}}}).must[0] for value in (True, 1, "1")]
    found = [condition.match.value for condition in values if isinstance(condition, FieldCondition) and condition.match]
    assert [(type(value), value) for value in found] == [(bool, True), (int, 1), (str, "1")]


def test_a_filter_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        parse("{}").must = ()  # type: ignore[misc]


A_RANGE = "a range takes one or more of gt, gte, lt, lte."
A_CONDITION = "a condition takes key and one of match, range; or is_empty; or has_id; or must, must_not, should."
VALUE = "must be a string, an integer of 64 bits, true or false."
IDS = "must be a list of product IDs, which are strings."
KEY = "must be a string, the path of an attribute."
NUMBER = "must be a finite number."
VALUES = "must be a list of strings or a list of integers of 64 bits."


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("[]", "filter: must be an object; a filter takes must, must_not, should."),
        ("1", "filter: must be an object; a filter takes must, must_not, should."),
        ("null", "filter: must be an object; a filter takes must, must_not, should."),
        ('{"most": []}', 'filter: unknown field "most"; a filter takes must, must_not, should.'),
        ('{"must": null}', "filter: must is null; a filter takes must, must_not, should."),
        ('{"must": 1}', "filter.must: must be a condition or a list of conditions."),
        ('{"must": [1]}', f"filter.must[0]: must be an object; {A_CONDITION}"),
        ('{"must": [{"foo": 1}]}', f'filter.must[0]: unknown field "foo"; {A_CONDITION}'),
        ('{"must": [{"key": "a"}]}', f"filter.must[0]: {A_CONDITION}"),
        ('{"must": [{"match": {"value": 1}}]}', f"filter.must[0]: {A_CONDITION}"),
        ('{"must": {"key": "a", "match": {"value": 1}, "range": {"lt": 1}}}', f"filter.must[0]: {A_CONDITION}"),
        (
            '{"must": [{"is_empty": {"key": "a"}, "key": "a"}]}',
            'filter.must[0]: unknown field "key"; a condition with is_empty takes nothing else.',
        ),
        (
            '{"must": [{"has_id": [], "key": "a"}]}',
            'filter.must[0]: unknown field "key"; a condition with has_id takes nothing else.',
        ),
        ('{"must": {"has_id": "a"}}', f"filter.must[0].has_id: {IDS}"),
        ('{"must": {"has_id": [1]}}', f"filter.must[0].has_id: {IDS}"),
        ('{"must": {"has_id": ["\\ud800"]}}', f"filter.must[0].has_id: {IDS}"),
        ('{"must": {"has_id": null}}', "filter.must[0]: has_id is null; a condition with has_id takes nothing else."),
        (
            {"should": [{"must_not": {"has_id": ["a"] * 1001}}]},
            "filter.should[0].must_not[0].has_id: has 1,001 product IDs; it may have 1,000.",
        ),
        ('{"must": [{"is_empty": "a"}]}', "filter.must[0].is_empty: must be an object; is_empty takes key."),
        (
            '{"must": [{"key": "a", "match": {"valu": 1}}]}',
            'filter.must[0].match: unknown field "valu"; a match takes one of value, any, except.',
        ),
        ('{"must": [{"key": "a", "match": {}}]}', "filter.must[0].match: a match takes one of value, any, except."),
        (
            '{"must": [{"key": "a", "match": {"value": 1, "any": [1]}}]}',
            "filter.must[0].match: a match takes one of value, any, except.",
        ),
        (
            '{"must": [{"key": "a", "match": {"any": null}}]}',
            "filter.must[0].match: any is null; a match takes one of value, any, except.",
        ),
        ('{"must": [{}, {"key": "a", "match": {"value": 1.5}}]}', f"filter.must[1].match.value: {VALUE}"),
        ('{"must": {"key": "a", "match": {"value": 9223372036854775808}}}', f"filter.must[0].match.value: {VALUE}"),
        ('{"must": {"key": "a", "match": {"value": "\\ud800"}}}', f"filter.must[0].match.value: {VALUE}"),
        ('{"must": {"key": "a", "match": {"any": [1, "a"]}}}', f"filter.must[0].match.any: {VALUES}"),
        ('{"must": {"key": "a", "match": {"any": [true]}}}', f"filter.must[0].match.any: {VALUES}"),
        ('{"must": {"key": "a", "match": {"except": "a"}}}', f"filter.must[0].match.except: {VALUES}"),
        ('{"must": {"key": "a", "match": {"any": [-9223372036854775809]}}}', f"filter.must[0].match.any: {VALUES}"),
        ('{"must": {"key": "a", "range": {}}}', f"filter.must[0].range: {A_RANGE}"),
        ('{"must": {"key": "a", "range": {"lt": NaN}}}', f"filter.must[0].range.lt: {NUMBER}"),
        ('{"must": {"key": "a", "range": {"lt": 1e999}}}', f"filter.must[0].range.lt: {NUMBER}"),
        ('{"must": {"key": "a", "range": {"lt": true}}}', f"filter.must[0].range.lt: {NUMBER}"),
        ('{"must": {"key": "a", "range": {"lt": "1"}}}', f"filter.must[0].range.lt: {NUMBER}"),
        (f'{{"must": {{"key": "a", "range": {{"lt": 1{"0" * 400}}}}}}}', f"filter.must[0].range.lt: {NUMBER}"),
        ('{"must": {"key": 1, "match": {"value": 1}}}', f"filter.must[0].key: {KEY}"),
        (
            '{"should": {"must_not": [{"must": {"is_empty": {"key": "a..b"}}}]}}',
            'filter.should[0].must_not[0].must[0].is_empty.key: "a..b" is no attribute; '
            'write size.width, tags[], sizes[0] or "a.b".',
        ),
        (nested(9), "filter: filters may be nested 8 deep."),
        (nested(300), "filter: filters may be nested 8 deep."),
        (nested(100_000), "filter: filters may be nested 8 deep."),
        ({"must": [RED] * 257}, "filter: a filter may have 256 conditions."),
        ({"must": [{"should": [RED] * 128}] * 2}, "filter: a filter may have 256 conditions."),
        ({1: []}, 'filter: unknown field "1"; a filter takes must, must_not, should.'),
    ],
    ids=lambda value: ascii(value)[:60],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence_with_its_place(source: Any, expected: str) -> None:
    assert sentence(source) == expected


@pytest.mark.parametrize("source", ["", "{", "must", b"\xff", f"[1{'0' * 5000}]"], ids=lambda value: ascii(value)[:20])
def test_text_that_is_no_json_is_an_invalid_filter(source: str | bytes) -> None:
    assert sentence(source).startswith("filter: this is not JSON: ")


def test_a_sentence_can_be_printed_whatever_was_sent() -> None:
    assert '"\\ud800"' in sentence('{"\\ud800": 1}').encode().decode()
    assert '"\\ud800"' in sentence('{"must": {"is_empty": {"key": "\\ud800"}}}').encode().decode()
    assert len(sentence({"x" * 100_000: 1})) < 200


def test_the_bounds_themselves_are_allowed() -> None:
    parse(nested(8))
    parse({"must": [RED] * 256})
    parse({"must": {"has_id": ["a"] * MAX_IDS}})
    parse({"must": {"key": "a", "match": {"any": [-(2**63), 2**63 - 1]}}})


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("color", ("color",)),
        ("size.width", ("size", "width")),
        ('"a.b"', ("a.b",)),
        ('"a b".c', ("a b", "c")),
        ('""', ("",)),
        ("tags[]", ("tags", None)),
        ("sizes[0].width", ("sizes", 0, "width")),
        ("a[][1]", ("a", None, 1)),
        ('"x[]"[]', ("x[]", None)),
        ("größe-2_b", ("größe-2_b",)),
    ],
)
def test_a_key_is_a_path(key: str, expected: tuple[str | int | None, ...]) -> None:
    assert steps(key) == expected


NO_KEYS = ["", ".", "a.", ".a", "a..b", "a b", "a[", "a]", "a[x]", "a[-1]", "a[٣]", "a[99999999999]", "[]"]
NO_KEYS += ['"', '"a', '"a"b', '"a\\"b"', '"a\\b"', "a\n", "a$", "a/b", "a:b", "a\x00", "\ud800", '"\ud800"']
NO_KEYS += ["a" * (MAX_KEY + 1)]


@pytest.mark.parametrize("key", NO_KEYS, ids=lambda key: ascii(key)[:20])
def test_what_is_no_path_is_no_key(key: str) -> None:
    assert not is_key(key)
    with pytest.raises(InvalidFilter):
        parse({"must": {"is_empty": {"key": key}}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["must", "must_not", "should", "key", "match", "value", "any", "range", "lt", "is_empty"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200)
@given(source=JSON)
def test_anything_is_either_a_filter_or_an_invalid_filter(source: Any) -> None:
    if isinstance(source, str):
        source = json.dumps(source)
    try:
        assert isinstance(parse(source), Filter)
    except InvalidFilter as error:
        assert str(error).startswith("filter")
