"""A query as text: what can be written can be read, and what may mean two things is refused with both spellings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidProductID, InvalidQuery
from services.query.terms import (
    MAX_TERMS,
    DirectionTerm,
    ImageTerm,
    Operand,
    ProductTerm,
    Term,
    VectorTerm,
    Word,
    quoted,
    resolved,
    words,
)

PRODUCTS = {"sneaker-12", "mug-3", "12", "floral", "direction:floral", "mug 3", "-", "a+b"}
DIRECTIONS = {"floral", "dark"}


def terms(text: str) -> list[Term]:
    return resolved(
        words(text),
        held=lambda ids: {each for each in ids if each in PRODUCTS},
        directions=lambda: DIRECTIONS,
        picture=lambda path: f"bytes of {path}".encode(),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sneaker-12", [Term(ProductTerm("sneaker-12"))]),
        (
            "sneaker-12 - mug-3 + 0.5 direction:dark",
            [
                Term(ProductTerm("sneaker-12")),
                Term(ProductTerm("mug-3"), -1.0),
                Term(DirectionTerm("dark"), 0.5),
            ],
        ),
        ("- mug-3", [Term(ProductTerm("mug-3"), -1.0)]),
        ("2 12 - 12", [Term(ProductTerm("12"), 2.0), Term(ProductTerm("12"), -1.0)]),
        ("12", [Term(ProductTerm("12"))]),
        ('"mug 3" + "-"', [Term(ProductTerm("mug 3")), Term(ProductTerm("-"))]),
        ('product:floral + direction:"floral"', [Term(ProductTerm("floral")), Term(DirectionTerm("floral"))]),
        ('"direction:floral"', [Term(ProductTerm("direction:floral"))]),
        ("a+b", [Term(ProductTerm("a+b"))]),
        # A number that no term follows is an ID.
        ("0.5 - a", [Term(ProductTerm("0.5")), Term(ProductTerm("a"), -1.0)]),
        ("1.5 file:shoe.jpg", [Term(ImageTerm(b"bytes of shoe.jpg", "shoe.jpg"), 1.5)]),
        ('file:"my shoe.jpg"', [Term(ImageTerm(b"bytes of my shoe.jpg", "my shoe.jpg"))]),
        # What is not there is a product's ID, which the catalog then does not have.
        ("nobody", [Term(ProductTerm("nobody"))]),
        ("direction:nobody", [Term(DirectionTerm("nobody"))]),
    ],
)
def test_what_a_text_means(text: str, expected: list[Term]) -> None:
    assert terms(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("a b", r"Between two terms.*'b'"),
        ("a - ", "where a term is expected"),
        ("a + + b", "where a term is expected"),
        ("- - a", "where a term is expected"),
        ('"a', "quotes"),
        ('"a"b', "quotes"),
        ('product:"a"b', "quotes"),
        ("direction:", "name is missing"),
        ('""', "name is missing"),
        ("floral", 'a product and a direction: write "floral" .* or direction:"floral"'),
        ("direction:floral", 'a product and a direction: write "direction:floral" .* or direction:"floral"'),
        ("dark", "no product 'dark', but a direction: write direction:dark .* or \"dark\""),
        (" + ".join(["12"] * (MAX_TERMS + 1)), f"{MAX_TERMS + 1} terms"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(InvalidQuery, match=says):
        terms(text)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20),
            st.sampled_from(["", "product", "direction"]),
            st.sampled_from([1.0, -1.0, 0.25, -3.0, 12.5]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_every_name_can_be_written_in_quotes(given_terms: list[tuple[str, str, float]]) -> None:
    text = ""
    for at, (name, prefix, weight) in enumerate(given_terms):
        sign = "-" if weight < 0 else "+" if at else ""
        number = "" if abs(weight) == 1 else f"{abs(weight):g}"
        text += f" {sign} {number} {prefix}{':' if prefix else ''}{quoted(name)}"
    assert words(text) == [Word(prefix, name, weight, True) for name, prefix, weight in given_terms]


@pytest.mark.parametrize("weight", [0.0, float("nan"), float("inf"), 101.0, -101.0])
def test_weights_that_mean_nothing_are_refused_with_their_term(weight: float) -> None:
    with pytest.raises(InvalidQuery, match="direction 'dark'"):
        Term(DirectionTerm("dark"), weight).checked()


def test_a_product_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidProductID):
        Term(ProductTerm("")).checked()


def test_two_vectors_are_two_terms() -> None:
    operands: set[Operand] = {VectorTerm(np.ones(3, np.float32)), VectorTerm(np.ones(3, np.float32))}
    assert len(operands) == 2
