"""A feed in CSV: each row a change, and the job says what its columns were taken for."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CASES = Path(__file__).parents[2] / "cases"
FEED = "/v1/catalogs/shoes/products"
URL = "https://images.example.com/1.png"


def send(service: Any, text: str | bytes, query: str = "", type: str = "text/csv", **options: Any) -> Any:
    return service.client.post(f"{FEED}{query}", data=text, content_type=type, **options)


def stored(service: Any) -> dict[str, Any]:
    return {each["product_id"]: each["attributes"] for each in service.client.get(FEED).json["products"]}


@pytest.fixture
def shop(service: Any) -> Any:
    service.web |= {URL: service.picture(), "http://127.0.0.1:18510/ok.jpg": service.picture("blue")}
    return service


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("json/f.csv", {"c1": {"price": 9.9}}),
        ("csv/url.csv", {"S1": {"price": 12.5}}),
        ("csv/shopify.csv", {"S1": {"Handle": "mug", "Title": "Mug"}}),
    ],
)
def test_the_cases_with_urls_are_accepted(shop: Any, name: str, expected: dict[str, Any]) -> None:
    answer = send(shop, (CASES / name).read_bytes())
    assert (answer.status_code, answer.json["total"], answer.json["notes"]) == (202, 1, [])
    job = shop.client.get(answer.headers["Location"]).json
    assert (job["state"], job["applied"], job["columns"]) == ("succeeded", 1, answer.json["columns"])
    assert stored(shop) == expected


def test_the_job_says_what_each_column_was_taken_for(shop: Any) -> None:
    rows = [f"a;{URL};12,50;1.299;rot", f"b;{URL};auf Anfrage;2.450;", f"c;{URL};;;größe"]
    answer = send(shop, "\r\n".join(["SKU;image_link;preis;menge;farbe", *rows]).encode("cp1252"))
    assert answer.status_code == 202
    assert [(each["name"], each["kind"], each["values"], each["rows"]) for each in answer.json["columns"]] == [
        ("SKU", "product_id", 3, 3),
        ("image_link", "image_url", 3, 3),
        ("preis", "float", 1, 3),
        ("menge", "keyword", 2, 3),
        ("farbe", "keyword", 2, 3),
    ]
    price, amount = answer.json["columns"][2:4]
    assert (price["missing"], price["examples"]) == (2, [{"line": 3, "cell": "auf Anfrage"}, {"line": 4, "cell": ""}])
    assert amount["note"] == (
        "line 2 '1.299' can be read in two ways, 1.299 (column=menge=decimal-point) or 1299 "
        "(column=menge=decimal-comma), so it stays text"
    )
    assert answer.json["notes"] == ["The feed: line 4 is not UTF-8, so the file was read as Latin-1 (Windows-1252)."]
    assert stored(shop) == {
        "a": {"preis": 12.5, "menge": "1.299", "farbe": "rot"},
        "b": {"menge": "2.450"},
        "c": {"farbe": "größe"},
    }
    assert shop.client.get("/v1/jobs").json["jobs"][0]["columns"] == answer.json["columns"]


def test_what_is_said_of_columns_and_charset_decides(shop: Any) -> None:
    text = f"Nr;Foto;preis;code\na;{URL};1.299;7\n".encode("utf-16-le")
    query = "?column=product_id=Nr&column=image_url=Foto&column=preis=decimal-comma&column=code=skip"
    answer = send(shop, text, query, "text/csv; charset=utf-16-le")
    assert (answer.status_code, stored(shop)) == (202, {"a": {"preis": 1299.0}})


@pytest.mark.parametrize(
    ("text", "query", "detail"),
    [
        ("product_id,color\na,red\n", "", "The body has no column image_url; there are 'product_id', 'color'."),
        ("name,image_url\na,b\n", "", "say column=product_id=NAME."),
        ("sku,id,image_url\n1,2,x\n", "", "'sku' and 'id': say which with column=product_id=sku."),
        ("product_id,image_url\n", "?column=price=float", "The body has no column 'price'; there are"),
        ("product_id,image_url,x,x\na,b,1,2\n", "", "names the column 'x' twice"),
        ("", "", "The body has no rows"),
        ("PK\3\4", "", "is a workbook"),
    ],
)
def test_a_table_that_cannot_be_read_as_a_whole_is_refused(shop: Any, text: str, query: str, detail: str) -> None:
    for on_error in ("reject", "skip"):
        answer = send(shop, text, f"{query or '?'}&on_error={on_error}".replace("?&", "?"))
        assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")
        assert detail in answer.json["detail"]
    assert shop.client.get("/v1/jobs").json["jobs"] == []


@pytest.mark.parametrize("query", ["?column=price", "?column=price=number", "?column==", "?column="])
def test_what_says_nothing_of_a_column_is_refused(shop: Any, query: str) -> None:
    answer = send(shop, f"product_id,image_url,price\na,{URL},1\n", query)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "column")


def test_columns_of_what_is_no_table_are_refused(shop: Any) -> None:
    line = json.dumps({"product_id": "a", "image_url": URL})
    answer = send(shop, line, "?column=price=float", "application/x-ndjson")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "column")


BAD = f"product_id,image_url,op,price\na,{URL},,1\nb,,,2\nc,ftp://x,,3\n,{URL},,4\nd,{URL},,5,6\ne,{URL},upsert,7\n"
FAULTS = [
    (3, "b", "change_invalid", "image_url"),
    (4, "c", "fetch_refused", "image_url"),
    (5, "", "product_id_invalid", "product_id"),
    (6, "", "change_invalid", None),
    (7, "e", "change_invalid", "op"),
]


def test_bad_rows_refuse_the_feed_by_their_lines(shop: Any) -> None:
    answer = send(shop, BAD)
    assert (answer.status_code, answer.json["code"], answer.json["error_count"]) == (422, "feed_invalid", 5)
    found = [(each["line"], each["code"], each.get("field")) for each in answer.json["errors"]]
    assert found == [(line, code, field) for line, _, code, field in FAULTS]


def test_bad_rows_that_are_skipped_become_failed_items(shop: Any) -> None:
    answer = send(shop, BAD, "?on_error=skip")
    assert (answer.status_code, answer.json["total"], stored(shop)) == (202, 6, {"a": {"price": 1}})
    items = shop.client.get(f"{answer.headers['Location']}/items").json["items"]
    assert [(each["line"], each["product_id"], each["code"]) for each in items] == [fault[:3] for fault in FAULTS]


def test_a_column_op_patches_and_deletes(shop: Any) -> None:
    shop.put("a", "red", color="red", price=1)
    shop.put("b", "red", color="red")
    answer = send(shop, f"product_id,op,price,image_url\na,patch,9.5,\nb,Delete,3,{URL}\nc,,4,{URL}\n")
    assert answer.status_code == 202
    assert stored(shop) == {"a": {"color": "red", "price": 9.5}, "c": {"price": 4.0}}


def test_a_delete_heeds_nothing_but_the_id(shop: Any) -> None:
    shop.client.put("/v1/catalogs/shoes", json={"indexed_attributes": {"price": "float"}})
    assert send(shop, f"product_id,image_url,price\na,{URL},1\nb,{URL},2\n").status_code == 202
    assert send(shop, "product_id,op,price\na,delete,sold\nb,patch,3\n").status_code == 202
    assert stored(shop) == {"b": {"price": 3.0}}
    assert send(shop, "product_id,op,price\nb,keep,sold\n", "?mode=replace").status_code == 202
    assert stored(shop) == {"b": {"price": 3.0}}
    assert send(shop, "product_id,op,price\nb,patch,sold\n").status_code == 422


def test_kinds_that_the_catalog_declares_win(shop: Any) -> None:
    shop.client.put("/v1/catalogs/shoes", json={"indexed_attributes": {"code": "keyword", "price": "float"}})
    text = f"product_id,image_url,code,price\na,{URL},12,5\nb,{URL},13,on request\n"
    refused = send(shop, text)
    assert (refused.status_code, refused.json["code"]) == (422, "feed_invalid")
    [error] = refused.json["errors"]
    assert (error["line"], error["code"], error["field"]) == (3, "attributes_invalid", "attributes")
    assert error["detail"].startswith("price is declared as float, and 'on request' is not read as a number")
    job = send(shop, text, "?on_error=skip").json
    assert [(each["name"], each["kind"]) for each in job["columns"][2:]] == [("code", "keyword"), ("price", "float")]
    assert stored(shop) == {"a": {"code": "12", "price": 5.0}}


def test_a_repeated_request_is_the_same_job_with_its_columns(shop: Any) -> None:
    text = f"product_id,image_url,price\na,{URL},on request\n"
    key = {"headers": {"Idempotency-Key": "night-1"}}
    first = send(shop, text, **key)
    shop.client.put("/v1/catalogs/shoes", json={"indexed_attributes": {"price": "float"}})
    again = send(shop, text, **key)
    assert (again.status_code, again.json["id"], again.json["columns"]) == (202, "1", first.json["columns"])


def test_what_a_job_says_has_a_bound(shop: Any) -> None:
    names = [f"{'x' * 200}{n}" for n in range(150)]
    rows = [",".join([f"p{n}", URL, *(["1" if n < 20 else "on request " * 9] * 150)]) for n in range(40)]
    answer = send(shop, "\n".join([",".join(["product_id", "image_url", *names]), *rows]))
    assert (answer.status_code, len(answer.json["columns"])) == (202, 100)
    assert len(json.dumps(answer.json)) < 100_000


pieces = st.sampled_from(
    [
        "product_id",
        "image_url",
        "op",
        ",",
        ";",
        "\n",
        "\r\n",
        '"',
        "a",
        URL,
        "patch",
        "delete",
        "x",
        "1,5",
        "\ud800",
        "\0",
    ]
)
texts = st.lists(pieces, max_size=40).map("".join)
bodies = st.binary(max_size=60) | texts.map(
    lambda text: f"product_id,x,op,image_url\n{text}".encode(errors="surrogatepass")
)
charsets = st.sampled_from(["", "; charset=utf-8", "; charset=latin-1", "; charset=utf-16", "; charset=rot13"])


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bodies, charsets, st.sampled_from(["reject", "skip"]), st.sampled_from(["x=float", "x=skip", "product_id=x", "é="])
)
def test_any_table_is_accepted_or_refused(service: Any, body: bytes, charset: str, on_error: str, column: str) -> None:
    service.works = False
    before = service.client.get("/v1/jobs").json
    answer = service.client.post(
        FEED, data=body, content_type=f"text/csv{charset}", query_string={"on_error": on_error, "column": column}
    )
    if answer.status_code == 202:
        waiting = service.client.get(f"{answer.headers['Location']}/items?state=waiting&limit=1000").json["items"]
        assert answer.json["total"] == answer.json["failed"] + len(waiting)
        return
    assert answer.status_code == 422 and answer.content_type == "application/problem+json", answer.text
    assert service.client.get("/v1/jobs").json == before
