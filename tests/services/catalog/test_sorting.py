"""What lists are sorted by, and cursors that belong to one list."""

from base64 import urlsafe_b64encode

import pytest

from services.catalog.sorting import Place, Sort, check_unsorted, place_of
from services.descriptions import AttributeKind
from services.errors import InvalidInput, NotSortable
from services.index.vector_index import point_id
from services.query.filters import parse

DECLARED = {
    "price": AttributeKind.FLOAT,
    "color": AttributeKind.KEYWORD,
    "size.width": AttributeKind.INTEGER,
    "-rank": AttributeKind.INTEGER,
}
RED = parse({"must": {"key": "color", "match": {"value": "red"}}})
ID = point_id("shoe")


def test_a_sort_is_a_key_and_a_minus_for_the_largest_first() -> None:
    assert Sort.parsed("price", DECLARED) == Sort("price")
    assert Sort.parsed('-"price"', DECLARED) == Sort("price", descending=True)
    assert Sort.parsed("size.width", DECLARED) == Sort("size.width")
    assert Sort.parsed('"-rank"', DECLARED) == Sort("-rank")
    assert Sort.parsed("--rank", DECLARED) == Sort("-rank", descending=True)


@pytest.mark.parametrize("text", ["color", "-color", "weight", "", "-", "a..b", "-rank", "price,color", "+price"])
def test_what_is_not_declared_as_a_number_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(NotSortable, match=r"sorted by .* there are price, size.width, -rank; declare it") as refused:
        Sort.parsed(text, DECLARED)
    assert repr(text.removeprefix("-")) in str(refused.value)
    with pytest.raises(NotSortable, match="the catalog has none yet"):
        Sort.parsed("price", {})


@pytest.mark.parametrize("number", [None, 0.0, -1.5, 1e300, -5e-324, 9.99, 2.0**53, 0.1 + 0.2])
def test_a_cursor_is_read_back_by_its_own_list(number: float | None) -> None:
    for filter in (None, RED):
        cursor = Place(number, ID).cursor(Sort("price"), filter)
        assert place_of(cursor, Sort("price"), filter) == Place(number, ID) and len(cursor) <= 200


def test_a_cursor_of_another_list_is_refused() -> None:
    cursor = Place(9.99, ID).cursor(Sort("price"), RED)
    for sort, filter in ((Sort("price"), None), (Sort("price", True), RED), (Sort("size.width"), RED)):
        with pytest.raises(InvalidInput, match="another sort or filter"):
            place_of(cursor, sort, filter)
    with pytest.raises(InvalidInput, match="another sort or filter"):
        place_of(ID, Sort("price"), RED)
    with pytest.raises(InvalidInput, match="to a sorted list"):
        check_unsorted(cursor)
    check_unsorted(ID)
    check_unsorted(None)


@pytest.mark.parametrize("number", ["nan", "inf", "1e999", "-", "1_0", "٣"])
def test_a_cursor_that_nobody_gave_is_refused(number: str) -> None:
    mark = Sort("price").mark(None)
    for text in (f"s{mark}:{number}:{ID}", f"s{mark}:1:{'-' * 36}"):
        with pytest.raises(InvalidInput):
            place_of(urlsafe_b64encode(text.encode()).decode(), Sort("price"), None)
