"""Generations over HTTP: built by a task, compared, switched to, gone back from, dropped."""

from typing import Any

import pytest

from services.catalog.generations import Generations
from services.catalog.switching import dropped
from services.errors import GenerationNotFound
from workers.worker import Worker

SHOES = "/v1/catalogs/shoes"
GENERATIONS = f"{SHOES}/generations"
OTHER = {"encoder": "efficientnet_lite0", "weights": "random:2"}


@pytest.fixture
def filled(service: Any) -> Any:
    """A service whose catalog has twelve products; tasks are done when a test says so."""
    for number in range(12):
        service.put(f"p{number}", ["red", "green", "blue", "orange"][number % 4], n=number)
    return service


def work(service: Any) -> None:
    """Does what waits: changes, and one task."""
    worker = Worker(service.claims, service.catalogs, batch_size=64, slots=1, give_up=0)
    worker.drain()
    worker.finish_task(60)


def begun(service: Any, path: str, **body: Any) -> dict[str, Any]:
    answer = service.client.post(path, json=body)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json
    return job


def ended(service: Any, path: str, **body: Any) -> dict[str, Any]:
    """The task of a request when it has ended."""
    job = begun(service, path, **body)
    work(service)
    found: dict[str, Any] = service.client.get(f"/v1/jobs/{job['id']}").json
    assert found["finished_at"], found
    return found


def listed(service: Any) -> list[tuple[Any, ...]]:
    found = service.client.get(GENERATIONS).json["generations"]
    return [(each["state"], each["encoder"], each["weights"], each["products"]) for each in found]


def live(service: Any) -> dict[str, Any]:
    catalog = service.client.get(SHOES).json
    return {name: catalog[name] for name in ("encoder", "weights", "dim", "products")}


LIVE = {"encoder": "inception_v3", "weights": "imagenet", "dim": 2048, "products": 12}
NEW = OTHER | {"dim": 1280, "products": 12}


def test_a_generation_is_built_promoted_and_gone_back_from(filled: Any) -> None:
    built = ended(filled, GENERATIONS, **OTHER)
    id = built["task"]["result"].pop("generation")
    assert (built["state"], built["task"]["kind"], built["task"]["done"]) == ("succeeded", "reindex", 12)
    assert built["task"]["result"] == {
        "promoted": False,
        "products": 12,
        "brought": 12,
        "missing": 0,
        "faults": {},
        "examples": [],
        "changed": [],
    }
    assert listed(filled) == [("live", "inception_v3", "imagenet", 12), ("next", *OTHER.values(), 12)]
    assert live(filled) == LIVE
    filled.put("p0", "yellow")
    filled.client.delete(f"{SHOES}/products/p1?wait=30")
    promoted = ended(filled, f"{GENERATIONS}/{id}/promote")
    assert (promoted["state"], promoted["task"]["result"]["promoted"]) == ("succeeded", True)
    assert live(filled) == NEW | {"products": 11}
    first, second = filled.client.get(GENERATIONS).json["generations"]
    assert (first["id"], first["drop_at"], second["state"], second["products"]) == (id, None, "previous", 11)
    assert second["drop_at"] > second["since"]
    filled.put("p1", "green")
    back = ended(filled, f"{GENERATIONS}/{second['id']}/promote")
    assert back["task"]["result"]["promoted"] and live(filled) == LIVE
    again = ended(filled, f"{GENERATIONS}/{id}/promote")
    assert again["task"]["result"]["promoted"] and live(filled) == NEW


def test_built_and_promoted_in_one(filled: Any) -> None:
    done = ended(filled, GENERATIONS, **OTHER, promote=True)
    assert done["task"]["result"]["promoted"] and live(filled) == NEW


