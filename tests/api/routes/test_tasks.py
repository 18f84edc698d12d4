"""Tasks over HTTP: begun, read as jobs are, listed with them, canceled."""

from typing import Any

import pytest

from services.errors import DataFull
from workers.worker import Worker

OPTIMIZE = "/v1/catalogs/shoes/optimize"


@pytest.fixture
def idle(service: Any) -> Any:
    """A service whose worker does nothing by itself."""
    service.works = False
    return service


def begun(service: Any, **headers: str) -> dict[str, Any]:
    answer = service.client.post(OPTIMIZE, headers=headers)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"].endswith(f"/v1/jobs/{answer.json['id']}")
    job: dict[str, Any] = answer.json
    return job


def read(service: Any, job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get(f"/v1/jobs/{job['id']}").json
    return found


def test_a_task_is_read_as_jobs_are(idle: Any) -> None:
    job = begun(idle)
    task = {"kind": "graph", "parameters": {}, "done": 0, "total": None, "result": None, "code": None, "message": None}
    assert (job["state"], job["total"], job["task"], idle.woken) == ("enqueued", 0, task, [1])
    claim = idle.claims.claim_task()
    idle.claims.progress(claim, 20, 80)
    going = read(idle, job)
    assert (going["state"], going["task"]) == ("processing", task | {"done": 20, "total": 80})
    assert going["eta_seconds"] >= 0 and going["images_per_second"] is None
    idle.claims.end_task(claim, {"built": True})
    ended = read(idle, job)
    assert ended["task"] == task | {"done": 20, "total": 80, "result": {"built": True}}
    assert (ended["state"], ended["errors"], ended["eta_seconds"]) == ("succeeded", False, None)
    assert idle.client.get("/v1/jobs").json == {"jobs": [ended], "next": None}
    assert idle.client.get(f"/v1/jobs/{job['id']}/items").json == {"items": [], "next": None}


def test_a_worker_builds_the_graph(idle: Any) -> None:
    idle.works = True
    for number in range(3):
        idle.put(f"p{number}", ["red", "green", "blue"][number])
    idle.works = False
    job = begun(idle)
    worker = Worker(idle.claims, idle.catalogs, batch_size=64, slots=1, give_up=0)
    worker.drain()
    worker.finish_task(60)
    ended = read(idle, job)
    assert (ended["state"], ended["task"]["result"]) == ("succeeded", {"built": True})
    again = begun(idle)
    worker.drain()
    worker.finish_task(60)
    assert read(idle, again)["task"]["result"] == {"built": False}


def test_a_task_that_failed_says_why_and_is_not_retried_as_changes_are(idle: Any) -> None:
    job = begun(idle)
    idle.claims.end_task(idle.claims.claim_task(), error=DataFull("The disk is full."))
    ended = read(idle, job)
    assert (ended["state"], ended["task"]["code"], ended["task"]["message"]) == (
        "failed",
        "data_full",
        "The disk is full.",
    )
    refused = idle.client.post(f"/v1/jobs/{job['id']}/retry")
    assert (refused.status_code, refused.json["code"]) == (409, "conflict")
    assert "send the request that began it again" in refused.json["detail"]


def test_asked_again_while_it_goes_on_it_is_the_same_task(idle: Any) -> None:
    job = begun(idle)
    assert begun(idle)["id"] == job["id"]
    claim = idle.claims.claim_task()
    assert begun(idle)["id"] == job["id"]
    idle.claims.end_task(claim, {"built": True})
    assert begun(idle)["id"] != job["id"]


def test_a_repeated_request_gets_its_task_also_when_that_has_ended(idle: Any) -> None:
    job = begun(idle, **{"Idempotency-Key": "once"})
    idle.claims.end_task(idle.claims.claim_task(), {"built": True})
    again = idle.client.post(OPTIMIZE, headers={"Idempotency-Key": "once"})
    assert (again.json["id"], again.headers["Idempotent-Replayed"]) == (job["id"], "true")


def test_a_task_is_canceled(idle: Any) -> None:
    job = begun(idle)
    canceled = idle.client.post(f"/v1/jobs/{job['id']}/cancel").json
    assert (canceled["state"], canceled["task"]["code"]) == ("canceled", "canceled")
    assert idle.claims.claim_task() is None


def test_a_task_counts_as_waiting(idle: Any) -> None:
    begun(idle)
    assert idle.client.get("/v1/stats").json["waiting"] == 1


def test_no_catalog_no_task(idle: Any) -> None:
    answer = idle.client.post("/v1/catalogs/boots/optimize")
    assert (answer.status_code, answer.json["code"]) == (404, "catalog_not_found")
