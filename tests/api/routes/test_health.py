"""Health, and what goes on while Redis or an index is away."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.errors import WeightsUnreachable
from services.queue.valkey import ValkeyServer
from services.records import Outcome, State

SHOES = "/v1/catalogs/shoes"
URL = "https://images.example.com/1.jpg"

NEED_LEDGER: dict[str, Callable[[Any], Any]] = {
    "feed": lambda client: client.post(f"{SHOES}/products", json=[{"product_id": "a", "image_url": URL}]),
    "put": lambda client: client.put(f"{SHOES}/products/b", json={"image_url": URL}),
    "key": lambda client: client.delete(f"{SHOES}/products/b", headers={"Idempotency-Key": "k"}),
    "wait": lambda client: client.delete(f"{SHOES}/products/b?wait=60"),
    "stats": lambda client: client.get("/v1/stats"),
    "jobs": lambda client: client.get("/v1/jobs"),
    "job": lambda client: client.get("/v1/jobs/1"),
    "items": lambda client: client.get("/v1/jobs/1/items"),
    "cancel": lambda client: client.post("/v1/jobs/1/cancel"),
    "retry": lambda client: client.post("/v1/jobs/1/retry"),
    "remove": lambda client: client.delete(SHOES),
}
DO_NOT: dict[str, Callable[[Any], Any]] = {
    "livez": lambda client: client.get("/livez"),
    "metrics": lambda client: client.get("/metrics"),
    "docs": lambda client: client.get("/docs"),
    "catalogs": lambda client: client.get("/v1/catalogs"),
    "catalog": lambda client: client.put(SHOES, json={}),
    "products": lambda client: client.get(f"{SHOES}/products"),
    "product": lambda client: client.get(f"{SHOES}/products/a"),
    "image": lambda client: client.get(f"{SHOES}/products/a/image"),
    "thumbnail": lambda client: client.get(f"{SHOES}/products/a/thumbnail"),
    "neighbors": lambda client: client.get(f"{SHOES}/products/a/neighbors"),
    "search": lambda client: client.post(f"{SHOES}/search", json={"product_id": "a"}),
}


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """One of this test's own, to be stopped."""
    with ValkeyServer(tmp_path / "valkey") as server:
        yield server
        if server.pid:
            os.kill(server.pid, signal.SIGCONT)


@pytest.fixture
def fragile(make_service: Any, valkey: ValkeyServer) -> Any:
    service = make_service(url=valkey.url)
    service.catalog()
    service.put("a")
    return service


def test_all_is_well(service: Any) -> None:
    assert service.client.get("/livez").json == {"status": "ok"}
    answer = service.client.get("/readyz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok", "ledger": "ok", "index": "ok", "catalogs": {}})


@pytest.mark.long
def test_without_redis_what_needs_it_says_so_soon_and_the_rest_works(fragile: Any, valkey: ValkeyServer) -> None:
    assert valkey.pid
    os.kill(valkey.pid, signal.SIGSTOP)  # worse than dead: it takes connections and says nothing
    for name, ask in NEED_LEDGER.items():
        started = time.monotonic()
        answer = ask(fragile.client)
        assert time.monotonic() - started < 8, name
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2"), name
        assert answer.json | {"detail": ""} == {
            "type": "/problems/ledger_unavailable",
            "title": "Ledger unavailable",
            "status": 503,
            "detail": "",
            "code": "ledger_unavailable",
            "retryable": True,
            "instance": answer.headers["X-Request-Id"],
        }
    for name, ask in DO_NOT.items():
        assert ask(fragile.client).status_code == 200, name
    ready = fragile.client.get("/readyz")
    assert (ready.status_code, ready.json) == (
        503,
        {"status": "unavailable", "ledger": "ledger_unavailable", "index": "ok", "catalogs": {}},
    )
    os.kill(valkey.pid, signal.SIGCONT)
    deadline = time.monotonic() + 300
    while fragile.client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline
    for name, ask in [*NEED_LEDGER.items()][:-1]:
        assert ask(fragile.client).status_code in (200, 202, 409, 422), name


def test_without_any_redis_it_starts_and_answers(make_service: Any, tmp_path: Path) -> None:
    service = make_service(url=f"unix://{tmp_path}/none")
    service.catalog()
    for name, ask in NEED_LEDGER.items():
        assert ask(service.client).status_code == 503, name
    assert service.client.get("/livez").status_code == 200


def test_an_index_that_is_away_is_503(service: Any) -> None:
    service.put("a")
    service.catalogs.get("shoes").close()
    for path in ("/products/a", "/products", "/products/a/neighbors", ""):
        answer = service.client.get(f"{SHOES}{path}")
        assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (
            503,
            "index_unavailable",
            "2",
        )
    assert service.client.get("/livez").status_code == 200


