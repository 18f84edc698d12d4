"""What is accepted is accepted once, whatever is repeated; and its outcome can be waited for."""

import io
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from api.access.keyring import Keyring
from api.access.keys import hashed
from services.storage.media import Media

URL = "https://images.example.com/1.jpg"
FEED = "/v1/catalogs/shoes/products"
ONE = f"{FEED}/sku-1"
KEY = {"Idempotency-Key": "order-1"}


def total(service: Any) -> int:
    return sum(job["total"] for job in service.client.get("/v1/jobs").json["jobs"])


REQUESTS: dict[str, dict[str, Any]] = {
    "feed": {"path": FEED, "method": "POST", "json": [{"product_id": "a", "image_url": URL}]},
    "put": {"path": ONE, "method": "PUT", "json": {"image_url": URL}},
    "patch": {"path": ONE, "method": "PATCH", "json": {"attributes": {"a": 1}}},
    "delete": {"path": ONE, "method": "DELETE"},
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_a_repeated_request_is_answered_with_the_first_job(service: Any, request_: dict[str, Any]) -> None:
    service.works = False
    first = service.client.open(**request_, headers=KEY)
    again = service.client.open(**request_, headers=KEY)
    other = service.client.open(**request_, headers={"Idempotency-Key": "order-2"})
    assert [answer.status_code for answer in (first, again, other)] == [202, 202, 202]
    assert again.json == first.json and other.json["id"] != first.json["id"]
    assert "Idempotent-Replayed" not in first.headers and again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert total(service) == 2 and service.woken == [1, 1]


def test_without_a_key_every_request_counts(service: Any) -> None:
    for _ in range(2):
        assert service.client.open(**REQUESTS["put"]).status_code == 202
    assert total(service) == 2


def test_a_repeated_upload_may_have_another_boundary(service: Any) -> None:
    def send(attributes: str, image: bytes) -> Any:
        form = {"attributes": attributes, "image": (io.BytesIO(image), "x.png")}
        return service.client.put(ONE, data=form, headers=KEY)

    first, again = (send("{}", service.picture()) for _ in range(2))
    assert (first.status_code, again.status_code, again.json["id"]) == (202, 202, first.json["id"])
    assert send('{"a": 1}', service.picture()).status_code == 422
    assert send("{}", service.picture("blue")).status_code == 422


@pytest.mark.parametrize(
    "change",
    [
        {"json": {"image_url": URL + "?2"}},
        {"path": f"{FEED}/sku-2"},
        {"path": f"{ONE}?wait=0"},
        {"method": "PATCH"},
    ],
)
def test_the_same_key_with_another_request_is_refused(service: Any, change: dict[str, Any]) -> None:
    service.works = False
    assert service.client.open(**REQUESTS["put"], headers=KEY).status_code == 202
    answer = service.client.open(**{**REQUESTS["put"], **change}, headers=KEY)
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_conflict")
    assert (answer.json["retryable"], answer.json["errors"][0]["field"]) == (False, "Idempotency-Key")
    assert answer.json["detail"].startswith(f"The Idempotency-Key {KEY['Idempotency-Key']!r} is of another request")
    assert total(service) == 1


def test_a_request_that_is_under_way_is_not_done_twice(make_service: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class SlowMedia(Media):
        def put(self, data: bytes) -> str:
            begun.set()
            assert go_on.wait(10)
            return super().put(data)

    service = make_service(media=SlowMedia)
    service.catalog()
    service.works = False
    first: list[Any] = []

    def send() -> Any:
        return service.client.put(ONE, data=service.picture(), content_type="image/png", headers=KEY)

    thread = threading.Thread(target=lambda: first.append(send()))
    thread.start()
    assert begun.wait(10)
    answer = send()
    assert (answer.status_code, answer.json["code"], answer.json["retryable"]) == (409, "idempotency_conflict", True)
    go_on.set()
    thread.join()
    assert (send().json, total(service)) == (first[0].json, 1)


def test_a_request_that_was_refused_lets_its_key_go(make_service: Any) -> None:
    service = make_service(max_waiting=1)
    service.catalog()
    service.works = False
    assert service.client.open(**REQUESTS["put"]).status_code == 202
    full = service.client.open(**REQUESTS["delete"], headers=KEY)
    assert (full.status_code, full.json["code"], full.json["retryable"]) == (429, "queue_full", True)
    assert full.headers["Retry-After"] == "5"
    service.work()
    assert service.client.open(**REQUESTS["put"], headers=KEY).status_code == 202
    assert "Idempotent-Replayed" not in service.client.open(**REQUESTS["delete"]).headers


def test_a_feed_that_is_refused_does_not_take_the_key(service: Any) -> None:
    assert service.client.post(FEED, json=[{}], headers=KEY).status_code == 422
    assert service.client.open(**REQUESTS["feed"], headers=KEY).status_code == 202


def test_every_caller_has_its_own_keys(make_service: Any, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"shop:{hashed('a')}\npim:{hashed('b')}\n")
    service = make_service(keyring=Keyring.load(file))
    service.works = False
    auth = [{"Authorization": f"Bearer {key}"} for key in "ab"]
    assert service.client.put("/v1/catalogs/shoes", json={}, headers=auth[0]).status_code == 201
    jobs = [service.client.open(**REQUESTS["put"], headers=KEY | each).json["id"] for each in auth * 2]
    assert jobs == ["1", "2", "1", "2"]


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "\xe9", "\x7f", "a\tb"])
def test_a_key_that_is_none_is_refused(service: Any, key: str) -> None:
    answer = service.client.open(**REQUESTS["put"], headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, "Idempotency-Key")
    assert total(service) == 0


