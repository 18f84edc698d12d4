"""Tables of any form come back as they were written, or the line is named."""

import io
import re
import tracemalloc
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.errors import InvalidSource
from services.feeds.tables.headers import ATTRIBUTES, LIST, Use
from services.feeds.tables.options import Options, parsed
from services.feeds.tables.table import Table
from services.feeds.tables.text import MAX_ROW, PATIENCE, Lines

LATIN = "abc XYZ019,;\t|\"'.äöüßÉñ"
# U+FFFD is what stands for damage in UTF-16.
ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd")


@dataclass
class Written:
    """A table as text, and what is to be read in it: attributes by product, kinds by column, lines of bad rows."""

    text: str = ""
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    bad: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Style:
    """How a table is written."""

    delimiter: str
    quotes_all: bool
    end: str
    padded: bool
    trailing: bool
    sep: bool

    def row(self, cells: list[str]) -> str:
        space = " " if self.padded else ""
        text = (self.delimiter + space).join(self.cell(cell) for cell in cells)
        return text + (self.delimiter if self.trailing else "") + self.end

    def cell(self, cell: str) -> str:
        needs = self.quotes_all or cell != cell.strip() or any(each in cell for each in self.delimiter + '"\r\n')
        return '"' + cell.replace('"', '""') + '"' if needs else cell


styles = st.builds(
    Style, st.sampled_from(",;\t|"), st.booleans(), st.sampled_from(["\n", "\r\n", "\r"]), *[st.booleans()] * 3
)


@st.composite
def amounts(draw: Any, count: int) -> list[tuple[str, Any]]:
    """Cells of prices in one style, and the numbers that they are."""
    mark, group = draw(st.sampled_from([(".", ""), (".", ","), (".", "'"), (",", ""), (",", "."), (",", "\u00a0")]))
    before, after = draw(st.sampled_from([("", ""), ("$", ""), ("EUR ", ""), ("", " €"), ("", "USD")]))
    places = draw(st.sampled_from([1, 2, 4]))
    cells: list[tuple[str, Any]] = []
    for n in range(count):
        number = draw(st.decimals(-(10**8), 10**8, places=places).map(lambda each: each + Decimal(0)))
        whole, _, fraction = f"{abs(number):,f}".partition(".")
        sign = "-" if number < 0 else ""
        if n and draw(st.booleans()):
            # The first cell shows the decimal mark, by which 1.299 is read in the others.
            number, mark_and_fraction = Decimal(sign + whole.replace(",", "")), ""
        else:
            mark_and_fraction = mark + fraction
        cells.append((f"{sign}{before}{whole.replace(',', group)}{mark_and_fraction}{after}", float(number)))
    return cells


@st.composite
def columns(draw: Any, count: int, letters: st.SearchStrategy[str]) -> tuple[str, list[tuple[str, Any]]]:
    """A kind, and cells with what they mean; None: no value."""
    kind = draw(st.sampled_from(["keyword", "name", "integer", "float", "bool"]))
    cells: list[tuple[str, Any]]
    if kind == "keyword":
        # A column of texts has one that is nothing else.
        texts = ["a 1" * (n == 0) + draw(st.text(letters, max_size=12)) for n in range(count)]
        cells = [(each, each) for each in texts]
    elif kind == "name":
        cells = [(each, each) for each in ["007", *(str(draw(st.integers(0, 999))) for _ in range(count - 1))]]
    elif kind == "integer":
        # Nothing but 0 and 1 may be truth values.
        some = [draw(st.integers(2, 10**9)), *(draw(st.integers(-999, 10**9)) for _ in range(count - 1))]
        cells = [(str(each), each) for each in some]
    elif kind == "float":
        cells = draw(amounts(count))
    else:
        yes, no = draw(st.sampled_from([("true", "false"), ("TRUE", "FALSE"), ("yes", "no"), ("Yes", "No")]))
        cells = [(yes, True) if draw(st.booleans()) else (no, False) for _ in range(count)]
    if kind in ("integer", "float", "bool"):
        none = st.sampled_from(["", "N/A", "-", "null"]).map(lambda each: (each, None))
        cells = [cells[0], *(draw(none) if draw(st.integers(0, 3)) == 0 else each for each in cells[1:])]
    return {"name": "keyword"}.get(kind, kind), cells


