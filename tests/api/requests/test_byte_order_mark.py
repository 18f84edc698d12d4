"""A byte order mark, as editors and scripts on Windows write it, is no harm before any JSON."""

from pathlib import Path
from typing import Any

import pytest

BOM = b"\xef\xbb\xbf"
CASES = Path(__file__).parents[2] / "cases" / "json"
SHOES = "/v1/catalogs/shoes"
ONE = f"{SHOES}/products/u-1"


def part(name: str, value: bytes) -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value)


def form(image: bytes, name: str, value: bytes) -> dict[str, Any]:
    data = part("image", image) + part(name, value) + b"--b--\r\n"
    return {"data": data, "content_type": "multipart/form-data; boundary=b"}


def test_a_search_as_people_send_it(service: Any) -> None:
    service.put("u-1", "red")
    service.put("u-2", "blue")
    body = (CASES / "bom_search.json").read_bytes()
    answer = service.client.post(f"{SHOES}/search", data=body, content_type="application/json")
    assert answer.status_code == 200, answer.text
    assert [each["product_id"] for each in answer.json["neighbors"]] == ["u-2"]


def test_a_form_may_have_one_in_its_parts(service: Any) -> None:
    red = service.picture("red")
    put = service.client.put(f"{ONE}?wait=30", **form(red, "attributes", BOM + b'{"color": "red"}'))
    assert put.status_code == 200, put.text
    assert service.client.get(ONE).json["attributes"] == {"color": "red"}
    found = service.client.post(f"{SHOES}/search", **form(red, "query", BOM + b'{"limit": 1}'))
    assert [each["product_id"] for each in found.json["neighbors"]] == ["u-1"]


def test_every_body_of_json_may_begin_with_one(service: Any) -> None:
    service.put("u-1", "red")
    change = b'{"product_id": "u-1", "op": "patch", "attributes": {"price": 9}}'
    for method, path, type, body, status in [
        ("PUT", "/v1/catalogs/boots", "application/json", b"{}", 201),
        ("PATCH", f"{ONE}?wait=30", "application/json", b'{"attributes": {"price": 8}}', 200),
        ("POST", f"{SHOES}/products", "application/json", b"[" + change + b"]", 202),
        ("POST", f"{SHOES}/products", "application/x-ndjson", change, 202),
        ("POST", f"{SHOES}/products", "application/x-ndjson", change + b"\n" + BOM + change, 202),
    ]:
        answer = service.client.open(path, method=method, data=BOM + body, content_type=type)
        assert answer.status_code == status, (method, path, answer.text)
    assert service.client.get(ONE).json["attributes"] == {"price": 9}


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_refused_in_a_sentence(service: Any, codec: str) -> None:
    body = '{"product_id": "u-1"}'.encode(codec)
    answer = service.client.post(f"{SHOES}/search", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (400, "request_malformed")
    assert answer.json["detail"].startswith("body: ")