def test_search_answers_with_the_live_generation_alone(filled: Any) -> None:
    query = {"product_id": "p0", "limit": 5}
    before = filled.client.post(f"{SHOES}/search", json=query).json
    vector = {"vector": [1.0] * 2048, "limit": 5}
    assert filled.client.post(f"{SHOES}/search", json=vector).status_code == 200
    ended(filled, GENERATIONS, **OTHER)
    assert filled.client.post(f"{SHOES}/search", json=query).json == before
    [_, other] = filled.client.get(GENERATIONS).json["generations"]
    ended(filled, f"{GENERATIONS}/{other['id']}/promote")
    assert filled.client.post(f"{SHOES}/search", json=vector).json["code"] == "vector_invalid"
    after = filled.client.post(f"{SHOES}/search", json={"vector": [1.0] * 1280, "limit": 5})
    assert after.status_code == 200 and len(after.json["neighbors"]) == 5


def test_a_cursor_of_a_search_from_before_a_switch_is_refused_and_a_list_goes_on(filled: Any) -> None:
    page = filled.client.get(f"{SHOES}/products/p0/neighbors?limit=3").json
    first = filled.client.get(f"{SHOES}/products?limit=5").json
    ended(filled, GENERATIONS, **OTHER, promote=True)
    refused = filled.client.get(f"{SHOES}/products/p0/neighbors?limit=3&cursor={page['next']}")
    assert (refused.status_code, refused.json["code"]) == (409, "generation_changed")
    assert "begin again without a cursor" in refused.json["detail"]
    rest = filled.client.get(f"{SHOES}/products?limit=100&cursor={first['next']}").json
    found = [each["product_id"] for each in [*first["products"], *rest["products"]]]
    assert sorted(found) == sorted(f"p{n}" for n in range(12))
    page = filled.client.get(f"{SHOES}/products/p0/neighbors?limit=3").json
    assert filled.client.get(f"{SHOES}/products/p0/neighbors?limit=3&cursor={page['next']}").status_code == 200


def test_products_without_an_original_are_named_before_anything_is_switched(filled: Any) -> None:
    image = filled.client.get(f"{SHOES}/products/p0").json["image"]
    filled.media.remove(image)
    lacking = [f"p{n}" for n in range(0, 12, 4)]
    failed = ended(filled, GENERATIONS, **OTHER, promote=True)
    assert (failed["state"], failed["task"]["code"]) == ("failed", "generation_incomplete")
    assert "lacks 3 of 12 products" in failed["task"]["message"] and live(filled) == LIVE
    built = ended(filled, GENERATIONS, **OTHER)
    result = built["task"]["result"]
    assert (result["missing"], result["faults"]) == (3, {"media_not_found": 3})
    assert sorted(each["product_id"] for each in result["examples"]) == lacking
    path = f"{GENERATIONS}/{result['generation']}/behind?limit=5"
    pages = [filled.client.get(path).json]
    while cursor := pages[-1]["next"]:
        pages.append(filled.client.get(f"{path}&cursor={cursor}").json)
    assert len(pages) == 3 and sorted(id for page in pages for id in page["product_ids"]) == lacking
    assert filled.client.get(f"{path}&cursor=x").json["code"] == "invalid_input"
    done = ended(filled, GENERATIONS, **OTHER, promote=True, allow_missing=True)
    assert done["task"]["result"]["promoted"] and live(filled) == NEW | {"products": 9}


def test_a_repeated_request_gets_its_task_also_when_what_it_asked_for_is_so_by_then(filled: Any) -> None:
    def sent(path: str, body: dict[str, Any], key: str) -> Any:
        return filled.client.post(path, json=body, headers={"Idempotency-Key": key})

    job = sent(GENERATIONS, OTHER | {"promote": True}, "build").json
    work(filled)
    [live, other] = filled.client.get(GENERATIONS).json["generations"]
    again = sent(GENERATIONS, OTHER | {"promote": True}, "build")
    assert (again.status_code, again.json["id"], again.headers["Idempotent-Replayed"]) == (202, job["id"], "true")
    assert sent(GENERATIONS, OTHER | {"promote": True}, "another").json["code"] == "generation_unchanged"
    path = f"{GENERATIONS}/{other['id']}/promote"
    job = sent(path, {}, "switch").json
    work(filled)
    assert filled.client.get(GENERATIONS).json["generations"][0]["id"] == other["id"] != live["id"]
    assert sent(path, {}, "switch").json["id"] == job["id"]
    assert sent(path, {}, "another").json["code"] == "conflict"