@st.composite
def tables(draw: Any) -> tuple[bytes, str | None, Written]:
    """The bytes of a table, the encoding that is said by hand, and what is to be read."""
    style = draw(styles)
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    letters = st.sampled_from(LATIN + "\n\r") if encoding == "cp1252" else ANY
    count = draw(st.integers(1, 6))
    made = {f"c{n} é": draw(columns(count, letters)) for n in range(draw(st.integers(1, 4)))}
    written = Written(kinds={name: kind for name, (kind, _) in made.items()})
    id_name = draw(st.sampled_from(["product_id", "Product_ID", "SKU", "Variant SKU", "g:id"]))
    written.text = f"sep={style.delimiter}{style.end}" if style.sep else ""
    written.text += style.row([id_name, *made])
    for n in range(count):
        if (fault := draw(st.integers(0, 9))) < 2:
            written.bad.append(_line(written.text))
            bad = ["x", *("y" for _ in made)]
            written.text += style.row([*bad, "z", "z"]) if fault else f'"x"y{style.row(bad)[1:]}'
        if draw(st.integers(0, 5)) == 0:
            written.text += style.row([""] * (1 + len(made))) if style.delimiter != "\t" else style.end
        written.text += style.row([f"p{n}", *(cells[n][0] for _, cells in made.values())])
        values = {name: cells[n][1] for name, (_, cells) in made.items()}
        written.rows[f"p{n}"] = {name: value for name, value in values.items() if value not in (None, "")}
    if draw(st.integers(0, 5)) == 0:
        written.bad.append(_line(written.text))
        written.text += f'x{style.delimiter}"never closed'
    said = draw(st.sampled_from([None, encoding]))
    return written.text.encode(encoding), said, written


def _line(text: str) -> int:
    """The line on which what follows begins."""
    return len(re.findall("\r\n|\r|\n", text)) + 1


def read(data: bytes, use: Use = ATTRIBUTES, encoding: str | None = None, given: tuple[str, ...] = ()) -> Table:
    kinds, headers = parsed(given)
    return Table(io.BytesIO(data), "t.csv", use, Options(kinds, headers, encoding), {})


def assert_comes_back(made: tuple[bytes, str | None, Written]) -> None:
    data, encoding, written = made
    table = read(data, encoding=encoding)
    records = list(table.records())
    assert {each.product_id: each.attributes for each in records if not each.error} == written.rows
    assert [each.line for each in records if each.error] == written.bad
    assert {each.name: each.taken_as for each in table.columns if each.kind} == written.kinds


@settings(max_examples=200)
@given(tables())
def test_a_table_comes_back_as_it_was_written_or_the_line_is_named(made: tuple[bytes, str | None, Written]) -> None:
    assert_comes_back(made)


@pytest.mark.long
@settings(max_examples=2000)
@given(tables())
def test_more_tables_come_back(made: tuple[bytes, str | None, Written]) -> None:
    assert_comes_back(made)


@settings(max_examples=200)
@given(
    st.binary(max_size=200) | st.text('product_id,;"\r\n\t=1x', max_size=120).map(str.encode),
    st.sampled_from([None, "utf-8", "utf-16", "utf-16-be", "utf-32", "shift_jis", "gb18030", "cp1252", "mac-roman"]),
)
def test_any_bytes_are_a_table_or_are_refused_in_a_sentence(data: bytes, encoding: str | None) -> None:
    for start in (b"", b"product_id,x\n"):
        try:
            records = list(read(start + data, encoding=encoding).records())
        except InvalidSource as error:
            assert str(error).startswith("t.csv ") and str(error).endswith((".", "NAME."))
        else:
            assert all(not each.error or str(each.error) for each in records)


def test_a_quote_that_is_not_closed_costs_its_row_alone() -> None:
    text = b'product_id,x\np1,"12 wide\np2,a\np3,"b"\np4,"two\nlines"\n'
    found = [(each.line, each.product_id, each.attributes, bool(each.error)) for each in read(text).records()]
    assert found == [
        (2, "", {}, True),
        (3, "p2", {"x": "a"}, False),
        (4, "p3", {"x": "b"}, False),
        (5, "p4", {"x": "two\nlines"}, False),
    ]


