"""Folders, files and lists to sources."""

import json
import os
from pathlib import Path

import pytest

from services.descriptions import AttributeKind
from services.errors import InvalidSource
from services.feeds.lists import attributes_table
from services.feeds.picking import Picking
from services.feeds.source import IdRule, Source
from services.feeds.sources import sources
from services.records import RemoteImage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.b.png", ".hidden", "inner/c.jpg", "inner/deep/d.jpg"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "pictures"


def ids(found: list[Source]) -> list[str]:
    return [source.product_id for source in found]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (IdRule.STEM, ["a.b", "b", "c", "d"]),
        (IdRule.NAME, ["a.b.png", "b.jpg", "c.jpg", "d.jpg"]),
        (IdRule.RELATIVE, ["a.b.png", "b.jpg", "inner/c.jpg", "inner/deep/d.jpg"]),
    ],
)
def test_a_file_names_its_product_by_the_rule(folder: Path, rule: IdRule, expected: list[str]) -> None:
    assert ids(sources([folder], rule=rule, recursive=True)) == expected


def test_inner_folders_are_taken_only_when_asked_for(folder: Path) -> None:
    assert ids(sources([folder])) == ["a.b", "b"]


def test_files_may_be_named_one_by_one(folder: Path) -> None:
    found = sources([folder / "b.jpg", folder / "inner"])
    assert [(each.product_id, each.image) for each in found] == [
        ("b", folder / "b.jpg"),
        ("c", folder / "inner" / "c.jpg"),
    ]


def test_a_folder_that_links_to_itself_ends(folder: Path) -> None:
    (folder / "inner" / "loop").symlink_to(folder)
    assert ids(sources([folder], recursive=True)) == ["a.b", "b", "c", "d"]


def test_the_data_folder_is_none_of_the_pictures(folder: Path) -> None:
    assert ids(sources([folder], recursive=True, without=[folder / "inner"])) == ["a.b", "b"]


def test_two_rows_of_a_list_are_two_sources_and_a_list_says_more_than_a_folder(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"\xff\xd8\xff")
    table = tmp_path / "list.csv"
    table.write_text("product_id,image_path,price\n1,1.jpg,5\n1,1.jpg,6\n")
    rows = [Source("1", tmp_path / "1.jpg", {"price": 5}), Source("1", tmp_path / "1.jpg", {"price": 6})]
    for paths in ([table], [table, table], [tmp_path, table], [table, tmp_path], [tmp_path / "1.jpg", table]):
        found = sources(paths, without=[table])
        assert found == rows
        assert [each.row for each in found] == [f"{table} line 2", f"{table} line 3"]


def test_a_file_that_is_named_twice_is_taken_once(folder: Path) -> None:
    assert ids(sources([folder, folder / "b.jpg", folder])) == ["a.b", "b"]


def test_links_that_lead_nowhere_are_sources_all_the_same(folder: Path) -> None:
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    assert ids(sources([folder])) == ["a.b", "b", "gone", "loop"]


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSource, match="cannot be read"):
        sources([tmp_path / ("x" * 300)])


def test_a_list_that_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list.csv")
    with pytest.raises(InvalidSource, match="not a file"):
        sources([tmp_path / "list.csv"])
    with pytest.raises(InvalidSource, match="not a file"):
        attributes_table(tmp_path / "list.csv")


@pytest.mark.parametrize("recursive", [True, False])
def test_an_empty_folder_is_refused(tmp_path: Path, recursive: bool) -> None:
    with pytest.raises(InvalidSource, match="no files"):
        sources([tmp_path], recursive=recursive)


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSource, match="nowhere"):
        sources([tmp_path / "nowhere"])


