"""Jobs: listed, read, canceled, tried again."""

import re
import time
from threading import Thread
from typing import Any

import pytest
from waiting import until

from services.records import Outcome, State

URL = "https://images.example.com/1.jpg"
FEED = "/v1/catalogs/shoes/products"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def send(service: Any, *ids: str, url: str = URL) -> str:
    answer = service.client.post(FEED, json=[{"product_id": id, "image_url": url} for id in ids])
    assert answer.status_code == 202, answer.text
    id: str = answer.json["id"]
    return id


def test_a_job_tells_how_it_ended(service: Any) -> None:
    service.web[URL] = service.picture()
    before = time.time()
    send(service, "a", "b")
    send(service, "a", url=URL + "?none")
    job, failed = (service.client.get(f"/v1/jobs/{id}").json for id in "12")
    for each in (job, failed):
        times = [each.pop(name) for name in ("created_at", "started_at", "finished_at")]
        assert all(TIME.fullmatch(each) for each in times) and times == sorted(times)
        absent = [each.pop(name) for name in ("columns", "notes", "removed", "not_removed", "task", "waiting_for")]
        assert absent == [None, None, 0, None, None, None]
    assert job.pop("images_per_second") > 0 and failed.pop("images_per_second") > 0
    counts = {"total": 2, "applied": 2, "unchanged": 0, "superseded": 0, "failed": 0, "canceled": 0}
    assert job == {"id": "1", "catalog": "shoes", "state": "succeeded", "errors": False, "eta_seconds": None} | counts
    counts |= {"total": 1, "applied": 0, "failed": 1}
    assert failed == {"id": "2", "catalog": "shoes", "state": "failed", "errors": True, "eta_seconds": None} | counts
    assert before - 60 < time.time()


def test_a_job_under_way_tells_how_long_it_will_take(service: Any) -> None:
    service.works = False
    send(service, "a", "b", "c", "d")
    claim = service.claims.claim("test", 1).claim
    time.sleep(0.05)
    [outcome] = [service._apply(claim.catalog_id, change) for change in claim.changes]
    service.claims.record(claim, [(claim.refs[0], outcome)])
    job = service.client.get("/v1/jobs/1").json
    assert (job["state"], job["failed"], job["finished_at"]) == ("processing", 1, None)
    assert 0 < job["images_per_second"] < 20 + 1
    assert job["eta_seconds"] == pytest.approx(3 / job["images_per_second"], abs=0.1)


def test_jobs_are_listed_newest_first_and_by_catalog_and_state(service: Any) -> None:
    service.catalog("boots")
    service.works = False
    for _ in range(3):
        send(service, "a")
    service.client.delete("/v1/catalogs/boots/products/a")
    service.client.post("/v1/jobs/2/cancel")

    def listed(query: str = "") -> tuple[list[str], str | None]:
        page = service.client.get(f"/v1/jobs{query}").json
        assert page.keys() == {"jobs", "next"}
        return [job["id"] for job in page["jobs"]], page["next"]

    assert listed() == (["4", "3", "2", "1"], None)
    assert listed("?catalog=shoes") == (["3", "2", "1"], None)
    assert listed("?catalog=none") == ([], None)
    assert listed("?state=canceled") == (["2"], None)
    assert listed("?state=enqueued&catalog=boots") == (["4"], None)
    first, cursor = listed("?limit=3")
    assert first == ["4", "3", "2"] and cursor
    assert listed(f"?limit=3&cursor={cursor}") == (["1"], None)


def test_jobs_since_a_time_are_those_that_were_created_then_or_later(service: Any) -> None:
    service.works = False
    for _ in range(3):
        send(service, "a")
        began = time.time()
        until(lambda began=began: time.time() > began + 0.002)
    second = service.client.get("/v1/jobs/2").json["created_at"]

    def listed(since: str) -> Any:
        page = service.client.get("/v1/jobs", query_string={"since": since, "limit": 2})
        return [job["id"] for job in page.json["jobs"]] if page.status_code == 200 else page.json["code"]

    assert listed(second) == ["3", "2"]
    assert listed(second.replace("Z", "+00:00")) == ["3", "2"]
    assert listed("2000-01-01T00:00:00Z") == ["3", "2"]
    assert listed("2100-01-01T00:00:00+01:00") == []
    for wrong in ("yesterday", "2026-01-01T00:00:00", "2026-01-01", "1700000000", "2026-13-01T00:00:00Z", "1e99"):
        assert listed(wrong) == "invalid_input", wrong


def test_a_job_that_does_not_differ_is_not_sent_again(service: Any) -> None:
    service.works = False
    send(service, "a", "b")
    first = service.client.get("/v1/jobs/1")
    tag = {"If-None-Match": first.headers["ETag"]}
    again = service.client.get("/v1/jobs/1", headers=tag)
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    claim = service.claims.claim("test", 1).claim
    service.claims.record(claim, [(claim.refs[0], Outcome("a", State.APPLIED))])
    changed = service.client.get("/v1/jobs/1", headers=tag)
    assert (changed.status_code, changed.json["applied"]) == (200, 1)
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_a_caller_that_waits_hears_of_a_change_and_without_a_tag_of_the_end(service: Any) -> None:
    service.works = False
    send(service, "a", "b")
    tag = {"If-None-Match": service.client.get("/v1/jobs/1").headers["ETag"]}
    assert service.client.get("/v1/jobs/1?wait=0.3", headers=tag).status_code == 304
    heard: list[tuple[str, int]] = []

    def hear(headers: dict[str, str]) -> None:
        job = service.app.test_client().get("/v1/jobs/1?wait=60", headers=headers).json
        heard.append((job["state"], job["applied"]))

    # The claim is a change, too.
    claim = service.claims.claim("test", 1).claim
    tag = {"If-None-Match": service.client.get("/v1/jobs/1").headers["ETag"]}
    changed, ended = (Thread(target=hear, args=(headers,)) for headers in (tag, {}))
    changed.start()
    service.claims.record(claim, [(claim.refs[0], Outcome("a", State.APPLIED))])
    changed.join(300)
    assert heard == [("processing", 1)]
    ended.start()
    claim = service.claims.claim("test", 1).claim
    service.claims.record(claim, [(claim.refs[0], Outcome("b", State.APPLIED))])
    ended.join(300)
    assert heard[1:] == [("succeeded", 2)]


