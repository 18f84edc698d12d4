"""Product IDs: what may be stored, and what a put may give."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidProductID
from services.names import checked_new_product_id, checked_product_id


@pytest.mark.parametrize(
    ("product_id", "why"),
    [
        ("WS-1 ", "ends with the white space U+0020"),
        (" WS-1", "begins with the white space U+0020"),
        ("WS-1\u00a0", "ends with the white space U+00A0"),
        ("WS-1\u3000", "ends with the white space U+3000"),
        ("\ufeffWS-1", "begins with the invisible character U+FEFF"),
        ("WS-1\u200b", "ends with the invisible character U+200B"),
        ("WS-1\u200e", "ends with the invisible character U+200E"),
        ("WS\t1", "holds the control character U+0009"),
        ("WS-1\n", "holds the control character U+000A"),
        ("WS-1\0", "holds the control character U+0000"),
        ("WS\u00851", "holds the control character U+0085"),
        ("WS\u20281", "holds the line separator U+2028"),
        (" ", "ends with the white space U+0020"),
    ],
    ids=ascii,
)
def test_a_put_refuses_what_cannot_be_seen_and_shows_it(product_id: str, why: str) -> None:
    assert checked_product_id(product_id) == product_id
    with pytest.raises(InvalidProductID) as refused:
        checked_new_product_id(product_id)
    assert str(refused.value) == f"The product ID {product_id!r} {why}; put the product under an ID without it."
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "product_id",
    ["a b", "a\u00a0b", "..", "a/b", "x" * 512, "cafe\u0301", "caf\u00e9", "می\u200cخو", "👩\u200d👧", "a\ufeffb"],
    ids=ascii,
)
def test_other_text_is_an_id_as_it_is(product_id: str) -> None:
    assert checked_new_product_id(product_id) == product_id


@given(st.text(min_size=1, max_size=100) | st.text(" a\u00a0\ufeff\n\u2028\u200d", min_size=1, max_size=5))
def test_an_id_of_a_put_is_as_it_looks(product_id: str) -> None:
    try:
        found = checked_new_product_id(product_id)
    except InvalidProductID:
        return
    assert found == product_id == product_id.strip()
    categories = [unicodedata.category(each) for each in found]
    assert not {*categories} & {"Cc", "Cs", "Zl", "Zp"} and "Cf" not in (categories[0], categories[-1])
