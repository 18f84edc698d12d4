"""What is asked is checked before anything is looked for, and what is wrong is named."""

from typing import Any

import pytest

from services.errors import InvalidInput, InvalidProductID, InvalidQuery
from services.query.query import MAX_DIVERSE, MAX_EXCLUDED, MAX_GROUP, Query
from services.query.terms import MAX_TERMS, DirectionTerm, ImageTerm, ProductTerm, Term

A = Term(ProductTerm("a"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"near": ()}, "no terms: give near, like or unlike"),
        ({"near": (A,) * (MAX_TERMS + 1)}, f"{MAX_TERMS + 1} terms"),
        ({"near": (A,) * MAX_TERMS, "like": (ProductTerm("b"),)}, f"{MAX_TERMS + 1} terms"),
        ({"like": tuple(ImageTerm(bytes([number])) for number in range(9))}, "9 pictures; it may have 8"),
        ({"near": (Term(DirectionTerm("x"), 0.0),)}, "direction 'x'"),
        ({"like": (ProductTerm(""),)}, "product ID is empty"),
        ({"limit": 0}, "limit 0"),
        ({"limit": 1001}, "limit 1001"),
        ({"offset": -1}, "offset -1"),
        ({"min_score": 1.01}, "lowest score"),
        ({"min_score": float("nan")}, "lowest score"),
        ({"min_percentile": -0.1}, "lowest percentile"),
        ({"min_percentile": 100.1}, "lowest percentile"),
        ({"min_percentile": float("nan")}, "lowest percentile"),
        ({"color_weight": -1}, "color weight"),
        ({"color_weight": 11}, "color weight"),
        ({"color_weight": float("nan")}, "color weight"),
        ({"diversity": 1.1}, "diversity"),
        ({"diversity": float("nan")}, "diversity"),
        ({"diversity": 0.5, "limit": MAX_DIVERSE + 1}, "with diversity"),
        ({"diversity": 0.5, "offset": 10}, "diversity has one page"),
        ({"diversity": 0.5, "rerank": True}, "rerank and diversity, which do not go together"),
        ({"diversity": 0.5, "group_by": "color"}, "diversity and group_by, which do not go together"),
        ({"rerank": True, "group_by": "color"}, "rerank and group_by, which do not go together"),
        ({"group_by": "color", "offset": 10}, "group_by has one page"),
        ({"group_by": "a b"}, "'a b' is no attribute"),
        ({"group_by": "color", "group_size": 0}, "group size 0"),
        ({"group_by": "color", "group_size": MAX_GROUP + 1}, "group size"),
        ({"group_size": 2}, "group_size is for group_by"),
        ({"group_by": "color", "group_size": 11, "limit": 100}, "100 groups of 11"),
        ({"explain": True, "limit": 101}, "101 answers are not explained"),
        ({"exclude": ("",)}, "product ID is empty"),
        ({"exclude": tuple(map(str, range(MAX_EXCLUDED + 1)))}, "excludes 1,001 products"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as error:
        Query(**{"near": (A,), **given}).checked()
    assert type(error.value) in (InvalidInput, InvalidQuery, InvalidProductID)


def test_what_is_right_passes() -> None:
    for query in (
        Query(near=(A,)),
        Query(like=(ProductTerm("a"),), diversity=1.0, limit=MAX_DIVERSE),
        Query(unlike=(ProductTerm("a"),), group_by="size.width", group_size=MAX_GROUP, limit=10, explain=False),
        Query(near=(A,), rerank=True, offset=100, min_percentile=100, min_score=-1, color_weight=10),
    ):
        assert query.checked() is query