def test_images_per_second_are_of_changes_with_images(service: Any) -> None:
    service.works = False
    service.client.delete("/v1/catalogs/shoes/products/a")
    claim = service.claims.claim("test", 1).claim
    service.claims.record(claim, [(claim.refs[0], Outcome("a", State.APPLIED))])
    assert service.client.get("/v1/jobs/1").json["images_per_second"] is None
    send(service, "b")
    claim = service.claims.claim("test", 1).claim
    service.claims.record(claim, [(claim.refs[0], Outcome("b", State.APPLIED))])
    assert service.client.get("/v1/jobs/2").json["images_per_second"] > 0


def test_items_are_those_that_failed_or_wait(service: Any) -> None:
    service.works = False
    send(service, "a", "b", "c")
    waiting = {"state": None, "code": None, "message": None, "image": URL, "line": None}
    page = service.client.get("/v1/jobs/1/items?state=waiting&limit=2").json
    assert page["items"] == [{"product_id": "a"} | waiting, {"product_id": "b"} | waiting]
    page = service.client.get(f"/v1/jobs/1/items?state=waiting&limit=2&cursor={page['next']}").json
    assert page == {"items": [{"product_id": "c"} | waiting], "next": None}
    assert service.client.get("/v1/jobs/1/items").json == {"items": [], "next": None}
    service.work()
    assert service.client.get("/v1/jobs/1/items?state=waiting").json == {"items": [], "next": None}
    failed = {
        "state": "failed",
        "code": "fetch_not_found",
        "message": f"{URL} answers 404.",
        "image": URL,
        "line": None,
    }
    items = [{"product_id": id} | failed for id in "abc"]
    assert service.client.get("/v1/jobs/1/items?state=failed").json == {"items": items, "next": None}


def test_what_waits_can_be_canceled(service: Any) -> None:
    service.works = False
    send(service, "a", "b")
    for _ in range(2):
        answer = service.client.post("/v1/jobs/1/cancel")
        assert (answer.status_code, answer.json["state"], answer.json["canceled"]) == (200, "canceled", 2)
    assert service.claims.claim("test", 64).claim is None


def test_what_failed_can_be_tried_again(service: Any) -> None:
    send(service, "a", "b")
    service.web[URL] = service.picture()
    answer = service.client.post("/v1/jobs/1/retry")
    assert (answer.status_code, answer.headers["Location"], answer.json["total"]) == (202, "/v1/jobs/2", 2)
    assert service.client.get("/v1/jobs/2").json["applied"] == 2
    assert service.woken == [2, 2]
    again = service.client.post("/v1/jobs/2/retry")
    assert (again.status_code, again.json["code"]) == (409, "conflict")


def test_a_retry_that_is_repeated_with_its_key_is_one(service: Any) -> None:
    send(service, "a", "b")
    first, again = (service.client.post("/v1/jobs/1/retry", headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status_code, again.status_code, first.json["id"], again.json["id"]) == (202, 202, "2", "2")
    assert again.headers["Idempotent-Replayed"] == "true"
    other = service.client.post("/v1/jobs/2/retry", headers={"Idempotency-Key": "k"})
    assert (other.status_code, other.json["code"]) == (422, "idempotency_conflict")


def test_canceled_changes_are_none_that_were_worked_on(service: Any) -> None:
    service.works = False
    send(service, "a", "b")
    job = service.client.post("/v1/jobs/1/cancel").json
    assert (job["canceled"], job["images_per_second"]) == (2, None)


def test_a_job_that_has_not_finished_cannot_be_tried_again(service: Any) -> None:
    service.works = False
    send(service, "a")
    answer = service.client.post("/v1/jobs/1/retry")
    assert (answer.status_code, answer.json["code"]) == (409, "conflict")


@pytest.mark.parametrize("id", ["9", "x", "-1", "1.0", "0", "9" * 30, "9" * 5000, "%00", "٣", "..", "1%0A"])
def test_a_job_that_is_not_there_is_not_found(service: Any, id: str) -> None:
    send(service, "a")
    for method, path in (("get", ""), ("get", "/items"), ("post", "/cancel"), ("post", "/retry")):
        answer = getattr(service.client, method)(f"/v1/jobs/{id}{path}")
        assert (answer.status_code, answer.json["code"]) == (404, "job_not_found")


@pytest.mark.parametrize(
    "query", ["?state=nope", "?state=waiting", "?cursor=x", "?cursor=-1", "?limit=0", "?catalog=a&catalog=b", "?x=1"]
)
def test_parameters_that_are_none_are_refused(service: Any, query: str) -> None:
    send(service, "a")
    answer = service.client.get(f"/v1/jobs{query}")
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    if query != "?state=waiting":
        assert service.client.get(f"/v1/jobs/1/items{query}").status_code == 422
