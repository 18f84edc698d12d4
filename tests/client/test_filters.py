"""Filters that are built are those that the service reads, and mean what they say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike import Filter, ids, where
from services.query.filters import parse
from services.records import Point
from services.testing import matches

RED = where("color") == "red"
CHEAP = where("price") < 50
USED = where("tags").is_in(["used", "sale"])


def must(filter: Filter) -> list[Any]:
    conditions: list[Any] = filter.as_json()["must"]
    return conditions


@pytest.mark.parametrize(
    ("built", "json"),
    [
        (RED, {"must": [{"key": "color", "match": {"value": "red"}}]}),
        (where("color") != "red", {"must_not": [{"key": "color", "match": {"value": "red"}}]}),
        (where("n").is_other_than([1, 2]), {"must": [{"key": "n", "match": {"except": [1, 2]}}]}),
        (where("price").between(1, 2.5), {"must": [{"key": "price", "range": {"gte": 1, "lte": 2.5}}]}),
        (where("size.width").is_empty(), {"must": [{"is_empty": {"key": "size.width"}}]}),
        (ids("a", "b"), {"must": [{"has_id": ["a", "b"]}]}),
        (RED & CHEAP & ~USED, {"must": must(RED) + must(CHEAP), "must_not": must(USED)}),
        (RED | CHEAP | USED, {"should": [must(each)[0] for each in (RED, CHEAP, USED)]}),
        (~(RED | CHEAP), {"must_not": [(RED | CHEAP).as_json()]}),
        (~~RED, RED.as_json()),
        (Filter({"must": {"has_id": ["a"]}}) & RED, {"must": [{"has_id": ["a"]}, *must(RED)]}),
    ],
)  # fmt: skip
def test_a_filter_is_written_as_flat_as_it_can_be(built: Filter, json: dict[str, Any]) -> None:
    assert built.as_json() == json
    parse(json)


FILTERS = st.recursive(
    st.sampled_from([RED, CHEAP, USED, where("color") != "blue", where("color").is_empty(), ids("p"), Filter({})]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: ("and", *pair)),
        st.tuples(inner, inner).map(lambda pair: ("or", *pair)),
        inner.map(lambda one: ("not", one)),
    ),
    max_leaves=5,
)
POINTS = st.builds(
    Point,
    product_id=st.sampled_from(["p", "q"]),
    version=st.just(1),
    attributes=st.fixed_dictionaries(
        {},
        optional={
            "color": st.sampled_from(["red", "blue", None]),
            "price": st.sampled_from([1, 50.0, 99]),
            "tags": st.sampled_from([["used"], [], ["new", "sale"]]),
        },
    ),
)


def built(tree: Any) -> Filter:
    match tree:
        case ("and", left, right):
            return built(left) & built(right)
        case ("or", left, right):
            return built(left) | built(right)
        case ("not", one):
            return ~built(one)
    assert isinstance(tree, Filter)
    return tree


def meant(tree: Any, point: Point) -> bool:
    match tree:
        case ("and", left, right):
            return meant(left, point) and meant(right, point)
        case ("or", left, right):
            return meant(left, point) or meant(right, point)
        case ("not", one):
            return not meant(one, point)
    return matches(parse(tree.as_json()), point)


@given(tree=FILTERS, point=POINTS)
def test_and_or_and_not_mean_what_they_say(tree: Any, point: Point) -> None:
    assert matches(parse(built(tree).as_json()), point) == meant(tree, point)


def test_a_filter_is_not_taken_for_true_or_false() -> None:
    with pytest.raises(TypeError, match="write & for and"):
        bool(RED and CHEAP)
