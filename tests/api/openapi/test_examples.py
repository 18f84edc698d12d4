"""Every request that the OpenAPI document shows is sent, and answered as it shows."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shown import Answer, Ask, differences_of_all, wrong

from api.access.keyring import Keyring
from api.access.keys import hashed
from services.catalog.definition import Definition, Side
from services.catalog.generations import Generations
from services.query.filters import parse

URL = "https://shop.example/12.jpg"
AUTH = {"Authorization": "Bearer a"}
FLORAL = {"must": [{"key": "pattern", "match": {"value": "floral"}}]}


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


def asking(service: Any) -> Ask:
    """Asks the service of a test in its process."""

    def ask(method: str, path: str, query: dict[str, str] | None = None, **request: Any) -> Answer:
        given: dict[str, Any] = {name: request[name] for name in ("json", "content_type") if name in request}
        if "content" in request:
            given["data"] = request["content"]
        if "data" in request:
            files = {name: (io.BytesIO(data), "x.png") for name, data in request["files"].items()}
            given["data"] = request["data"] | files
        with np.errstate(all="ignore"):
            told = service.client.open(path, method=method, query_string=query, headers=AUTH, **given)
        text = told.get_data().decode(errors="replace")
        return Answer(told.status_code, told.mimetype, text, told.json if told.mimetype == "application/json" else None)

    return ask


def test_every_request_is_answered_as_shown(shop: Any) -> None:
    document = shop.client.get("/openapi.json").json
    secret = {"begin_session": {"json": {"key": "a"}}}
    assert differences_of_all(document, asking(shop), places(shop), shop.picture("green"), secret) == []


def test_an_answer_that_is_not_as_shown_is_seen(shop: Any) -> None:
    document = shop.client.get("/openapi.json").json
    operation, ask = document["paths"]["/v1/catalogs/{catalog}"]["get"], asking(shop)

    def seen(path: str) -> list[str]:
        return [*wrong(document, operation, ask("GET", path))]

    assert seen("/v1/catalogs/shoes") == []
    assert seen("/v1/catalogs/boots") != []
    operation["responses"]["200"]["content"]["application/json"]["example"].pop("dim")
    assert seen("/v1/catalogs/shoes") == [".dim"]
