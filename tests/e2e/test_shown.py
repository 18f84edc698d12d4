"""What the OpenAPI document shows is what `lookalike up` answers."""

import io
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from harness import Pictures, Service, answer
from PIL import Image
from shown import Answer, differences_of_all

from api.access.keys import new_key
from api.access.keys_file import add

pytestmark = pytest.mark.long

URL = "https://shop.example/12.jpg"
FLORAL = {"filter": {"must": [{"key": "pattern", "match": {"value": "floral"}}]}}


@pytest.fixture
def shop(tmp_path: Path, pictures: Pictures) -> Any:
    """A service with keys, and a catalog that has what there is to ask about; nobody but a key for everything asks."""
    key, secret = new_key("owner", ["admin"])
    add(tmp_path / "keys", key)
    pictures.answers["/12.jpg"] = answer(painted((0, 90, 0)))
    with Service(tmp_path / "data", {"LOOKALIKE_API_KEYS_FILE": str(tmp_path / "keys")}) as service:
        service.key = secret
        service.start()
        kinds = {"color": "keyword", "price": "float"}
        service.create_catalog("shoes", weights="random:1", indexed_attributes=kinds)
        fill(service)
        yield service


def fill(service: Service) -> None:
    """Forty products of two categories, some copies, and what is learned and looked for among them."""
    products = {
        f"{('sneaker', 'mug')[number % 2]}-{number}": (6 * number, 90, 120 * (number % 2)) for number in range(40)
    }
    products |= {"sneaker-90": (72, 90, 0), "mug-3": (9, 9, 9), "boot-3": (9, 9, 9)}
    jobs = []
    with service.client() as client:
        for price, (name, color) in enumerate(products.items()):
            kind = name.partition("-")[0]
            attributes = {"color": "red", "price": price, "category": kind}
            attributes["pattern"] = "floral" if kind == "sneaker" else "plain"
            form = {"image": ("x.png", painted(color)), "attributes": (None, json.dumps(attributes))}
            jobs.append(client.put(f"/catalogs/shoes/products/{name}", files=form).raise_for_status().json()["id"])
        for job in jobs:
            assert service.finished(job)["failed"] == 0
        direction = {"toward": FLORAL, "force": True}
        for path, body in (
            ("directions/floral", direction),
            ("duplicates", None),
            ("outliers", {"label": "category"}),
            ("map", None),
        ):
            begun = client.put(f"/catalogs/shoes/{path}", json=body)
            assert begun.status_code == 202, begun.text
            job = service.finished(begun.json()["id"])
            assert job["state"] == "succeeded", job


def painted(color: tuple[int, int, int]) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(data, "PNG")
    return data.getvalue()


def places(service: Service) -> dict[str, str]:
    """What stands in place of the names of a path."""
    with service.client() as client:
        feed = [{"product_id": "lost", "image_url": "http://127.0.0.1:9/none.jpg"}]
        failed = client.post("/catalogs/shoes/products", json=feed).json()["id"]
        assert service.finished(failed)["failed"] == 1
        groups = client.get("/catalogs/shoes/duplicates").json()["groups"]
        [group] = [each["id"] for each in groups if "sneaker-12" in {one["product_id"] for one in each["members"]}]
        begun = client.post("/catalogs/shoes/generations", json={"quantization": "scalar"}).json()["id"]
        assert service.finished(begun)["state"] == "succeeded"
        generations = client.get("/catalogs/shoes/generations").json()["generations"]
        [generation] = [each["id"] for each in generations if each["state"] == "next"]
    named = {"catalog": "shoes", "product_id": "sneaker-12", "code": "product_not_found", "key": "color"}
    return named | {"job": failed, "group": group, "generation": generation}


def test_every_request_is_answered_as_shown(shop: Service, pictures: Pictures) -> None:
    with httpx2.Client(base_url=shop.url, timeout=120, trust_env=False, verify=False) as client:
        document = client.get("/openapi.json").json()
        # The host of the document's pictures is nobody's.
        of_here = f"{pictures.url}/12.jpg"

        def ask(method: str, path: str, query: dict[str, str] | None = None, **request: Any) -> Answer:
            headers = {"Authorization": f"Bearer {shop.key}"}
            given: dict[str, Any] = {}
            if "content" in request:
                given["content"] = request["content"].replace(URL.encode(), of_here.encode())
                headers["Content-Type"] = request["content_type"]
            if "json" in request:
                given["json"] = json.loads(json.dumps(request["json"]).replace(URL, of_here))
            if "data" in request:
                given["files"] = {name: (None, text) for name, text in request["data"].items()}
                given["files"] |= {name: ("x.png", data) for name, data in request["files"].items()}
            told = client.request(method, path, params=query, headers=headers, **given)
            client.cookies.clear()  # a browser would keep that of a session, and send it instead of the key
            kind = told.headers.get("Content-Type", "").partition(";")[0]
            return Answer(told.status_code, kind, told.text, told.json() if kind == "application/json" else None)

        secret = {"begin_session": {"json": {"key": shop.key}}}
        found = differences_of_all(document, ask, places(shop), painted((0, 90, 0)), secret)
        assert not found, "\n".join(found)
