"""Values of attributes are of the kinds that a catalog declares for them, or refused by name."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.descriptions import AttributeKind
from services.errors import Conflict, InvalidAttributes
from services.kinds import Kinds, extended, shown

K, N, F, B = AttributeKind.KEYWORD, AttributeKind.INTEGER, AttributeKind.FLOAT, AttributeKind.BOOL
TAKEN: Mapping[AttributeKind, list[tuple[Any, Any]]] = {
    K: [("a", "a"), ("", ""), ("12", "12"), (["a", None], ["a", None])],
    N: [(12, 12), (12.0, 12), (-0.0, 0), (-(2**63), -(2**63)), ([1.0, 2, None], [1, 2, None])],
    F: [(1.5, 1.5), (12, 12), (2**63 - 1, 2**63 - 1), ([1, 2.5], [1, 2.5])],
    B: [(True, True), (False, False), ([True, None], [True, None])],
}
REFUSED: Mapping[AttributeKind, list[Any]] = {
    K: [1, 1.5, True, {}, {"a": "b"}, ["a", 1], [["a"]]],
    N: ["1", "", 3.7, 1e300, 2.0**63, True, {}, [1, "2"], [1, 2.5], [[1]]],
    F: ["1.5", "on request", True, {}, [1.5, "2"], [[1.5]]],
    B: ["true", 1, 0, 1.0, {}, [True, 1], [[True]]],
}


@pytest.mark.parametrize("kind", AttributeKind)
def test_a_value_of_the_kind_is_taken_and_read_back_as_it_was_sent(kind: AttributeKind) -> None:
    """Except that an integer written as 12.0 is 12."""
    for sent, read in [*TAKEN[kind], (None, None), ([], []), ([None], [None])]:
        assert repr(Kinds({"x": kind}).checked({"x": sent, "y": "1"})) == repr({"x": read, "y": "1"})


@pytest.mark.parametrize("kind", AttributeKind)
def test_a_value_of_another_kind_is_refused_with_attribute_kind_and_value(kind: AttributeKind) -> None:
    for value in REFUSED[kind]:
        with pytest.raises(InvalidAttributes) as refused:
            Kinds({"x": kind}).checked({"x": value})
        elements = value if isinstance(value, list) else [value]
        wrong = next(each for each in elements if isinstance(each, list) or Kinds({"x": kind}).others({"x": each}))
        assert str(refused.value).startswith(f"x is declared as {kind}, and {shown(wrong)} is none: send ")


def test_what_is_not_there_or_not_declared_is_not_judged() -> None:
    kinds = Kinds({"size.width": F, "tags[]": K, "parts[1].n": N, '"a.b"': B})
    for attributes in (
        {},
        {"size": 3},
        {"size": {"width": None}},
        {"tags": 1},
        {"parts": [{"n": "x"}]},
        {"a": {"b": 1}},
    ):
        assert kinds.checked(attributes) == attributes


@pytest.mark.parametrize(
    ("key", "attributes", "value"),
    [
        ("size.width", {"size": {"width": "wide"}}, '"wide"'),
        ("sizes[].eu", {"sizes": [{"eu": 40}, {"eu": "41"}]}, '"41"'),
        ("sizes[1].eu", {"sizes": [{"eu": "x"}, {"eu": "41"}]}, '"41"'),
        ("tags[]", {"tags": [1, ["2"]]}, '"2"'),
        ('"a.b"', {"a.b": {"c": 1}}, '{"c": 1}'),
        ("long", {"long": "x" * 500}, '"' + "x" * 76 + "..."),
    ],
)
def test_the_value_is_found_where_a_filter_would_look(key: str, attributes: dict[str, Any], value: str) -> None:
    with pytest.raises(InvalidAttributes) as refused:
        Kinds({key: N}).checked(attributes)
    assert f" is declared as integer, and {value} is none" in str(refused.value)


def test_whole_numbers_become_integers_wherever_they_are_and_nothing_else_changes() -> None:
    sent = {"a": 1.0, "sizes": [{"eu": 40.0, "us": 7.0}, {"eu": [1.0, None]}, 3.0], "n": 2.0}
    assert repr(Kinds({"sizes[].eu": N, "n": N}).checked(sent)) == repr(
        {"a": 1.0, "sizes": [{"eu": 40, "us": 7.0}, {"eu": [1, None]}, 3.0], "n": 2}
    )
    assert sent["n"] == 2.0 and isinstance(sent["n"], float)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y"]), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip


@given(JSON, st.sampled_from(AttributeKind), st.sampled_from(["x", "x.y", "x[]", "x[0].y"]))
def test_what_is_taken_is_of_the_kind_and_what_is_of_the_kind_is_taken(
    value: Any, kind: AttributeKind, key: str
) -> None:
    kinds = Kinds({key: kind})
    try:
        taken = kinds.checked({"x": value})
    except InvalidAttributes:
        assert kinds.others({"x": value})
    else:
        assert not kinds.others(taken)
        assert repr(kinds.checked(taken)) == repr(taken)
        assert taken == {"x": value}


def test_a_declaration_keeps_those_before_it_and_changes_no_kind() -> None:
    assert extended({"a": K}, {"b": N, "a": K}) == {"a": K, "b": N}
    for again in ("a", '"a"'):
        with pytest.raises(Conflict, match="is indexed as keyword already and cannot become float"):
            extended({"a": K}, {again: F, "b": N})
