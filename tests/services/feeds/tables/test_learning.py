"""What a column is taken for, and what its cells mean: never another thing than they say, without a word."""

import io
from typing import Any

import pytest

from services.descriptions import AttributeKind
from services.errors import InvalidSource
from services.feeds.tables.headers import ATTRIBUTES
from services.feeds.tables.options import Options, parsed
from services.feeds.tables.table import Table


def read(
    *cells: str, delimiter: str = ",", declared: AttributeKind | None = None, given: tuple[str, ...] = ()
) -> tuple[Table, list[Any]]:
    """The table of one column `x`, and what each row has of it; an error is given as its message."""
    quoted = ('"' + cell.replace('"', '""') + '"' for cell in cells)
    text = f"product_id{delimiter}x\n" + "".join(f"p{delimiter}{cell}\n" for cell in quoted)
    kinds, headers = parsed(given)
    declares = {"x": declared} if declared else {}
    table = Table(io.BytesIO(text.encode()), "t.csv", ATTRIBUTES, Options(kinds, headers), declares)
    return table, [str(each.error) if each.error else each.attributes.get("x") for each in table.records()]


NUMBERS: list[tuple[str, list[str], str, list[Any]]] = [
    (",", ["12", "15"], "integer", [12, 15]),
    (",", ["-3", "0", "40"], "integer", [-3, 0, 40]),
    (",", ["12.50", "9"], "float", [12.5, 9.0]),
    (",", [".5", "-0.25"], "float", [0.5, -0.25]),
    (";", ["12,50", "9"], "float", [12.5, 9.0]),
    (";", ["0,125", "1,299"], "float", [0.125, 1.299]),
    (",", ["12.5", "1,299"], "float", [12.5, 1299.0]),
    (";", ["12,5", "1.299"], "float", [12.5, 1299.0]),
    (";", ["1.299,00", "7,95"], "float", [1299.0, 7.95]),
    (",", ["1,299.00", "7.95"], "float", [1299.0, 7.95]),
    (",", ["1,299,000", "1,299"], "integer", [1299000, 1299]),
    (";", ["1 299,00", "1\u00a0299,00", "1\u202f299,00"], "float", [1299.0] * 3),
    (";", ["1'299.00", "1’299.00"], "float", [1299.0] * 2),
    (",", ["$12.50", "$ 7.95", "8"], "float", [12.5, 7.95, 8.0]),
    (";", ["12,50 €", "7,95\u00a0€"], "float", [12.5, 7.95]),
    (";", ["EUR 12,50", "-EUR 7,95"], "float", [12.5, -7.95]),
    (";", ["CHF 1'299.00", "CHF 12.00"], "float", [1299.0, 12.0]),
    (",", ["12.50 USD", "US$"], "keyword", ["12.50 USD", "US$"]),
    (",", ["1.299", "0.5"], "float", [1.299, 0.5]),
    (",", ["1.299", "2.450"], "float", [1.299, 2.45]),
    (",", [" 12.50 ", "7"], "float", [12.5, 7.0]),
    (",", ["0.30000000000000004", "1"], "float", [0.30000000000000004, 1.0]),
]


@pytest.mark.parametrize(("delimiter", "cells", "kind", "values"), NUMBERS)
def test_a_column_is_read_as_it_was_written(delimiter: str, cells: list[str], kind: str, values: list[Any]) -> None:
    table, found = read(*cells, delimiter=delimiter)
    assert (table.columns[1].taken_as, found) == (kind, values)
    assert [type(each) for each in found] == [type(each) for each in values]


