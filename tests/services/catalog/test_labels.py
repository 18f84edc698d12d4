"""Which texts label a product."""

from typing import Any

import pytest

from services.catalog.labels import group_at, values_at

PRODUCT = {
    "color": "red",
    "tags": ["new", "red", None, {"a": 1}, ["x"]],
    "size": {"width": 12, "depth": 12.0, "height": 1.5},
    "sold": False,
    "a.b": "dotted",
    "none": None,
}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("color", {"red"}),
        ("tags", {"new", "red"}),
        ("tags[]", {"new", "red", "x"}),
        ("tags[0]", {"new"}),
        ("size.width", {"12"}),
        ("size.depth", {"12"}),
        ("size.height", {"1.5"}),
        ("sold", {"false"}),
        ('"a.b"', {"dotted"}),
        ("none", set()),
        ("size", set()),
        ("missing", set()),
    ],
)
def test_values_are_texts(key: str, expected: Any) -> None:
    assert values_at(PRODUCT, key) == expected


def test_a_group_is_the_first_value() -> None:
    assert [group_at(PRODUCT, key) for key in ("tags", "size.width", "missing")] == ["new", "12", None]