def test_a_key_may_be_long(service: Any) -> None:
    assert service.client.open(**REQUESTS["put"], headers={"Idempotency-Key": "~" * 255}).status_code == 202


# Waiting


def test_waiting_answers_with_the_outcome(service: Any) -> None:
    answer = service.client.put(f"{ONE}?wait=10", data=service.picture(), content_type="image/png")
    assert answer.status_code == 200
    job = answer.json
    assert (job["state"], job["total"], job["applied"], job["errors"]) == ("succeeded", 1, 1, False)
    assert job == service.client.get(answer.headers["Location"]).json
    assert service.client.put(f"{ONE}?wait=10", data=service.picture(), content_type="image/png").json["unchanged"] == 1


def test_waiting_answers_with_what_is_wrong_with_the_image(service: Any) -> None:
    answer = service.client.put(f"{ONE}?wait=10", data=service.picture()[:60], content_type="image/png")
    job = service.client.get("/v1/jobs/1").json
    assert answer.status_code == 422
    assert answer.json == {
        "type": "/problems/image_corrupt",
        "title": "Image corrupt",
        "status": 422,
        "detail": service.client.get("/v1/jobs/1/items").json["items"][0]["message"],
        "code": "image_corrupt",
        "retryable": False,
        "instance": answer.headers["X-Request-Id"],
        "job": job,
    }
    assert (answer.headers["Location"], job["state"], job["failed"]) == ("/v1/jobs/1", "failed", 1)


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_waiting_for_a_product_that_is_not_there(service: Any, method: str) -> None:
    answer = getattr(service.client, method)(f"{ONE}?wait=10", json={"attributes": {}})
    code = answer.json.get("code")
    assert (answer.status_code, code) == ((404, "product_not_found") if method == "patch" else (200, None))


def test_waiting_ends_with_the_job_as_it_is(service: Any) -> None:
    service.works = False
    started = time.monotonic()
    answer = service.client.put(f"{ONE}?wait=0.3", json={"image_url": URL})
    assert (answer.status_code, answer.json["state"]) == (202, "enqueued")
    assert 0.25 < time.monotonic() - started < 20
    assert answer.headers["Location"] == "/v1/jobs/1"


def test_waiting_ends_as_soon_as_the_job_does(service: Any) -> None:
    service.works = False
    timer = threading.Timer(0.3, service.work)
    timer.start()
    started = time.monotonic()
    answer = service.client.put(f"{ONE}?wait=30", data=service.picture(), content_type="image/png")
    timer.join()
    assert (answer.status_code, answer.json["applied"]) == (200, 1)
    assert time.monotonic() - started < 25


def test_a_repeated_request_may_wait_too(service: Any) -> None:
    answers = [
        service.client.put(f"{ONE}?wait=10", data=service.picture(), content_type="image/png", headers=KEY)
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 200] and answers[0].json == answers[1].json
    assert answers[1].headers["Idempotent-Replayed"] == "true"


def test_no_more_wait_than_there_are_places(service: Any) -> None:
    waits = service.app.extensions["lookalike"].waits
    held = [waits.acquire(blocking=False) for _ in range(48)]
    assert all(held)
    answer = service.client.put(f"{ONE}?wait=10", json={"image_url": URL})
    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (429, "too_many_waits", "5")
    assert total(service) == 0
    assert service.client.put(ONE, json={"image_url": URL}).status_code == 202
    waits.release()
    assert service.client.put(f"{ONE}?wait=10", json={"image_url": URL}).status_code == 422
    assert service.client.put(f"{ONE}?wait=x", json={"image_url": URL}).status_code == 422
    assert waits.acquire(blocking=False), "a place was not given back"


@pytest.mark.parametrize("wait", ["-1", "61", "x", "", "1e2", "nan", "inf", "1_0", "٣", "0x1", "1&wait=2"])
def test_a_wait_that_is_none_is_refused(service: Any, wait: str) -> None:
    answer = service.client.delete(f"{ONE}?wait={wait}")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "wait"), answer.text
    assert total(service) == 0


def test_the_request_is_told_to_the_log_and_the_ledger(service: Any) -> None:
    service.works = False
    service.client.delete(ONE, headers={"X-Request-Id": "from-the-shop.1"})
    assert "from-the-shop.1" in json.dumps([*map(repr, service.ledger.store.redis.hgetall("la:job:1").values())])
