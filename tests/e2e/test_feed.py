"""A feed of URLs through the whole service, against the library on the same pictures."""

import io
import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from harness import Pictures, Running, Service, answer, picture
from PIL import Image

from services import bootstrap, settings
from services.catalog.opening import open_or_create
from services.records import Change, State

QUERIES = 20

pytestmark = pytest.mark.long


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Sends a byte now and then, and never ends."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    until = time.monotonic() + 30
    try:
        while time.monotonic() < until:
            handler.wfile.write(b"\xff")
            time.sleep(0.5)
    except OSError:
        return


def bomb() -> bytes:
    """A PNG that says it has 900 million pixels."""
    out = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(out, "PNG")
    return out.getvalue()


def broken(url: str) -> list[tuple[str, str, Callable[[BaseHTTPRequestHandler], None] | None]]:
    """Ten ways to be broken: the code, the URL, and what the server answers."""
    return [
        ("fetch_not_found", f"{url}/gone.jpg", answer(b"", 404)),
        ("fetch_failed", f"{url}/down.jpg", answer(b"", 503)),
        ("fetch_timeout", f"{url}/endless.jpg", endless),
        ("fetch_too_large", f"{url}/large.jpg", answer(b"", Content_Length="30000000")),
        ("fetch_refused", "http://10.1.2.3/private.jpg", None),
        ("fetch_unreachable", "http://127.0.0.1:1/nobody.jpg", None),
        ("image_unsupported", f"{url}/page.html", answer(b"<html>no picture</html>")),
        ("image_corrupt", f"{url}/cut.jpg", answer(picture(1)[:900])),
        ("image_too_many_pixels", f"{url}/bomb.png", answer(bomb())),
        ("fetch_refused", f"{url}/loop.jpg", answer(b"", 302, Location="/loop.jpg")),
    ]


def test_a_feed_of_urls_is_what_the_library_makes_of_the_same_pictures(
    either: Running, pictures: Pictures, tmp_path: Path, scale: Callable[[int, int], int]
) -> None:
    ways = broken(pictures.url) * scale(2, 1)
    good = scale(1980, 200)
    images = {f"SKU/{n}": picture(n) for n in range(good)}
    for n, data in enumerate(images.values()):
        pictures.answers[f"/{n}.jpg"] = answer(data)
    lines = [
        {"product_id": product_id, "image_url": f"{pictures.url}/{n}.jpg", "attributes": {"even": n % 2 == 0}}
        for n, product_id in enumerate(images)
    ]
    expected = {}
    for n, (code, url, way) in enumerate(ways):
        if way:
            pictures.answers[url.removeprefix(pictures.url)] = way
        lines.insert(good // len(ways) * n, {"product_id": f"broken-{n}", "image_url": url})
        expected[f"broken-{n}"] = code

    service = either
    with service.client() as client:
        made = client.put("/catalogs/products", json={"encoder": "efficientnet_lite0"})
        assert made.status_code == 201, made.text
        feed = "\n".join(json.dumps(line) for line in lines)
        accepted = client.post(
            "/catalogs/products/products", content=feed, headers={"Content-Type": "application/x-ndjson"}
        )
        assert accepted.status_code == 202, accepted.text
        job = service.finished(accepted.json()["id"], 300)
        assert job["total"] == len(lines)
        codes, applied = service.failures(job["id"]), job["applied"]
        for _ in range(10):
            if codes == expected:
                break
            # Where others load the processors our own server may be late, too: what timed out is tried again.
            assert {code for product_id, code in codes.items() if code != expected.get(product_id)} == {"fetch_timeout"}
            again = client.post(f"/jobs/{job['id']}/retry")
            assert again.status_code == 202, again.text
            job = service.finished(again.json()["id"], 300)
            codes, applied = service.failures(job["id"]), applied + job["applied"]
        assert (codes, applied) == (expected, good)
        found = {}
        for product_id in list(images)[:: good // QUERIES]:
            searched = client.post(
                "/catalogs/products/search",
                content=images[product_id],
                headers={"Content-Type": "image/jpeg"},
                params={"limit": 10},
            )
            assert searched.status_code == 200, searched.text
            found[product_id] = searched.json()["neighbors"]
    if isinstance(service, Service):
        assert service.end() == 0

    with bootstrap.catalogs(service.settings) as catalogs:
        served = {each.product_id: each for each in catalogs.get("products").embeddings()}
    configured = settings.load(data=tmp_path / "library", precision="float32")
    with bootstrap.catalogs(configured) as catalogs:
        library, _ = open_or_create(catalogs, "products", load_encoder=True, encoder="efficientnet_lite0")
        changes = (
            Change(product_id, image=data, attributes={"even": n % 2 == 0})
            for n, (product_id, data) in enumerate(images.items())
        )
        assert {outcome.state for outcome in library.put(changes)} == {State.APPLIED}
        for product_id, neighbors in found.items():
            again = library.search_image(images[product_id], limit=10)
            assert [each.product_id for each in again] == [each["product_id"] for each in neighbors]
            assert np.allclose([each.score for each in again], [each["score"] for each in neighbors], atol=1e-5)
        own = {each.product_id: each for each in library.embeddings()}
    assert served.keys() == own.keys() == images.keys()
    cosines = []
    for product_id, one in served.items():
        other = own[product_id]
        assert (one.attributes, one.image) == (other.attributes, other.image)
        cosines.append(
            float(one.features @ other.features / np.linalg.norm(one.features) / np.linalg.norm(other.features))
        )
    assert min(cosines) >= 0.999