TEXTS: list[tuple[str, list[str], str]] = [
    (",", ["1,299", "5"], "line 2 '1,299' can be read in two ways, 1299 (--column x=decimal-point) or 1.299 (--column"),
    (";", ["1.299", "5"], "line 2 '1.299' can be read in two ways, 1.299 (--column x=decimal-point) or 1299 (--column"),
    (",", ["10%", "20%"], "line 2 '10%' can be read in two ways (--column x=float takes 12% as 12)"),
    (",", ["12.5", "12,5"], "line 2 '12.5' and line 3 '12,5' have different decimal marks"),
    (",", ["$5", "€5"], "line 2 '$5' and line 3 '€5' are in two currencies"),
    (",", ["12", "007"], "line 3 '007' has a leading zero"),
    (",", ["1234567890123456"], "line 2 '1234567890123456' has more than 15 digits"),
    (",", ["4006381333931", "4006381333931"], "its numbers are trade numbers (GTIN)"),
    (",", ["123 456 789"], "line 2 '123 456 789' can be read in two ways"),
    (",", ["4006381333931", "4006381333932"], "half or more of its numbers are trade numbers (GTIN)"),
    (",", ["4006381333931", "96385074"], "half or more of its numbers are trade numbers (GTIN)"),
    (",", ["y", "n"], "yes and no are true and false with --column x=bool"),
    (",", ["1", "0"], "0 and 1 can be read in two ways, as numbers (--column x=integer) or as false and true (--col"),
    (",", ["0", "N/A", "1"], "0 and 1 can be read in two ways"),
    (",", ["1e5", "2e5"], ""),
    (",", ["12", "1e5"], "line 3 '1e5' is no number, so it stays text"),
    (",", ["+49 30 1234", "12"], "line 2 '+49 30 1234' is no number, so it stays text"),
    (",", ["inf", "12"], "line 2 'inf' is no number, so it stays text"),
    (",", ["nan", "nan"], ""),
    (",", ["38", "40", "XL"], "line 4 'XL' is no number, so it stays text"),
    (",", ["38", "XL", "38A"], ""),
    (",", ["on request", "5", "6", "12.5x"], "line 5 '12.5x' is no number, so it stays text"),
    (",", ["5", "on request", "ask"], ""),
    (",", ["true", "false", "1"], "line 4 '1' is neither true nor false, so it stays text"),
    (",", ["true", "unknown"], "line 3 'unknown' is neither true nor false, so it stays text"),
    (",", ["true", "maybe", "often"], ""),
    (",", ["1/0", "0/1"], ""),
    (",", ["N/A", "-"], ""),
]


@pytest.mark.parametrize(("delimiter", "cells", "why"), TEXTS)
def test_a_column_that_may_be_something_else_stays_text_and_says_why(
    delimiter: str, cells: list[str], why: str
) -> None:
    table, found = read(*cells, delimiter=delimiter)
    assert (table.columns[1].taken_as, found) == ("keyword", cells)
    assert why in table.columns[1].note and bool(why) == bool(table.columns[1].note)


def test_words_for_true_and_false_are_a_column_of_them() -> None:
    table, found = read("true", "FALSE", "Yes", "no", "", "n/a")
    assert (table.columns[1].taken_as, found) == ("bool", [True, False, True, False, None, None])
    assert table.columns[1].sentence() == "x: bool, 4 of 6 rows; lines 6 (blank), 7 'n/a' have none"


@pytest.mark.parametrize("cell", ["0", "1"])
def test_zeros_alone_and_ones_alone_are_integers_and_the_way_to_truth_is_said(cell: str) -> None:
    table, found = read(cell, "", cell)
    assert (table.columns[1].taken_as, found) == ("integer", [int(cell), None, int(cell)])
    assert table.columns[1].note == "0 and 1 are false and true with --column x=bool"


def test_zeros_and_ones_are_what_is_declared_or_said_by_hand() -> None:
    for kind, values in {
        AttributeKind.BOOL: [False, True],
        AttributeKind.INTEGER: [0, 1],
        AttributeKind.FLOAT: [0.0, 1.0],
        AttributeKind.KEYWORD: ["0", "1"],
    }.items():
        for table, found in (read("0", "1", declared=kind), read("0", "1", given=(f"x={kind}",))):
            assert (table.columns[1].taken_as, found) == (kind, values)
            assert [type(each) for each in found] == [type(each) for each in values]


def test_zeros_and_ones_beside_other_numbers_are_numbers() -> None:
    for cells in (["0", "1", "2"], ["0", "-1"], ["0", "1", "$1"]):
        assert read(*cells)[0].columns[1].taken_as == "integer"


def test_a_few_cells_without_a_number_are_told_by_line() -> None:
    table, found = read("9.5", "7", "on request", "N/A", "8", "")
    assert found == [9.5, 7.0, None, None, 8.0, None]
    assert table.columns[1].sentence() == ("x: float, 3 of 6 rows; lines 4 'on request', 5 'N/A', 7 (blank) have none")


def test_only_the_first_lines_are_told_and_all_are_counted() -> None:
    table, _ = read(*["5"] * 100, *["on request"] * 40)
    assert table.columns[1].missing.count == 40 and len(table.columns[1].missing.first) == 10
    assert table.columns[1].sentence().endswith("and 30 more have none")
    assert len(table.as_json(5)[1]["examples"]) == 5


