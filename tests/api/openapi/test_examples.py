"""Every request that the OpenAPI document shows is sent, and answered as it shows."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import pytest

from api.access.keyring import Keyring
from api.access.keys import hashed
from services.catalog.definition import Definition, Side
from services.catalog.generations import Generations
from services.query.filters import parse

URL = "https://shop.example/12.jpg"
AUTH = {"Authorization": "Bearer a"}
QUERIES = {"get_outliers": {"label": "category"}}
OPEN = {
    "attributes",
    "parameters",
    "result",
    "other_kinds",
    "common",
    "in_common",
    "filter",
    "indexed_attributes",
    "catalogs",
}
"""Fields whose names are those of a shop."""
SECRETS = {"begin_session": {"json": {"key": "a"}}}
"""What is sent in place of keys that nobody has."""
SOMETIMES = {"notes", "warnings"}
"""Fields of what there is not always something to say."""
FLORAL = {"must": [{"key": "pattern", "match": {"value": "floral"}}]}
FIRST = ("decide_duplicates", "undo_decision")
"""Puts of the product give it another picture, and so make another group."""
LAST = ("delete_catalog",)


@pytest.fixture
def shop(make_service: Any, tmp_path: Path) -> Any:
    """A service with keys, and a catalog that has what there is to ask about."""
    (tmp_path / "keys").write_text(f"owner:{hashed('a')}\n")
    service = make_service(keyring=Keyring.load(tmp_path / "keys"))
    kinds = {"color": "keyword", "price": "float"}
    service.client.put(
        "/v1/catalogs/shoes", json={"encoder": "efficientnet_lite0", "indexed_attributes": kinds}, headers=AUTH
    )
    service.web[URL] = service.picture("green")
    for number in range(40):
        kind, pattern = (("sneaker", "floral"), ("mug", "plain"))[number % 2]
        attributes = {"color": "red", "price": number, "category": kind, "pattern": pattern}
        put(service, f"{kind}-{number}", (6 * number, 90, 120 * (number % 2)), attributes)
    for same in ("sneaker-90", "mug-3", "boot-3"):
        put(service, same, (72, 90, 0) if same == "sneaker-90" else (9, 9, 9), {"color": "blue", "category": "boot"})
    catalog = service.catalogs.get("shoes")
    catalog.directions.learn("floral", Definition(Side(parse(FLORAL)), force=True))
    catalog.duplicates.look()
    catalog.outliers.look("category")
    catalog.map.make()
    return service


def put(service: Any, product_id: str, paint: Any, attributes: dict[str, Any]) -> None:
    form = {"image": (io.BytesIO(service.picture(paint)), "x.png"), "attributes": json.dumps(attributes)}
    answer = service.client.put(f"/v1/catalogs/shoes/products/{product_id}?wait=30", data=form, headers=AUTH)
    assert answer.status_code == 200, answer.text


def places(service: Any) -> dict[str, str]:
    """What stands in place of the names of a path."""
    feed = [{"product_id": "lost", "image_url": "https://shop.example/none.jpg"}]
    failed = service.client.post("/v1/catalogs/shoes/products", json=feed, headers=AUTH).json["id"]
    groups = service.client.get("/v1/catalogs/shoes/duplicates", headers=AUTH).json["groups"]
    [group] = [each["id"] for each in groups if "sneaker-12" in {one["product_id"] for one in each["members"]}]
    generation = Generations(service.catalogs, "shoes").begin({"quantization": "scalar"}).id
    named = {"catalog": "shoes", "product_id": "sneaker-12", "code": "product_not_found", "key": "color"}
    return named | {"job": failed, "group": group, "generation": generation}


def requests(operation: Any, picture: bytes) -> Iterator[dict[str, Any]]:
    """What is sent of an operation: each body that it shows; files are pictures."""
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        yield {}
    for media, body in content.items():
        example = body.get("example")
        if media == "application/json":
            yield {"json": example}
        elif media == "multipart/form-data":
            files = {name for name, part in example.items() if isinstance(part, str)}
            parts = {name: json.dumps(part) for name, part in example.items() if name not in files}
            yield {"data": parts | {name: (io.BytesIO(picture), "x.png") for name in files}}
        else:
            type = media.replace("*", "png")
            yield {"data": picture if example is None else example.encode(), "content_type": type}


def differences(shown: Any, found: Any, place: str = "") -> Iterator[str]:
    """Where an answer has other fields than what is shown."""
    if isinstance(shown, dict) and isinstance(found, dict) and place.rpartition(".")[2] not in OPEN:
        yield from (f"{place}.{name}" for name in sorted((shown.keys() ^ found.keys()) - SOMETIMES))
        for name in sorted(shown.keys() & found.keys()):
            yield from differences(shown[name], found[name], f"{place}.{name}")
    elif isinstance(shown, list) and isinstance(found, list) and shown and found:
        yield from differences(shown[0], found[0], f"{place}[]")


def wrong(document: Any, operation: Any, answer: Any) -> Iterator[str]:
    """In what an answer is not what the document shows."""
    if answer.status_code >= 300:
        yield f"{answer.status_code}: {answer.text}"
        return
    told = operation["responses"][str(answer.status_code)].get("content", {}).get(answer.mimetype, {})
    if answer.mimetype == "application/json":
        schema = {"components": document["components"], **told["schema"]}
        yield from (error.message for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(answer.json))
        yield from differences(told["example"], answer.json)


def turn(each: tuple[str, str, Any]) -> tuple[bool, bool, bool]:
    """When an operation is asked for: what is needed for the others goes last."""
    method, _, operation = each
    name = operation["operationId"]
    return name not in FIRST, method == "DELETE" and name not in FIRST, name in LAST


def test_every_request_is_answered_as_shown(shop: Any) -> None:
    document = shop.client.get("/openapi.json").json
    filled = places(shop)
    found: list[str] = []
    sent = 0
    operations = [(method.upper(), path, each) for path, of in document["paths"].items() for method, each in of.items()]
    for method, path, operation in sorted(operations, key=turn):
        name = {"name": "shop" if "/keys" in path else "floral"}
        for shown in requests(operation, shop.picture("green")):
            request = SECRETS.get(operation["operationId"], shown)
            url = path.format(**filled, **name)
            query = QUERIES.get(operation["operationId"])
            with np.errstate(all="ignore"):
                answer = shop.client.open(url, method=method, query_string=query, headers=AUTH, **request)
            sent += 1
            found += [f"{operation['operationId']} {[*request]} {each}" for each in wrong(document, operation, answer)]
    assert not found, "\n".join(found)
    assert sent > len(operations)


def test_an_answer_that_is_not_as_shown_is_seen(shop: Any) -> None:
    document = shop.client.get("/openapi.json").json
    operation = document["paths"]["/v1/catalogs/{catalog}"]["get"]

    def seen(path: str) -> list[str]:
        return [*wrong(document, operation, shop.client.get(path, headers=AUTH))]

    assert seen("/v1/catalogs/shoes") == []
    assert seen("/v1/catalogs/boots") != []
    operation["responses"]["200"]["content"]["application/json"]["example"].pop("dim")
    assert seen("/v1/catalogs/shoes") == [".dim"]
