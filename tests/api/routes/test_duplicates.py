"""Duplicates over HTTP: a task that looks for them, groups in pages, decisions, and those of one product."""

from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from copies import product

from services.explore.duplicate_groups import told
from services.records import State
from workers.worker import Worker

SHOES = "/v1/catalogs/shoes"
URL = f"{SHOES}/duplicates"


@pytest.fixture
def filled(service: Any) -> Any:
    """40 pictures; one is on 12 products, one on two, and one has a near-duplicate."""
    catalog = service.catalogs.get("shoes")
    made = [product(f"p{n}", n, dim=2048) for n in range(40)]
    made += [product(f"none/{n}", 900, dim=2048) for n in range(12)]
    made += [product("near", 0, 1, dim=2048), product("same", 1, dim=2048)]
    assert {each.state for each in catalog.put_embeddings(made)} == {State.APPLIED}
    return service


def looked(service: Any) -> dict[str, Any]:
    answer = service.client.put(URL)
    assert (answer.status_code, answer.json["task"]["kind"]) == (202, "duplicates"), answer.text
    worker = Worker(service.claims, service.catalogs, batch_size=64, slots=1, give_up=0)
    worker.drain()
    worker.finish_task(60)
    found: dict[str, Any] = service.client.get(answer.headers["Location"]).json
    assert found["state"] == "succeeded", found
    return found


def sets(answer: Any) -> list[set[str]]:
    assert answer.status_code == 200, answer.text
    return [{each["product_id"] for each in group["members"]} for group in answer.json["groups"]]


NONE = {f"none/{n}" for n in range(12)}


def test_groups_are_found_by_a_task_and_listed_in_pages_as_the_library_gives_them(filled: Any) -> None:
    before = filled.client.get(URL)
    assert (before.status_code, before.json["code"]) == (404, "finding_not_found")
    assert before.json["detail"].endswith(f"PUT {URL} does it, or `lookalike duplicates`.")
    assert looked(filled)["task"]["result"] == {"products": 54, "groups": 3, "placeholders": 1}
    whole = filled.client.get(URL)
    assert sets(whole) == [NONE, {"p1", "same"}, {"p0", "near"}]
    page = filled.catalogs.get("shoes").duplicates.page()
    assert whole.json["groups"] == [told(each) for each in page.groups]
    names = ("total", "next", "products", "found_at", "complete", "stale")
    assert [whole.json[each] for each in names] == [3, None, 54, page.found_at, True, False]
    first = filled.client.get(f"{URL}?limit=2")
    assert sets(filled.client.get(f"{URL}?limit=2&cursor={first.json['next']}")) == [{"p0", "near"}]
    assert sets(filled.client.get(f"{URL}?kind=same_bytes&placeholder=false")) == [{"p1", "same"}]
    assert sets(filled.client.get(f"{URL}?placeholder=true")) == [NONE]


def test_a_decision_settles_a_group_until_it_is_undone_and_removes_nothing(filled: Any) -> None:
    looked(filled)
    group = filled.client.get(f"{URL}?kind=same_bytes&placeholder=false").json["groups"][0]
    url = f"{URL}/{group['id']}/decision"
    decided = filled.client.post(url, json={"decision": "remove", "keep": ["same"]})
    assert (decided.status_code, decided.json["keep"], decided.json["to_remove"]) == (200, ["same"], ["p1"])
    assert sets(filled.client.get(URL)) == [NONE, {"p0", "near"}]
    listed = filled.client.get(f"{URL}?decision=remove").json
    assert listed["groups"] == [decided.json] and listed["total"] == 1
    assert filled.client.get(f"{SHOES}/products/p1").status_code == 200
    [one] = filled.client.get(f"{SHOES}/products/p1/duplicates").json["duplicates"]
    assert (one["product_id"], one["kind"], one["decision"]) == ("same", "same_bytes", "remove")
    assert filled.client.delete(url).status_code == 204
    assert sets(filled.client.get(URL)) == [NONE, {"p1", "same"}, {"p0", "near"}]
    again = filled.client.delete(url)
    assert (again.status_code, again.json["code"]) == (404, "group_not_found")


def test_decisions_can_be_forgotten_when_they_are_lost_alone(filled: Any) -> None:
    looked(filled)
    group = filled.client.get(f"{URL}?kind=same_bytes&placeholder=false").json["groups"][0]
    assert filled.client.delete(f"{URL}/decisions").status_code == 204
    assert filled.client.post(f"{URL}/{group['id']}/decision", json={"decision": "keep"}).status_code == 200
    kept = filled.client.delete(f"{URL}/decisions")
    assert (kept.status_code, kept.json["code"]) == (409, "conflict")
    catalog = filled.catalogs.get("shoes")
    catalog._describe_findings(lambda now: replace(now, decisions="0" * 64))
    lost = filled.client.get(URL)
    assert (lost.status_code, lost.json["code"]) == (404, "decisions_not_found")
    assert lost.json["detail"].endswith(f"over HTTP DELETE {URL}/decisions.")
    assert filled.client.delete(f"{URL}/decisions").status_code == 204
    assert sets(filled.client.get(URL)) == [NONE, {"p1", "same"}, {"p0", "near"}]


def test_the_duplicates_of_a_product_need_no_scan(filled: Any) -> None:
    found = filled.client.get(f"{SHOES}/products/{quote('none/3', safe='')}/duplicates").json["duplicates"]
    assert {each["product_id"] for each in found} == NONE - {"none/3"}
    assert {each["kind"] for each in found} == {"same_bytes"} and found[0]["score"] == pytest.approx(1, abs=1e-5)
    assert filled.client.get(f"{SHOES}/products/p7/duplicates").json == {"duplicates": []}
    assert filled.client.get(f"{SHOES}/products/nowhere/duplicates").json["code"] == "product_not_found"


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ({"decision": "delete"}, 422, "invalid_input", "decision"),
        ({}, 422, "invalid_input", "decision"),
        ({"decision": "keep", "keep": ["p1"]}, 422, "invalid_input", "all products stay"),
        ({"decision": "remove", "keep": ["p2"]}, 422, "invalid_input", "'p2' is no product of group"),
        ({"decision": "remove", "keep": ["p1", "same"]}, 422, "invalid_input", "no product would go"),
        ({"decision": "remove", "force": True}, 422, "invalid_input", "force: unknown field"),
    ],
)
def test_what_cannot_be_decided_is_refused(
    filled: Any, body: dict[str, Any], status: int, code: str, said: str
) -> None:
    looked(filled)
    group = filled.client.get(f"{URL}?kind=same_bytes&placeholder=false").json["groups"][0]
    answer = filled.client.post(f"{URL}/{group['id']}/decision", json=body)
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    assert said in answer.json["detail"]
    gone = filled.client.post(f"{URL}/{'0' * 16}/decision", json={"decision": "keep"})
    assert (gone.status_code, gone.json["code"]) == (404, "group_not_found")
    assert "list the groups again" in gone.json["detail"]
    assert filled.client.get(f"{URL}?cursor=x").json["code"] == "invalid_input"
