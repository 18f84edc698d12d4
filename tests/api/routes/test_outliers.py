"""Outliers over HTTP: looked for by a task, listed page by page, and what is wrong by its name."""

from typing import Any

import numpy as np
import pytest

from services.records import Embedding, JobState
from workers.worker import Worker

SHOES = "/v1/catalogs/shoes"
OUTLIERS = f"{SHOES}/outliers"
COUNT = 60
WRONG = {"p4", "p9"}
"""A mug that is filed under sofas, and a sofa under mugs."""


def embedding(number: int) -> Embedding:
    """Mugs and sofas in turn."""
    features = np.abs(np.random.default_rng(number).normal(1, 0.1, 2048)).astype(np.float32)
    kind = number % 2
    features[500 * kind : 500 * kind + 500] *= 2
    label = kind if f"p{number}" not in WRONG else 1 - kind
    return Embedding(f"p{number}", features, {"kind": ("mug", "sofa")[label], "n": number})


@pytest.fixture
def filled(service: Any) -> Any:
    for _ in service.catalogs.get("shoes").put_embeddings(embedding(number) for number in range(COUNT)):
        pass
    return service


def looked(service: Any, **body: Any) -> Any:
    """The job that looks for outliers, at its end."""
    answer = service.client.put(OUTLIERS, json=body)
    assert answer.status_code == 202, answer.text
    worker = Worker(service.claims, service.catalogs, batch_size=64, slots=1, give_up=0)
    worker.drain()
    worker.finish_task(60)
    found = service.client.get(answer.headers["Location"]).json
    assert found["finished_at"], found
    return found


def test_what_a_task_has_found_is_listed_page_by_page(filled: Any) -> None:
    job = looked(filled, label="kind")
    assert (job["state"], job["task"]["kind"]) == (JobState.SUCCEEDED, "outliers:kind")
    assert job["task"]["result"]["products"] == COUNT and job["task"]["done"] == job["task"]["total"]
    page = filled.client.get(OUTLIERS, query_string={"label": "kind", "limit": 1}).json
    rest = filled.client.get(OUTLIERS, query_string={"label": "kind", "cursor": page["next"]}).json
    found = page["outliers"] + rest["outliers"]
    assert {each["product_id"] for each in found} == WRONG and rest["next"] is None
    local = filled.catalogs.get("shoes").outliers.page("kind")
    assert found == [dict(each) for each in local["outliers"]]
    assert {**rest, "outliers": found} == {**local, "outliers": found}
    sofas = filled.client.get(OUTLIERS, query_string={"label": "kind", "value": "sofa"}).json["outliers"]
    assert [each["product_id"] for each in sofas] == ["p4"]


def test_isolated_products_are_a_list_of_their_own(filled: Any) -> None:
    assert looked(filled, isolated=True)["task"]["kind"] == "outliers"
    page = filled.client.get(OUTLIERS, query_string={"isolated": "true"}).json
    assert (page["label"], page["products"], page["complete"]) == (None, COUNT, True)
    assert filled.client.get(OUTLIERS, query_string={"label": "kind"}).status_code == 404


@pytest.mark.parametrize(
    ("method", "asked", "status", "code"),
    [
        ("GET", {"label": "kind"}, 404, "finding_not_found"),
        ("GET", {"isolated": "true"}, 404, "finding_not_found"),
        ("GET", {}, 422, "invalid_input"),
        ("GET", {"label": "kind", "isolated": "true"}, 422, "invalid_input"),
        ("GET", {"label": "kind", "value": ""}, 422, "invalid_input"),
        ("PUT", {}, 422, "invalid_input"),
        ("PUT", {"label": "kind", "isolated": True}, 422, "invalid_input"),
        ("PUT", {"label": "a b"}, 422, "invalid_input"),
        ("PUT", {"label": "kinds"}, 422, "label_unusable"),
    ],
)
def test_what_is_wrong_is_refused_by_name(
    filled: Any, method: str, asked: dict[str, Any], status: int, code: str
) -> None:
    sent: dict[str, Any] = {"query_string": asked} if method == "GET" else {"json": asked}
    answer = filled.client.open(OUTLIERS, method=method, **sent)
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text


def test_a_label_that_cannot_be_judged_fails_the_task_with_the_reason(filled: Any) -> None:
    job = looked(filled, label="n")
    assert (job["state"], job["task"]["code"]) == (JobState.FAILED, "label_unusable")


def test_a_catalog_of_few_products_is_refused(service: Any) -> None:
    answer = service.client.put(OUTLIERS, json={"isolated": True})
    assert (answer.status_code, answer.json["code"]) == (409, "too_few_products")
