"""Many callers change one product at once: what is found is what the accepted changes give in the order of their
versions."""

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from harness import Service, picture
from redis import Redis

PUTS = 50
PRODUCT = "/catalogs/products/products/the%2Fone"

pytestmark = pytest.mark.long

Request = tuple[str, dict[str, Any]]
Product = tuple[str, dict[str, Any]]


def requests(rng: random.Random, images: list[bytes]) -> list[Request]:
    """A round: puts of different images, some with attributes, and patches and deletes in between."""
    made: list[Request] = []
    for n, image in enumerate(rng.sample(images, PUTS)):
        files: dict[str, Any] = {"image": (f"{n}.png", image)}
        if n % 5:
            files["attributes"] = (None, json.dumps({"n": n, "kind": f"k{n % 3}"}))
        made.append(("PUT", {"files": files}))
    for n in range(6):
        made.append(("PATCH", {"json": {"attributes": {f"patch{n}": n, "kind": None}}}))
    made += [("DELETE", {})] * 4
    rng.shuffle(made)
    return made


def after(product: Product | None, request: Request, hashes: dict[bytes, str]) -> Product | None:
    """What a change makes of a product."""
    method, options = request
    if method == "DELETE":
        return None
    if method == "PATCH":
        if product is None:
            return None
        merged = product[1] | options["json"]["attributes"]
        return product[0], {name: value for name, value in merged.items() if value is not None}
    files = options["files"]
    kept = product[1] if product else {}
    attributes = json.loads(files["attributes"][1]) if "attributes" in files else kept
    return hashes[files["image"][1]], attributes


def test_one_product_changed_by_60_callers_at_once_is_what_its_changes_give_in_order(
    service: Service, scale: Callable[[int, int], int]
) -> None:
    from hashlib import sha256

    images = [picture(n, 36, "PNG") for n in range(200)]
    hashes = {image: sha256(image).hexdigest() for image in images}
    rng = random.Random(7)
    service.start()
    queue = Redis.from_url(service.queue_url)
    limits = httpx2.Limits(max_connections=60, max_keepalive_connections=60)
    with (
        httpx2.Client(base_url=service.url + "/v1", timeout=60, limits=limits, trust_env=False, verify=False) as client,
        ThreadPoolExecutor(60) as pool,
    ):
        assert client.put("/catalogs/products", json={"encoder": "efficientnet_lite0"}).status_code == 201
        product: Product | None = None
        for number in range(scale(200, 20)):
            round_ = requests(rng, images)

            def send(request: Request) -> tuple[int, Request]:
                answer = client.request(request[0], PRODUCT, **request[1])
                assert answer.status_code == 202, answer.text
                job = answer.json()["id"]
                return int(queue.hget(f"la:job:{job}", "b") or 0), (request[0], {**request[1], "job": job})

            accepted = sorted(pool.map(send, round_), key=lambda each: each[0])
            assert len({version for version, _ in accepted}) == len(round_)
            for _, request in accepted:
                job = service.finished(request[1]["job"])
                assert job["applied"] + job["unchanged"] + job["superseded"] + job["failed"] == 1
                assert request[0] == "PATCH" or not job["failed"]
                product = after(product, request, hashes)
            found = client.get(PRODUCT)
            if product is None:
                assert found.status_code == 404, (number, found.text)
                continue
            assert found.status_code == 200, (number, found.text)
            assert (found.json()["image"], found.json()["attributes"]) == product, number
            if number % 5 == 0:
                assert_found_by_its_picture(client, next(image for image in images if hashes[image] == product[0]))


def assert_found_by_its_picture(client: httpx2.Client, image: bytes) -> None:
    answer = client.post("/catalogs/products/search", content=image, headers={"Content-Type": "image/png"})
    [neighbor] = answer.json()["neighbors"]
    assert neighbor["product_id"] == "the/one"
    assert neighbor["score"] > 0.9999
