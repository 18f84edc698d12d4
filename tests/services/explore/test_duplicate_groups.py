"""Which product of a group is suggested to be kept, and why; where groups stand in the list."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.explore.duplicate_groups import Group, Member, place, suggested, to_group, told

ONE = Member("a", {"color": "red"}, None, 5, 100, 80)


@pytest.mark.parametrize(
    ("others", "kept", "why"),
    [
        ([replace(ONE, product_id="b", width=200, version=9)], "b", "the largest picture (200 x 80)"),
        ([replace(ONE, product_id="b", attributes={"color": "red", "size": 4})], "b", "the most attributes (2)"),
        ([replace(ONE, product_id="b", attributes={"color": "red", "size": None, "x": ""})], "a", "first by ID"),
        ([replace(ONE, product_id="b", version=4)], "b", "the oldest"),
        ([replace(ONE, product_id="b")], "a", "all are alike, and it is the first by ID"),
        ([replace(ONE, product_id="b", width=200), replace(ONE, product_id="c", width=None)], "a", "first by ID"),
        (
            [replace(ONE, product_id="b", width=200), replace(ONE, product_id="c", width=200, attributes={})],
            "b",
            "the largest picture (200 x 80), the most attributes (1)",
        ),
        (
            [replace(ONE, product_id="b", width=200, version=7), replace(ONE, product_id="c", width=200, version=6)],
            "c",
            "the largest picture (200 x 80), the oldest",
        ),
    ],
)
def test_the_largest_picture_then_the_most_attributes_then_the_oldest_is_kept(
    others: list[Member], kept: str, why: str
) -> None:
    for members in ([ONE, *others], [*others, ONE]):
        found, because = suggested(members)
        assert found == kept and why in because


MEMBERS = st.builds(
    Member,
    st.text(min_size=1, max_size=3),
    st.dictionaries(st.sampled_from("abc"), st.sampled_from([None, "", 1])),
    st.none(),
    st.integers(0, 3),
    st.sampled_from([None, 1, 2]),
    st.just(1),
)


@given(st.lists(MEMBERS, min_size=1, max_size=5, unique_by=lambda each: each.product_id), st.randoms())
def test_the_suggestion_does_not_depend_on_the_order(members: list[Member], random: Any) -> None:
    found = suggested(members)
    assert found == suggested(random.sample(members, len(members))) and found[1]
    assert found[0] in {each.product_id for each in members}


def test_placeholders_come_first_then_the_surest_kind_then_the_largest() -> None:
    places = [
        place("near_duplicate", 12, "b", placeholder=True),
        place("same_bytes", 3, "a", placeholder=False),
        place("same_bytes", 2, "a", placeholder=False),
        place("same_bytes", 2, "b", placeholder=False),
        place("same_picture", 9, "a", placeholder=False),
        place("near_duplicate", 20, "a", placeholder=False),
    ]
    assert places == sorted(places)


def test_a_group_comes_back_out_of_its_json() -> None:
    group = Group("0" * 16, "same_bytes", False, 2, (ONE, replace(ONE, product_id="b")), ("a",), "the oldest")
    assert to_group(told(group)) == group
    assert told(group)["members"][0] == {
        "product_id": "a",
        "attributes": {"color": "red"},
        "image": None,
        "version": 5,
        "width": 100,
        "height": 80,
    }