def test_a_csv_lists_products_with_attributes(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("product_id,image_path,color,price,n\nA1,x/1.jpg,red,3,1\nA2,/abs/2.jpg,,4.5,2\n")
    assert sources([path]) == [
        Source("A1", tmp_path / "x/1.jpg", {"color": "red", "price": 3.0, "n": 1}),
        Source("A2", Path("/abs/2.jpg"), {"price": 4.5, "n": 2}),
    ]


def test_a_csv_without_attributes_says_nothing_of_them(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("product_id,image_path\nA1,1.jpg\n")
    assert sources([path]) == [Source("A1", tmp_path / "1.jpg", None)]


def test_ndjson_lists_products_with_attributes(tmp_path: Path) -> None:
    path = tmp_path / "list.ndjson"
    path.write_text(
        '{"product_id": "A1", "image_path": "1.jpg", "attributes": {"n": [1, null]}}\n\n'
        '{"product_id": "A2", "image_path": "2.jpg"}\n'
    )
    assert sources([path]) == [
        Source("A1", tmp_path / "1.jpg", {"n": [1, None]}),
        Source("A2", tmp_path / "2.jpg", None),
    ]


UNREADABLE = {
    "no-column.csv": (
        "product_id,file,path\nA,1.jpg,2.jpg\n",
        "'file' and 'path': say which with --column image_url=file",
    ),
    "no-image.csv": ("product_id,color\nA,red\n", "no column image_path or image_url; there are 'product_id', 'color'"),
    "no-id.csv": ("ean,image_path\n1,1.jpg\n", "no column product_id; .* --column product_id=NAME"),
    "two-ids.csv": ("SKU,ID,image_path\n1,2,1.jpg\n", "'SKU' and 'ID': say which with --column product_id=SKU"),
    "empty.csv": ("", "no column product_id"),
    "twice.csv": ("product_id,image_path,x,x\nA,1.jpg,1,2\n", "twice"),
    "header.csv": ('product_id,"image_path\nA,1.jpg\n', "line 1 names no columns: A quote opens a cell"),
    "wide.csv": ("product_id,image_path" + ",x" * 1000 + "\n", "1,002 columns; at most 1,000"),
    "workbook.csv": ("PK\3\4...", "a workbook"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_list_that_cannot_be_read_as_a_whole_is_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    text, said = UNREADABLE[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidSource, match=said) as caught:
        sources([tmp_path / name])
    assert name in str(caught.value)


BAD_ROWS = {
    "short.csv": ("product_id,image_path,x\nA,1.jpg\nB,2.jpg,2\n", "", "2 cells, and the header 3"),
    "long.csv": ("product_id,image_path\nA,1.jpg,3\nB,2.jpg\n", "", "3 cells, and the header 2"),
    "open.csv": ('product_id,image_path\nA,"1.jpg\nB,2.jpg\n', "", "A quote opens a cell and nothing closes it"),
    "quote.csv": ('product_id,image_path\nA,"1"x.jpg\nB,2.jpg\n', "", "After a closing quote the cell goes on"),
    "no-path.csv": ("product_id,image_path\nA,\nB,2.jpg\n", "A", "no image_path and no image_url"),
    "no-id.csv": ("product_id,image_path\n,1.jpg\nB,2.jpg\n", "", "A product ID is empty"),
    "both.csv": ("product_id,image_path,image_url\nA,1.jpg,http://x.example/1\nB,2.jpg,\n", "A", "both an image_path"),
    "ftp.csv": ("product_id,image_path,image_url\nA,,ftp://x.example/1\nB,2.jpg,\n", "A", "http:// or https://"),
    "latin.csv": ("product_id,image_path,ö\nA,\udce9.jpg,ä\nB,2.jpg,\n", "", "no text in UTF-8"),
    "long-cell.csv": ("product_id,image_path\nA," + "x" * 1_100_000 + "\nB,2.jpg\n", "", "more than the 1,048,576"),
    "large.csv": ("product_id,image_path,x\nA,1.jpg," + "x" * 70_000 + "\nB,2.jpg,\n", "A", "at most 65,536"),
    "text.ndjson": ('hello\n{"product_id": "B", "image_path": "2.jpg"}\n', "", "no JSON"),
    "number.ndjson": ('{"product_id": 1}\n{"product_id": "B", "image_path": "2.jpg"}\n', "", "strings"),
    "unknown.ndjson": (
        '{"product_id": "a", "image_path": "1.jpg", "colour": "x"}\n{"product_id": "B", "image_path": "2.jpg"}\n',
        "a",
        "colour",
    ),
    "attributes.ndjson": (
        '{"product_id": "a", "image_path": "1.jpg", "attributes": 3}\n{"product_id": "B", "image_path": "2.jpg"}\n',
        "a",
        "attributes must be an object",
    ),
    "deep.ndjson": ("[" * 100_000 + '\n{"product_id": "B", "image_path": "2.jpg"}\n', "", "no JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_named_and_costs_no_other(tmp_path: Path, name: str) -> None:
    text, product_id, said = BAD_ROWS[name]
    path = tmp_path / name
    path.write_text(text, errors="surrogateescape")
    first = 1 if path.suffix == ".ndjson" else 2
    bad, good = sources([path])
    assert (bad.product_id, bad.place) == (product_id, f"{path} line {first}")
    assert bad.fault and str(bad.fault).startswith(f"{path} line {first}: ") and said in str(bad.fault)
    assert (good.product_id, good.image, good.fault) == ("B", tmp_path / "2.jpg", None)


def test_a_list_takes_urls_beside_files(tmp_path: Path) -> None:
    url = RemoteImage("https://shop.example/1.jpg")
    (tmp_path / "a.csv").write_text(f"product_id,image_path,image_url\nA,,{url.url}\nB,2.jpg,\n")
    (tmp_path / "b.csv").write_text(f"sku,image\nA,{url.url}\nB,2.jpg\n")
    lines = [{"product_id": "A", "image_url": url.url}, {"product_id": "B", "image_path": "2.jpg"}]
    (tmp_path / "c.ndjson").write_text("\n".join(map(json.dumps, lines)))
    for name in ("a.csv", "b.csv", "c.ndjson"):
        assert sources([tmp_path / name]) == [Source("A", url), Source("B", tmp_path / "2.jpg")]


@pytest.mark.parametrize("name", ["list.csv", "list.ndjson"])
def test_a_list_that_is_no_text_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00product_id")  # half a character of UTF-16
    with pytest.raises(InvalidSource, match="UTF-8"):
        sources([tmp_path / name])


def test_a_table_knows_numbers_from_names_by_the_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("product_id;sku;price;note\nA;007;3;x\nB;12;4.5;\n")
    described = attributes_table(path)
    assert described.table.keys == {
        "sku": AttributeKind.KEYWORD,
        "price": AttributeKind.FLOAT,
        "note": AttributeKind.KEYWORD,
    }
    assert described.rows == {"A": {"sku": "007", "price": 3.0, "note": "x"}, "B": {"sku": "12", "price": 4.5}}


def test_columns_are_named_as_filters_name_them(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("product_id,list price,a.b,größe\nA,1,2,x\nB,2,3,x\n")
    assert attributes_table(path).table.keys == {
        '"list price"': AttributeKind.FLOAT,
        '"a.b"': AttributeKind.FLOAT,
        "größe": AttributeKind.KEYWORD,
    }


def test_a_column_that_filters_cannot_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('product_id,"5"" wide"\nA,1\n')
    with pytest.raises(InvalidSource, match="wide"):
        attributes_table(path)


def test_the_images_of_a_table_of_attributes_are_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("product_id,image_url,x\nA,http://shop.example/1.jpg,1\n")
    described = attributes_table(path)
    assert described.rows == {"A": {"x": 1}}
    assert described.table.sentences()[1] == "image_url: skip; images are those of the paths given"


def test_a_product_that_a_table_has_twice_is_named_with_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("product_id,x\nA,1\nA,2\nB,3\n")
    described = attributes_table(path)
    assert set(described.wrong) == {"A"} and described.rows["B"] == {"x": 3}
    assert str(described.wrong["A"].fault).startswith(
        f"{path} line 3: It names product 'A' a second time, after line 2"
    )


def test_a_name_that_is_no_unicode_still_makes_a_source(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).touch()
    assert ids(sources([tmp_path])) == [os.fsdecode(b"caf\xe9")]


def test_a_folder_without_pictures_says_what_would_take_some(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(InvalidSource, match="or take files whatever their names say with --include GLOB"):
        sources([tmp_path])
    for picking in (Picking(include=("x*",)), Picking(exclude=("*",))):
        with pytest.raises(InvalidSource, match="or change --include and --exclude: they are compared with names and"):
            sources([tmp_path], picking=picking)


def test_a_row_of_a_list_with_an_id_that_a_put_refuses_is_told_by_line(tmp_path: Path) -> None:
    for name, text in {
        "list.csv": "product_id,image_path\nS1,1.jpg\nS1 ,2.jpg\n",
        "list.ndjson": '{"product_id": "S1", "image_path": "1.jpg"}\n{"product_id": "S1 ", "image_path": "2.jpg"}\n',
    }.items():
        (tmp_path / name).write_text(text)
        good, bad = sources([tmp_path / name])
        line = 3 if name == "list.csv" else 2
        assert (good.fault, bad.place) == (None, f"{tmp_path / name} line {line}")
        assert str(bad.fault).startswith(f"{bad.place}: The product ID 'S1 ' ends with the white space U+0020;")
