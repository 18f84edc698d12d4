"""A query as a request holds it: where it begins, and pictures that are the ends of a path."""

import io
import json
from typing import Any

import pytest


@pytest.fixture
def shop(service: Any) -> Any:
    for number, paint in enumerate(("red", "orange", "yellow", "green")):
        service.put(f"sku-{number}", paint, n=number)
    return service


def asked(shop: Any, what: str, query: dict[str, Any], *pictures: str) -> Any:
    form: dict[str, Any] = {"query": json.dumps(query)}
    form |= {f"image_{at}": (io.BytesIO(shop.picture(each)), "x.png") for at, each in enumerate(pictures, 1)}
    return shop.client.post(f"/v1/catalogs/shoes/{what}", data=form)


def test_an_offset_begins_where_a_cursor_does_and_never_both(shop: Any) -> None:
    near = {"near": [{"product_id": "sku-0"}], "limit": 2}
    url = "/v1/catalogs/shoes/query"
    first = shop.client.post(url, json=near).json
    second = shop.client.post(url, json=near | {"cursor": first["next"]}).json
    at = shop.client.post(url, json=near | {"offset": 2}).json
    assert at == second and [len(each["neighbors"]) for each in (first, second)] == [2, 1]
    both = shop.client.post(url, json=near | {"cursor": first["next"], "offset": 2})
    assert (both.status_code, both.json["errors"][0]["field"]) == (422, "cursor")


def test_a_path_leads_between_pictures_of_a_form(shop: Any) -> None:
    ends = {"start": {"image": "image_1"}, "end": {"image": "image_2"}, "steps": 2}
    answer = asked(shop, "path", ends, "red", "green")
    assert (answer.status_code, len(answer.json["neighbors"])) == (200, 2)
    for pictures, named in ((["red"], "image_2"), (["red", "green", "blue"], "image_3")):
        refused = asked(shop, "path", ends, *pictures)
        assert refused.status_code == 422 and named in refused.json["detail"], refused.json
