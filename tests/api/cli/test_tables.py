"""The files of tests/cases/csv, made after public reports of people who index product pictures, by the command line.

Each should end as its name promises; the URLs in them are those of a server that a test starts.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from commands import worked_on
from harness import Pictures, answer, serving

from api.cli.main import cli

CASES = Path(__file__).parents[2] / "cases"
LITE = ("--encoder", "efficientnet_lite0")
PICTURE = (CASES / "jpeg" / "ok.jpg").read_bytes()

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def data(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("LOOKALIKE_FETCH_ALLOW", "127.0.0.1")
    with worked_on(tmp_path / "data", way) as folder:
        yield folder


@pytest.fixture
def web() -> Iterator[Pictures]:
    with serving() as served:
        served.answers["/ok.jpg"] = answer(PICTURE)
        yield served


@pytest.fixture
def shop(tmp_path: Path, web: Pictures) -> Path:
    """A copy of the cases, with the pictures that they name."""
    folder = tmp_path / "shop"
    shutil.copytree(CASES / "csv", folder)
    (folder / "img").mkdir()
    for name in ("S1", "S2", "S3"):
        (folder / "img" / f"{name}.jpg").write_bytes(PICTURE)
    for path in folder.glob("*.csv"):
        path.write_bytes(path.read_bytes().replace(b"http://127.0.0.1:18510", web.url.encode()))
    return folder


def products(run: Run, data: Path, **filter: Any) -> dict[str, Any]:
    options = ["--filter", json.dumps({"must": [filter]})] if filter else []
    _, shown = run("show", "--data", data, *options)
    return {each["product_id"]: each["attributes"] for each in shown["products"]}


def said(answer: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """By column: what it was taken for, how many rows have a value, and the lines that have none."""
    return {
        each["name"]: (each["kind"], each["values"], [(cell["line"], cell["cell"]) for cell in each["examples"]])
        for each in answer["columns"]
    }


S1 = {"S1": {"price": 12.5}}
READ: dict[str, tuple[dict[str, Any], dict[str, tuple[Any, ...]]]] = {
    "decimal_comma.csv": (
        {
            "S1": {"price": 12.5, "on_sale": True},
            "S2": {"price": 99.0, "on_sale": False},
            "S3": {"price": 7.95, "on_sale": True},
        },
        {"price": ("float", 3, []), "on_sale": ("bool", 3, [])},
    ),
    "currency.csv": (
        {"S1": {"price": 12.5}, "S2": {"price": 1299.0}, "S3": {"price": 7.95}},
        {"price": ("float", 3, [])},
    ),
    "na.csv": (
        {"S1": {"price": 12.5, "stock": 3}, "S2": {"stock": 4}, "S3": {"price": 7.95}},
        {"price": ("float", 2, [(3, "N/A")]), "stock": ("integer", 2, [(4, "")])},
    ),
    "sep.csv": (S1, {"price": ("float", 1, [])}),
    "tab.csv": (S1, {"price": ("float", 1, [])}),
    "trailing_col.csv": (S1, {"price": ("float", 1, [])}),
    "empty_row.csv": (S1, {"price": ("float", 1, [])}),
    "space_hdr.csv": (S1, {"price": ("float", 1, [])}),
    "url.csv": (S1, {"image_url": ("image_url", 1, []), "price": ("float", 1, [])}),
    "shopify.csv": (
        {"S1": {"Handle": "mug", "Title": "Mug"}},
        {
            "Handle": ("keyword", 1, []),
            "Title": ("keyword", 1, []),
            "Variant SKU": ("product_id", 1, []),
            "Image Src": ("image_url", 1, []),
        },
    ),
}


@pytest.mark.long
def test_every_list_is_read_as_it_was_meant(run: Run, data: Path, shop: Path) -> None:
    for name, (expected, columns) in READ.items():
        catalog = name.removesuffix(".csv")
        status, answered = run("index", shop / name, "--data", data, "--catalog", catalog, *LITE)
        assert (status, answered["applied"], answered["failures"]) == (0, len(expected), []), name
        _, shown = run("show", "--data", data, "--catalog", catalog)
        assert {each["product_id"]: each["attributes"] for each in shown["products"]} == expected, name
        told = said(answered)
        assert told | columns == told and told.keys() - columns.keys() <= {"product_id", "image_path"}, name
        assert "notes" not in answered
    found = ["show", "--data", data, "--catalog", "decimal_comma", "--filter"]
    cheap = run(*found, json.dumps({"must": [{"key": "price", "range": {"lt": 13}}]}))[1]["products"]
    on_sale = run(*found, json.dumps({"must": [{"key": "on_sale", "match": {"value": True}}]}))[1]["products"]
    assert {each["product_id"] for each in cheap} == {each["product_id"] for each in on_sale} == {"S1", "S3"}


def test_a_cell_that_does_not_fit_tomorrow_names_its_line_and_the_others_are_done(
    run: Run, data: Path, shop: Path
) -> None:
    first, second = shop / "night1.csv", shop / "night2.csv"
    assert run("index", shop / "img", "--attributes", first, "--data", data, *LITE)[0] == 0
    run("index", shop / "img", "--attributes", first, "--data", data)
    second.write_text(second.read_text().replace("12.50", "13").replace("7.95", "6.95"))
    status, answered = run("index", shop / "img", "--attributes", second, "--data", data)
    assert (status, answered["total"], answered["applied"], answered["failed"]) == (1, 3, 2, 1)
    [failure] = answered["failures"]
    assert (failure["product_id"], failure["path"], failure["code"]) == ("S2", f"{second} line 3", "attributes_invalid")
    assert failure["message"] == (
        f"{second} line 3: price is declared as float, and 'on request' is not read as a number: correct it, or leave "
        "it empty to have no value."
    )
    assert products(run, data) == {"S1": {"price": 13.0}, "S2": {"price": 99.0}, "S3": {"price": 6.95}}


def test_a_column_of_integers_may_hold_fractions_tomorrow(run: Run, data: Path, shop: Path) -> None:
    table = shop / "prices.csv"
    table.write_text("product_id,price,year\nS1,12,2024\nS2,15,2025\n")
    by_hand = ("--column", "year=integer")
    assert run("index", shop / "img", "--attributes", table, *by_hand, "--data", data, *LITE)[0] == 0
    declared = run("catalogs", "--data", data)[1]["catalogs"][0]["indexed_attributes"]
    assert declared == {"price": "float", "year": "integer"}
    assert list(products(run, data, key="price", match={"value": 15})) == ["S2"]
    table.write_text("product_id,price,year\nS1,9.99,2024\nS2,15,2025.5\n")
    status, answered = run("index", shop / "img", "--attributes", table, "--data", data)
    assert (status, [each["path"] for each in answered["failures"]]) == (1, [f"{table} line 3"])
    assert products(run, data, key="price", range={"lt": 13}) == {"S1": {"price": 9.99, "year": 2024}}


def test_bad_rows_are_failures_and_the_others_are_done(run: Run, data: Path, shop: Path) -> None:
    path = shop / "list.csv"
    path.write_text("product_id,image_path,color\nS1,img/S1.jpg,red\n,img/S2.jpg,red\nS3,,red\nS2,img/S2.jpg\n")
    status, answered = run("index", path, "--data", data, *LITE)
    assert (status, answered["total"], answered["applied"], answered["failed"]) == (1, 4, 1, 3)
    assert [(each["product_id"], each["path"], each["code"]) for each in answered["failures"]] == [
        ("", f"{path} line 3", "product_id_invalid"),
        ("S3", f"{path} line 4", "change_invalid"),
        ("", f"{path} line 5", "change_invalid"),
    ]
    assert products(run, data) == {"S1": {"color": "red"}}


def test_columns_may_be_said_by_hand(run: Run, data: Path, shop: Path) -> None:
    path = shop / "list.csv"
    path.write_bytes("ean;sku;file;preis;größe\n1;a;img/S1.jpg;1.299;M\n2;b;img/S2.jpg;2.450;L\n".encode("latin-1"))
    given = ("--column", "product_id=ean", "--column", "image_path=file", "--column", "preis=decimal-comma")
    status, answered = run("index", path, *given, "--column", "sku=skip", "--data", data, *LITE)
    assert status == 0
    assert products(run, data) == {"1": {"preis": 1299.0, "größe": "M"}, "2": {"preis": 2450.0, "größe": "L"}}
    assert answered["notes"] == [f"{path}: line 1 is not UTF-8, so the file was read as Latin-1 (Windows-1252)."]
    again = run("index", path, *given, "--encoding", "latin-1", "--data", data)[1]
    assert "notes" not in again and again["unchanged"] + again["applied"] == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--column", "prise=float"], "has no column 'prise'; there are 'product_id', 'image_path', 'price'."),
        (["--column", "price=number"], "a kind is one of integer, float, decimal-point, decimal-comma, bool, keyword,"),
        (["--column", "product_id=SKU"], "has no column 'SKU'; there are"),
        (["--column", "product_id=float", "--column", "product_id=x"], "Two columns are said to be product_id"),
        (["--encoding", "zip"], "There is no encoding 'zip'"),
    ],
)
def test_what_is_said_by_hand_of_no_column_is_refused(
    refused: Callable[..., str], shop: Path, tmp_path: Path, given: list[str], message: str
) -> None:
    new = tmp_path / "new"
    assert message in refused("source_invalid", "index", shop / "currency.csv", *given, "--data", new)


def test_a_path_that_is_not_there_makes_no_data_folder(refused: Callable[..., str], shop: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    for given in (["nowhere.csv"], [shop / "img", "--attributes", "nowhere.csv"]):
        assert "nowhere.csv is not there" in refused("source_invalid", "index", *given, "--data", new)
    assert not new.exists()


def test_every_column_is_a_line_of_the_output(shop: Path, tmp_path: Path) -> None:
    path = shop / "list.csv"
    path.write_text(
        "product_id,image_path,price,weight,sale,code\n"
        'S1,img/S1.jpg,12.50,"1,299",10%,007\nS2,img/S2.jpg,on request,"2,450",20%,12\nS3,img/S3.jpg,7.95,,5%,13\n'
    )
    ran = CliRunner(env={"LOOKALIKE_PRECISION": "float32"}).invoke(
        cli, ["index", str(path), "--data", str(tmp_path / "new"), *LITE]
    )
    assert ran.exit_code == 0, ran.output
    for line in (
        "product_id: product_id",
        "image_path: image_path",
        "price: float, 2 of 3 rows; line 3 'on request' has none",
        "weight: keyword, 2 of 3 rows; line 2 '1,299' can be read in two ways, 1299 (--column weight=decimal-point) or "
        "1.299 (--column weight=decimal-comma), so it stays text",
        "sale: keyword, 3 of 3 rows; line 2 '10%' can be read in two ways (--column sale=float takes 12% as 12), so it "
        "stays text",
        "code: keyword, 3 of 3 rows; line 2 '007' has a leading zero, so it stays text",
    ):
        assert line in ran.stdout.splitlines()


def test_a_product_that_a_list_names_twice_is_told_by_line(run: Run, data: Path, shop: Path) -> None:
    table = shop / "twice.csv"
    table.write_text("product_id,image_path,price\nS1,img/S1.jpg,12.5\nS1,img/S1.jpg,99\nS2,img/S2.jpg,5\n")
    status, told = run("index", table, "--data", data, *LITE)
    assert (status, told["applied"], told["failed"]) == (1, 2, 1)
    assert [(each["code"], each["message"]) for each in told["failures"]] == [
        (
            "product_duplicate",
            f"{table} line 3 names product 'S1' again, after {shop / 'img' / 'S1.jpg'}: leave one of the two.",
        )
    ]
    assert products(run, data) == {"S1": {"price": 12.5}, "S2": {"price": 5}}
