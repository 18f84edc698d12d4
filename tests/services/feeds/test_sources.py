"""Folders, files and lists to sources."""

import os
from pathlib import Path

import pytest

from services.errors import InvalidSource
from services.feeds.lists import attributes_table
from services.feeds.source import IdRule, Source
from services.feeds.sources import sources
from services.records import AttributeKind


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
    assert ids(sources([folder], recursive=True, without=folder / "inner")) == ["a.b", "b"]


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


BAD_LISTS = {
    "no-column.csv": ("product_id,file\nA,1.jpg\n", "image_path"),
    "short-row.csv": ("product_id,image_path,x\nA,1.jpg\n", "line 2"),
    "long-row.csv": ("product_id,image_path\nA,1.jpg,3\n", "line 2"),
    "nameless.csv": ("product_id,image_path,\nA,1.jpg,3\n", "column without a name"),
    "quote.csv": ('product_id,image_path\nA,"1.jpg\n', "no CSV"),
    "empty.csv": ("", "no column product_id"),
    "twice.csv": ("product_id,image_path,x,x\nA,1.jpg,1,2\n", "twice"),
    "no-path.csv": ("product_id,image_path\nA,\n", "line 2"),
    "text.ndjson": ("hello\n", "line 1"),
    "number.ndjson": ('{"product_id": 1, "image_path": "1.jpg"}\n', "line 1"),
    "unknown.ndjson": ('{"product_id": "a", "image_path": "1.jpg", "colour": "x"}\n', "colour"),
    "attributes.ndjson": ('{"product_id": "a", "image_path": "1.jpg", "attributes": 3}\n', "line 1"),
    "deep.ndjson": ("[" * 100_000 + "\n", "line 1"),
}


@pytest.mark.parametrize("name", BAD_LISTS)
def test_a_malformed_list_is_refused_by_file_and_line(tmp_path: Path, name: str) -> None:
    text, said = BAD_LISTS[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidSource, match=said) as caught:
        sources([tmp_path / name])
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["list.csv", "list.ndjson"])
def test_a_list_that_is_no_text_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe\x00product_id")
    with pytest.raises(InvalidSource, match="UTF-8"):
        sources([tmp_path / name])


def test_a_table_knows_numbers_from_names_by_the_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("product_id;sku;price;note\nA;007;3;x\nB;12;4.5;\n")
    table = attributes_table(path)
    assert table.kinds == {
        "sku": AttributeKind.KEYWORD,
        "price": AttributeKind.FLOAT,
        "note": AttributeKind.KEYWORD,
    }
    assert table.rows == {"A": {"sku": "007", "price": 3.0, "note": "x"}, "B": {"sku": "12", "price": 4.5}}


def test_columns_are_named_as_filters_name_them(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("product_id,list price,a.b,größe\nA,1,2,x\n")
    assert attributes_table(path).keys == {
        '"list price"': AttributeKind.INTEGER,
        '"a.b"': AttributeKind.INTEGER,
        "größe": AttributeKind.KEYWORD,
    }


def test_a_column_that_filters_cannot_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('product_id,"5"" wide"\nA,1\n')
    with pytest.raises(InvalidSource, match="wide"):
        attributes_table(path)


def test_a_table_with_one_product_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("product_id,x\nA,1\nA,2\n")
    with pytest.raises(InvalidSource, match=r"line 3.*'A'"):
        attributes_table(path)


def test_a_name_that_is_no_unicode_still_makes_a_source(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).touch()
    assert ids(sources([tmp_path])) == [os.fsdecode(b"caf\xe9")]