def test_a_table_of_quotes_that_are_not_closed_takes_no_longer_than_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each such row is read up to the limit; without a bound of its own all of it would be, again for each line."""
    served = 0
    following = Lines.__next__

    def counted(lines: Lines) -> str:
        nonlocal served
        served += 1
        return following(lines)

    monkeypatch.setattr(Lines, "__next__", counted)
    lines = 50_000
    records = list(read(b"product_id,x\n" + b'x","y\n' * lines).records())
    assert all(each.error for each in records)
    assert str(records[-1].error).endswith(f"It takes the lines to {lines + 1} with it.")
    assert served < 2 * (lines + PATIENCE // 3 + MAX_ROW)


def test_a_table_does_not_sit_in_memory() -> None:
    """Neither its rows nor a cell without an end."""
    row = b"p1,on request,red,%s\n" % (b"x" * 200)
    parts = {"rows": row * 20_000, "one line": b"p1," + b"x" * 8_000_000}
    for name, part in parts.items():
        file = io.BytesIO(b"product_id,price,color,text\n" + part)
        tracemalloc.start()
        table = Table(file, "t.csv", ATTRIBUTES, Options(), {})
        for _ in table.records():
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 7 << 20, name


def test_rows_that_are_but_further_pictures_are_left_out_and_counted() -> None:
    """As Shopify exports products with several pictures: one row each, with nothing but handle and picture."""
    url = "https://shop.example/{}.jpg"
    rows = ["mug,Mug,S1," + url.format(1), "mug,,," + url.format(2), "mug,,," + url.format(3), "cup,Cup,,x", "cup,,S3,"]
    table = read("\n".join(["Handle,Title,Variant SKU,Image Src", *rows]).encode(), LIST)
    assert [(each.line, each.product_id) for each in table.records()] == [(2, "S1"), (5, ""), (6, "S3")]
    assert table.notes == [
        "2 rows are further pictures of the product before, without an ID, and left out: a product has one picture"
    ]


def test_a_variant_without_an_id_is_no_further_picture() -> None:
    """A feed that names all products would remove it."""
    text = b"Handle,Option1 Value,Variant SKU,Variant Price,Image Src\nmug,Red,S1,3,x\nmug,Blue,,4.50,y\nmug,,,,z\n"
    table = read(text, LIST)
    assert [(each.line, each.product_id) for each in table.records()] == [(2, "S1"), (3, "")]
    assert [note.partition(",")[0] for note in table.notes] == ["1 row is a further picture of the product before"]


def test_pictures_of_variants_are_not_passed_over_in_silence() -> None:
    text = b"Handle,Variant SKU,Image Src,Variant Image\nmug,S1,https://x.example/1.jpg,https://x.example/2.jpg\n"
    [note] = read(text, LIST).notes
    assert '--column "image_url=Variant Image" takes them' in note
    assert read(text, LIST, given=("image_url=Variant Image",)).notes == []


@pytest.mark.parametrize(
    ("header", "roles"),
    [
        ("product_id,image_link,link,price", {"product_id": "product_id", "image_link": "image_url"}),
        ("id,title,image_link,additional_image_link", {"id": "product_id", "image_link": "image_url"}),
        ("g:id;g:image_link", {"g:id": "product_id", "g:image_link": "image_url"}),
        ("Variant SKU|Image Src|Variant Image", {"Variant SKU": "product_id", "Image Src": "image_url"}),
        ("SKU\timage", {"SKU": "product_id", "image": "image_path or image_url"}),
        (" Product_ID ,IMAGE_PATH", {"Product_ID": "product_id", "IMAGE_PATH": "image_path"}),
        ("product_id,sku,id,image_url,image", {"product_id": "product_id", "image_url": "image_url"}),
    ],
)
def test_headers_of_shops_are_known(header: str, roles: dict[str, str]) -> None:
    found = read(header.encode() + b"\n", LIST).columns
    assert {each.name: each.taken_as for each in found if not each.kind} == roles


def test_a_column_without_a_name_is_left_out_and_said() -> None:
    table = read(b",product_id,color\n0,A,red\n1,B,blue\n")
    assert [each.attributes for each in table.records()] == [{"color": "red"}, {"color": "blue"}]
    assert table.sentences()[0] == "(no name): skip; it has no name (line 2 '0')"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16", "utf-32", "cp1251", "shift_jis", "mac-roman", "latin-1"])
def test_an_encoding_may_be_said(encoding: str) -> None:
    word = {"cp1251": "цена", "shift_jis": "値段"}.get(encoding, "Größe")
    table = read(f"product_id,{word}\nA,{word} 1\n".encode(encoding), encoding=encoding)
    assert [each.attributes for each in table.records()] == [{word: f"{word} 1"}]
    assert table.notes == []


def test_a_mark_and_a_name_of_one_encoding_agree() -> None:
    text = "product_id,x\nA,größe\n"
    for named in ("utf-16", "utf-16-le"):
        for data in (text.encode("utf-16"), text.encode("utf-16-le")):
            assert [each.attributes for each in read(data, encoding=named).records()] == [{"x": "größe"}]


def test_a_few_bytes_that_are_no_utf_8_cost_their_rows_alone() -> None:
    good = "".join(f"p{n},größe\n" for n in range(5)).encode()
    table = read(b"product_id,x\n" + good + b"bad,gr\xf6\xdfe\n")
    assert [each.line for each in table.records() if each.error] == [7] and table.notes == []


def test_a_decimal_comma_in_one_column_puts_the_thousands_of_another_in_doubt() -> None:
    """As Google Sheets exports in German: commas between cells, too."""
    [price, weight] = read(b'product_id,price,weight\nS1,1.299,"0,5"\nS2,2.450,"1,5"\n').columns[1:]
    assert (price.taken_as, weight.taken_as) == ("keyword", "float")
    assert "can be read in two ways, 1.299 (--column price=decimal-point) or 1299" in price.note
    assert read(b"product_id,price,weight\nS1,1.299,0.5\nS2,2.450,1.5\n").columns[1].taken_as == "float"


def test_a_row_with_a_cell_too_many_is_told_how_to_hold_the_delimiter() -> None:
    for delimiter, shown in {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "|"}.items():
        text = "product_id,price\nS1,12,50\nS2\n".replace(",", delimiter)
        many, few = [str(each.error) for each in read(text.encode()).records()]
        assert many == f"The row has 3 cells, and the header 2. Quote cells that hold {shown}."
        assert few == "The row has 1 cell, and the header 2."
