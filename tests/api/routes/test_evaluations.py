"""Evaluations over HTTP: a task whose result tells generations or recipes apart; what is wrong is refused at once."""

from typing import Any

import pytest

from services.catalog.evaluating import Evaluating
from services.catalog.question import Question
from workers.worker import Worker

SHOES = "/v1/catalogs/shoes"
EVALUATE = f"{SHOES}/evaluate"
COLORS = ("red", "green", "blue", "orange")


@pytest.fixture
def filled(service: Any) -> Any:
    """A service whose catalog has twelve products of four colors; tasks are done when a test says so."""
    for number in range(12):
        service.put(f"p{number}", COLORS[number % 4], color=COLORS[number % 4], size={"width": number // 6})
    return service


def work(service: Any) -> None:
    worker = Worker(service.claims, service.catalogs, batch_size=64, slots=1, give_up=0)
    worker.drain()
    worker.finish_task(60)


def begun(service: Any, path: str = EVALUATE, **body: Any) -> dict[str, Any]:
    answer = service.client.post(path, json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json['id']}"
    job: dict[str, Any] = answer.json
    return job


def ended(service: Any, path: str = EVALUATE, **body: Any) -> dict[str, Any]:
    job = begun(service, path, **body)
    work(service)
    found: dict[str, Any] = service.client.get(f"/v1/jobs/{job['id']}").json
    assert found["finished_at"], found
    return found


def test_generations_and_a_recipe_are_evaluated(filled: Any) -> None:
    built = ended(filled, f"{SHOES}/generations", resample="bilinear")["task"]["result"]["generation"]
    found = ended(filled, labels=["color", "size.width"], generations=[built], weights="random:5", sample=500)
    task = found["task"]
    assert (found["state"], task["kind"], task["done"], task["total"]) == ("succeeded", "evaluate", 12, 12)
    assert task["parameters"] == {
        "labels": ["color", "size.width"],
        "group": None,
        "generations": [built],
        "recipe": {"weights": "random:5"},
        "sample": 500,
    }
    assert [each["name"] for each in task["result"]["columns"]] == ["live", "next", "recipe"]
    assert [each["label"] for each in task["result"]["labels"]] == ["color", "size.width"]
    assert task["result"] == Evaluating(filled.catalogs, "shoes", Question.of(task["parameters"])).evaluate()


def test_what_is_left_out_is_the_next_generation(filled: Any) -> None:
    built = ended(filled, f"{SHOES}/generations", resample="bilinear")["task"]["result"]["generation"]
    result = ended(filled, labels=["color"], group="size.width")["task"]["result"]
    assert (result["columns"][1]["generation"], result["group"], result["products"]) == (built, "size.width", 12)
    assert filled.client.get(f"{SHOES}/generations").json["generations"][0]["id"] != built


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ({}, 422, "invalid_input", "labels"),
        ({"labels": []}, 422, "invalid_input", "labels"),
        ({"labels": ["color"] * 9}, 422, "invalid_input", "labels"),
        ({"labels": ["a..b"]}, 422, "invalid_input", "is no attribute"),
        ({"labels": ["color"], "group": "a..b"}, 422, "invalid_input", "is no attribute"),
        ({"labels": ["colour"]}, 422, "label_unusable", "perhaps color is meant"),
        ({"labels": ["color"], "generations": ["x"]}, 404, "generation_not_found", "'x'"),
        ({"labels": ["color"], "encoder": "resnet"}, 422, "encoder_unknown", "resnet"),
        ({"labels": ["color"], "weights": "/etc/passwd"}, 422, "invalid_input", "weights"),
        ({"labels": ["color"], "resample": "nearest"}, 409, "generation_unchanged", "is made with"),
        ({"labels": ["color"], "features": "tuned"}, 409, "too_few_images", "12 products"),
        ({"labels": ["color"], "features": "best"}, 422, "invalid_input", "features"),
        ({"labels": ["color"], "sample": 99}, 422, "invalid_input", "sample"),
        ({"labels": ["color"], "sample": 20_001}, 422, "invalid_input", "sample"),
        ({"labels": ["color"], "label": "color"}, 422, "invalid_input", "label: unknown field"),
        ({"labels": ["color"], "group": None}, 422, "invalid_input", "leave it out"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_at_once(
    filled: Any, body: dict[str, Any], status: int, code: str, said: str
) -> None:
    answer = filled.client.post(EVALUATE, json=body)
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    assert said in answer.json["detail"]
    assert filled.client.get("/v1/jobs?state=enqueued").json["jobs"] == []


def test_one_that_has_not_ended_is_the_same_and_another_is_in_the_way(filled: Any) -> None:
    job = begun(filled, labels=["color"])
    assert begun(filled, labels=["color", "color"])["id"] == job["id"]
    refused = filled.client.post(EVALUATE, json={"labels": ["size.width"]})
    assert (refused.status_code, refused.json["code"]) == (409, "conflict") and job["id"] in refused.json["detail"]
    canceled = filled.client.post(f"/v1/jobs/{job['id']}/cancel").json
    assert (canceled["state"], canceled["task"]["code"]) == ("canceled", "canceled")
    assert ended(filled, labels=["size.width"])["state"] == "succeeded"


def test_a_repeated_request_gets_its_task(filled: Any) -> None:
    def sent(labels: list[str]) -> Any:
        return filled.client.post(EVALUATE, json={"labels": labels}, headers={"Idempotency-Key": "once"})

    job = sent(["color"]).json
    work(filled)
    again = sent(["color"])
    assert (again.status_code, again.json["id"], again.headers["Idempotent-Replayed"]) == (202, job["id"], "true")
    assert sent(["size.width"]).json["code"] == "idempotency_conflict"


def test_a_catalog_that_is_not_there_has_no_evaluation(service: Any) -> None:
    answer = service.client.post("/v1/catalogs/boots/evaluate", json={"labels": ["color"]})
    assert (answer.status_code, answer.json["code"]) == (404, "catalog_not_found")