def test_a_generation_is_compared(filled: Any) -> None:
    id = ended(filled, GENERATIONS, **OTHER)["task"]["result"]["generation"]
    found = filled.client.get(f"{GENERATIONS}/{id}/compare?sample=5").json
    assert (found["sample"], found["missing"], list(found["common"])) == (5, [], ["1", "5", "10", "50"])
    assert found["common"]["50"] == 1.0, "both have all others"
    assert filled.client.get(f"{GENERATIONS}/{id}/compare?sample=0").status_code == 422


def test_a_generation_is_dropped_and_the_live_one_is_not(filled: Any) -> None:
    id = ended(filled, GENERATIONS, **OTHER)["task"]["result"]["generation"]
    [first, _] = filled.client.get(GENERATIONS).json["generations"]
    assert filled.client.delete(f"{GENERATIONS}/{id}").status_code == 204
    assert [each[0] for each in listed(filled)] == ["live"]
    for path, method in ((id, "delete"), (f"{id}/promote", "post"), (f"{id}/compare", "get")):
        body = {"json": {}} if method == "post" else {}
        answer = getattr(filled.client, method)(f"{GENERATIONS}/{path}", **body)
        assert (answer.status_code, answer.json["code"]) == (404, "generation_not_found"), path
    refused = filled.client.delete(f"{GENERATIONS}/{first['id']}")
    assert (refused.status_code, refused.json["code"]) == (409, "generation_live")


def test_what_is_being_dropped_is_listed_and_was_dropped(filled: Any) -> None:
    id = ended(filled, GENERATIONS, **OTHER)["task"]["result"]["generation"]
    catalogs = filled.catalogs
    catalogs.describe(catalogs.get("shoes").spec, lambda now: dropped(now, id))
    assert [(each[0], each[3]) for each in listed(filled)] == [("live", 12), ("dropped", None)]
    found = Generations(catalogs, "shoes")
    with pytest.raises(GenerationNotFound, match="was dropped"):
        found.compare(id)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"encoder": "resnet"}, 422, "encoder_unknown"),
        ({"weights": "random:x"}, 422, "invalid_input"),
        ({"weights": "/etc/passwd"}, 422, "invalid_input"),
        ({"encode": "inception_v3"}, 422, "invalid_input"),
        ({}, 409, "generation_unchanged"),
        ({"features": "all"}, 422, "invalid_input"),
        ({"features": "tuned"}, 409, "too_few_images"),
        ({"features": "head"}, 409, "generation_unchanged"),
        ({"encoder": "inception_v3", "resample": "nearest"}, 409, "generation_unchanged"),
    ],
)
def test_what_no_generation_can_be_is_refused_at_once(filled: Any, body: Any, status: int, code: str) -> None:
    answer = filled.client.post(GENERATIONS, json=body)
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    assert filled.client.get("/v1/jobs?state=enqueued").json["jobs"] == []


def test_while_one_is_built_it_is_the_same_and_another_is_in_the_way(filled: Any) -> None:
    job = begun(filled, GENERATIONS, **OTHER)
    assert begun(filled, GENERATIONS, **OTHER)["id"] == job["id"]
    refused = filled.client.post(GENERATIONS, json={"resample": "bicubic"})
    assert (refused.status_code, refused.json["code"]) == (409, "conflict") and job["id"] in refused.json["detail"]
    work(filled)
    refused = filled.client.post(GENERATIONS, json={"resample": "bicubic"})
    assert (refused.status_code, refused.json["code"]) == (409, "generation_exists")
    assert ended(filled, GENERATIONS, **OTHER)["task"]["result"]["brought"] == 0


def test_generations_are_of_a_catalog(filled: Any) -> None:
    for path, method in (("", "get"), ("", "post"), ("/x/promote", "post"), ("/x", "delete"), ("/x/compare", "get")):
        body = {"json": {}} if method == "post" else {}
        answer = getattr(filled.client, method)(f"/v1/catalogs/boots/generations{path}", **body)
        assert (answer.status_code, answer.json["code"]) == (404, "catalog_not_found"), path