DECLARED: list[tuple[AttributeKind, tuple[str, ...], list[str], list[Any]]] = [
    (AttributeKind.FLOAT, (), ["12,50", "1.299,00"], [12.5, 1299.0]),
    (AttributeKind.FLOAT, (), ["1.299", "1"], [1.299, 1.0]),
    (AttributeKind.FLOAT, (), ["1e5", ""], [100000.0, None]),
    (AttributeKind.FLOAT, (), ["9007199254740993"], [9007199254740993]),
    (AttributeKind.INTEGER, (), ["1,299", "12.00", "007"], [1299, 12, 7]),
    (AttributeKind.KEYWORD, (), ["12", " N/A", "1,5"], ["12", " N/A", "1,5"]),
    (AttributeKind.BOOL, (), ["1", "nein", "Y"], [True, False, True]),
    (AttributeKind.FLOAT, ("x=float",), ["1,299", "12%"], [1299.0, 12.0]),
    (AttributeKind.FLOAT, ("x=decimal-comma",), ["1,299", "12"], [1.299, 12.0]),
    (AttributeKind.FLOAT, ("x=decimal-point",), ["1,299", "12"], [1299.0, 12.0]),
]


@pytest.mark.parametrize(("kind", "given", "cells", "values"), DECLARED)
def test_what_is_declared_or_said_by_hand_wins(
    kind: AttributeKind, given: tuple[str, ...], cells: list[str], values: list[Any]
) -> None:
    assert read(*cells, given=given, declared=None if given else kind)[1] == values


MISFITS: list[tuple[AttributeKind, list[str], str]] = [
    (AttributeKind.FLOAT, ["5", "on request"], "'on request' is not read as a number: correct it, or leave it empty"),
    (AttributeKind.FLOAT, ["5", "1,299"], "it is 1299 or 1.299; say --column x=decimal-point or =decimal-comma."),
    (AttributeKind.FLOAT, ["5", "12%"], "to read 12% as 12 say --column x=float."),
    (AttributeKind.FLOAT, ["$5", "€5"], "since other cells are in $"),
    (AttributeKind.FLOAT, ["5", "inf"], "'inf' is not read as a number"),
    (AttributeKind.INTEGER, ["5", "9.99"], "x is declared as integer, and '9.99' is not read as a whole number"),
    (AttributeKind.BOOL, ["true", "maybe"], "'maybe' is not read as true or false"),
]


@pytest.mark.parametrize(("kind", "cells", "why"), MISFITS)
def test_a_cell_that_does_not_fit_what_is_declared_costs_its_row(
    kind: AttributeKind, cells: list[str], why: str
) -> None:
    good, bad = read(*cells, declared=kind)[1]
    assert isinstance(bad, str) and why in bad and good != bad


def test_cells_that_do_not_fit_are_no_values_of_the_column() -> None:
    table, _ = read("5", "on request", "", "?", declared=AttributeKind.FLOAT)
    for _ in range(2):  # however often the rows are read
        assert table.sentences()[1] == (
            "x: float, 1 of 4 rows; line 4 (blank) has none; lines 3 'on request', 5 '?' do not fit; "
            "as the catalog declares it"
        )
        assert (table.as_json()[1]["values"], table.as_json()[1]["missing"]) == (1, 1)
        list(table.records())


def test_what_is_said_by_hand_does_not_contradict_the_catalog() -> None:
    assert read("5", declared=AttributeKind.FLOAT, given=("x=integer",))[1] == [5]
    with pytest.raises(InvalidSource, match="the catalog declares 'x' as float, so it cannot be keyword"):
        read("5", declared=AttributeKind.FLOAT, given=("x=keyword",))


def test_only_what_is_sure_is_declared() -> None:
    """A column is declared for good: tomorrow its cells may say what they are."""
    for cells, kinds in {
        ("12", "15"): {"x": AttributeKind.FLOAT},
        ("12.5",): {"x": AttributeKind.FLOAT},
        ("007",): {"x": AttributeKind.KEYWORD},
        ("red", ""): {"x": AttributeKind.KEYWORD},
        ("true",): {"x": AttributeKind.BOOL},
        ("1,299",): {},
        ("1", "0"): {},
        ("1", "1"): {},
        ("y",): {},
        ("38", "40", "XL"): {"x": AttributeKind.KEYWORD},
        (*["12.5"] * 20, "?"): {},
        (*["true"] * 20, "?"): {},
        ("",): {},
    }.items():
        assert read(*cells)[0].keys == kinds