def test_a_damaged_description_makes_it_not_ready(service: Any) -> None:
    (service.catalogs.registry.path / "catalogs" / "shoes" / "catalog.json").write_text("{")
    answer = service.client.get("/readyz")
    assert (answer.status_code, answer.json) == (
        503,
        {"status": "unavailable", "ledger": "ok", "index": "data_corrupt", "catalogs": {}},
    )


def test_a_disk_that_is_full_takes_no_image(make_service: Any, tmp_path: Path) -> None:
    service = make_service(data=tmp_path / "data")
    service.catalog()
    service.catalogs.registry._min_free_bytes = 1 << 60
    answer = service.client.put(f"{SHOES}/products/a", data=service.picture(), content_type="image/png")
    assert (answer.status_code, answer.json["code"], answer.json["retryable"]) == (503, "data_full", True)
    assert service.client.get("/v1/jobs").json["jobs"] == []
    assert not [*(tmp_path / "data" / "media").rglob("*.*")]


def test_stats_where_nothing_is_to_be_done(service: Any) -> None:
    answer = service.client.get("/v1/stats")
    nothing = {"waiting": 0, "in_flight": 0, "changes_per_second": 0, "drain_seconds": 0, "workers": 0, "slots": 0}
    assert (answer.status_code, answer.json) == (200, nothing | {"waiting_for": []})


def test_stats_tell_what_there_is_to_do_and_how_long_it_takes(service: Any) -> None:
    service.works = False
    service.client.post(f"{SHOES}/products", json=[{"product_id": id, "image_url": URL} for id in "abcdef"])
    service.claims.register("one", 3, 60)
    service.claims.register("two", 1, 60)
    before = service.client.get("/v1/stats").json
    assert before == {
        "waiting": 6,
        "in_flight": 0,
        "changes_per_second": 0,
        "drain_seconds": None,
        "workers": 2,
        "slots": 4,
        "waiting_for": [],
    }
    claim = service.claims.claim("one/1", 3).claim
    service.claims.record(claim, [(claim.refs[0], Outcome("a", State.APPLIED))])
    after = service.client.get("/v1/stats").json
    rate, drain = after.pop("changes_per_second"), after.pop("drain_seconds")
    assert after == {"waiting": 3, "in_flight": 2, "workers": 2, "slots": 4, "waiting_for": []}
    assert 0 < rate <= 1 and drain == pytest.approx(5 / rate, rel=0.2)


def test_a_catalog_whose_changes_are_put_off_is_told_and_the_service_is_degraded(service: Any) -> None:
    service.works = False
    put = service.client.put(f"{SHOES}/products/a", json={"image_url": URL})
    assert put.json["waiting_for"]["code"] == "no_workers"
    service.claims.register("one", 3, 60)
    claim = service.claims.claim("one/1", 3).claim
    service.claims.give_back(claim, pause=60, error=WeightsUnreachable("The hub is away."))
    told = service.client.get(f"/v1/jobs/{put.json['id']}").json["waiting_for"]
    assert told == {"code": "weights_unreachable", "message": "The hub is away.", "since": told["since"]}
    assert service.client.get("/v1/stats").json["waiting_for"] == [{"catalog": "shoes", **told}]
    ready = service.client.get("/readyz")
    assert (ready.status_code, ready.json) == (
        200,
        {"status": "degraded", "ledger": "ok", "index": "ok", "catalogs": {"shoes": "weights_unreachable"}},
    )
    gauge = 'lookalike_catalog_waits{catalog="shoes",code="weights_unreachable"} 1.0'
    assert gauge in service.client.get("/metrics").text
    service.catalog("bags")
    assert service.client.get("/v1/stats").json["waiting_for"] == [{"catalog": "shoes", **told}]


def test_metrics_tell_of_requests_by_route(service: Any) -> None:
    for path in (f"{SHOES}/products/a%2Fb", f"{SHOES}/products/c", "/nowhere/1", "/nowhere/2"):
        service.client.get(path)
    service.client.open("/v1/catalogs", method="BREW")
    answer = service.client.get("/metrics")
    assert answer.content_type.startswith("text/plain")
    counts = [line for line in answer.text.splitlines() if line.startswith("lookalike_request_seconds_count")]
    assert [line.removeprefix("lookalike_request_seconds_count") for line in counts] == [
        '{method="PUT",route="/v1/catalogs/{catalog}",status="201"} 1.0',
        '{method="GET",route="/v1/catalogs/{catalog}/products/{product_id}",status="404"} 2.0',
        '{method="GET",route="none",status="404"} 2.0',
        '{method="other",route="none",status="405"} 1.0',
    ]
