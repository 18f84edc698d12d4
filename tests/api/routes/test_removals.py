"""Products that are removed together: by a feed that names all others, and by a filter."""

import json
from typing import Any

import pytest

SHOES = "/v1/catalogs/shoes"
URL = "https://images.example.com/1.jpg"
REPLACE = f"{SHOES}/products?mode=replace&max_removed=1"
DELETE = f"{SHOES}/products/delete"
RED = {"must": {"key": "color", "match": {"value": "red"}}}


@pytest.fixture
def full(service: Any) -> Any:
    """A service with ten products: p0 to p4 are red, p5 to p9 blue."""
    service.web[URL] = service.picture()
    lines = [
        {"product_id": f"p{n}", "image_url": URL, "attributes": {"color": "red" if n < 5 else "blue"}}
        for n in range(10)
    ]
    assert post(service, f"{SHOES}/products", *lines).status_code == 202
    return service


def post(service: Any, path: str, *lines: Any, **headers: str) -> Any:
    body = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines)
    return service.client.post(path, data=body.encode(), content_type="application/x-ndjson", headers=headers)


def put(*product_ids: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"product_id": each, "image_url": URL, **fields} for each in product_ids]


def named(*numbers: int) -> list[dict[str, Any]]:
    return [{"product_id": f"p{n}", "op": "keep"} for n in numbers]


def there(service: Any) -> set[str]:
    return {each["product_id"] for each in service.client.get(f"{SHOES}/products?limit=1000").json["products"]}


def ended(service: Any, answer: Any) -> tuple[Any, ...]:
    assert answer.status_code == 202, answer.text
    job = service.client.get(f"/v1/jobs/{answer.json['id']}").json
    assert job["finished_at"], job
    return tuple(job[name] for name in ("state", "total", "applied", "failed", "removed", "not_removed"))


def test_a_feed_with_mode_replace_removes_what_it_does_not_name(full: Any) -> None:
    answer = post(full, REPLACE, *put("new", "p0"), {"product_id": "p1", "op": "delete"}, *named(2, 3))
    assert ended(full, answer) == ("succeeded", 9, 8, 0, 6, None)
    assert there(full) == {"new", "p0", "p2", "p3"}


def test_a_feed_without_it_removes_nothing(full: Any) -> None:
    assert ended(full, post(full, f"{SHOES}/products?mode=update", *put("new"))) == ("succeeded", 1, 1, 0, 0, None)
    assert len(there(full)) == 11


def test_an_array_replaces_too(full: Any) -> None:
    answer = full.client.post(REPLACE, json=[*put("new"), *named(0)])
    assert ended(full, answer) == ("succeeded", 10, 10, 0, 9, None)


@pytest.mark.parametrize(("query", "kept", "removed"), [("", 7, 3), ("", 6, 0), ("&max_removed=0.4", 6, 4)])
def test_if_more_than_a_share_would_go_none_does(full: Any, query: str, kept: int, removed: int) -> None:
    answer = post(full, f"{SHOES}/products?mode=replace{query}", *put("new"), *named(*range(kept)))
    why = None if removed else "too_many_removed"
    assert ended(full, answer) == ("succeeded", 1 + removed, 1 + removed, 0, removed, why)
    assert len(there(full)) == 11 - removed


def test_a_line_that_fails_names_its_product(full: Any) -> None:
    answer = post(full, f"{REPLACE}&on_error=skip", *put("p0", color="none"), {"product_id": "p1", "image_url": "x"})
    assert ended(full, answer) == ("succeeded", 10, 8, 2, 8, None)
    assert there(full) == {"p0", "p1"}


@pytest.mark.parametrize("line", ["no json", '{"image_url": "https://x.example/1"}', '{"product_id": []}', "[]"])
def test_where_a_line_has_no_product_id_nothing_is_removed(full: Any, line: str) -> None:
    refused = post(full, REPLACE, *put("new"), line)
    assert (refused.status_code, refused.json["code"]) == (422, "feed_invalid")
    answer = post(full, f"{REPLACE}&on_error=skip", *put("new"), line)
    assert ended(full, answer) == ("succeeded", 2, 1, 1, 0, "lines_without_id")
    assert len(there(full)) == 11


def test_a_feed_that_names_products_only_is_one(full: Any) -> None:
    assert ended(full, post(full, REPLACE, *named(1, 1, 2))) == ("succeeded", 8, 8, 0, 8, None)
    assert there(full) == {"p1", "p2"}
    answer = post(full, f"{SHOES}/products?mode=replace", *named(1))
    assert ended(full, answer) == ("failed", 0, 0, 0, 0, "too_many_removed")


def test_what_is_put_after_the_request_began_stays(full: Any) -> None:
    """The version is reserved before the body is read."""
    lines = [(json.dumps(each) + "\n").encode() for each in put("p0")]

    class Body:
        """What a server reads of a body that comes in parts."""

        def read(self, size: int = -1) -> bytes:
            if not lines:
                return b""
            assert post(full, f"{SHOES}/products", *put("late", "p9", attributes={"x": 1})).status_code == 202
            return lines.pop()

    environ = {"wsgi.input": Body(), "wsgi.input_terminated": True, "CONTENT_TYPE": "application/x-ndjson"}
    answer = full.client.post(REPLACE, environ_overrides=environ)
    assert ended(full, answer) == ("succeeded", 9, 8, 0, 8, None)
    assert there(full) == {"p0", "p9", "late"}


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("max_removed=0.5", "max_removed takes mode=replace"),
        ("mode=update&max_removed=1", "max_removed takes mode=replace"),
        ("mode=replace&max_removed=1.1", "less than or equal to 1"),
        ("mode=replace&max_removed=x", "must be a number"),
        ("mode=sync", "'update' or 'replace'"),
    ],
)
def test_parameters_that_are_none_are_refused(full: Any, query: str, why: str) -> None:
    answer = post(full, f"{SHOES}/products?{query}", *put("a"))
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")
    assert why in answer.json["detail"], answer.json


def test_an_empty_body_and_a_line_that_keeps_more_are_refused(full: Any) -> None:
    answer = post(full, REPLACE, "")
    assert (answer.status_code, answer.json["code"]) == (422, "change_invalid")
    answer = post(full, REPLACE, {"product_id": "a", "op": "keep", "attributes": {}})
    assert (answer.status_code, answer.json["code"]) == (422, "feed_invalid")
    assert "attributes: a line that keeps" in answer.json["errors"][0]["detail"]
    answer = post(full, f"{SHOES}/products", *named(1))
    assert "put, patch, delete" in answer.json["errors"][0]["detail"]
    assert len(there(full)) == 10


def test_a_repeated_feed_is_the_same_job(full: Any) -> None:
    first, again = (post(full, REPLACE, *named(1), **{"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json["id"] == again.json["id"]
    assert again.headers["Idempotent-Replayed"] == "true"


def test_what_matches_a_filter_is_removed(full: Any) -> None:
    answer = full.client.post(DELETE, json={"filter": RED})
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json['id']}"
    assert ended(full, answer) == ("succeeded", 5, 5, 0, 5, None)
    assert there(full) == {f"p{n}" for n in range(5, 10)}


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_idempotency_key_that_is_none_is_refused_whatever_is_asked(full: Any, dry_run: bool) -> None:
    headers = {"Idempotency-Key": "a b"}
    answer = full.client.post(DELETE, json={"filter": RED, "dry_run": dry_run}, headers=headers)
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (400, "Idempotency-Key")


def test_a_dry_run_tells_what_would_go(full: Any) -> None:
    answer = full.client.post(DELETE, json={"filter": RED, "dry_run": True})
    assert answer.status_code == 200
    assert (answer.json["products"], sorted(answer.json["examples"])) == (5, [f"p{n}" for n in range(5)])
    assert len(there(full)) == 10
    assert len(full.client.get("/v1/jobs").json["jobs"]) == 1


@pytest.mark.parametrize("filter", [{}, {"must": []}, {"should": [{"must_not": []}]}])
def test_a_filter_without_a_condition_is_refused(full: Any, filter: Any) -> None:
    for body in ({"filter": filter}, {"filter": filter, "dry_run": True}):
        answer = full.client.post(DELETE, json=body)
        assert (answer.status_code, answer.json["code"]) == (422, "filter_invalid")
        assert answer.json["detail"].endswith("give one, or remove the catalog instead.")
    assert len(there(full)) == 10


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "filter"), ({"filter": RED, "limit": 1}, "limit"), ({"filter": RED, "dry_run": 1}, "dry_run"), ([], "body")],
)
def test_a_body_that_is_none_is_refused(full: Any, body: Any, field: str) -> None:
    answer = full.client.post(DELETE, json=body)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")
    assert answer.json["errors"][0]["field"] == field


def test_a_repeated_removal_is_the_same_job(full: Any) -> None:
    first, again = (full.client.post(DELETE, json={"filter": RED}, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json["id"] == again.json["id"]
    other = full.client.post(DELETE, json={"filter": {"must": [RED]}}, headers={"Idempotency-Key": "k"})
    assert (other.status_code, other.json["code"]) == (422, "idempotency_conflict")


def test_a_removal_wakes_a_worker_and_can_be_canceled(full: Any) -> None:
    full.works, full.woken = False, []
    answer = full.client.post(DELETE, json={"filter": RED})
    assert (answer.json["state"], answer.json["total"], full.woken) == ("enqueued", 0, [1])
    canceled = full.client.post(f"/v1/jobs/{answer.json['id']}/cancel").json
    assert (canceled["state"], canceled["not_removed"]) == ("canceled", "canceled")
    full.work()
    assert len(there(full)) == 10


def test_a_product_may_be_named_like_the_route(full: Any) -> None:
    full.put("delete")
    assert full.client.get(DELETE).json["product_id"] == "delete"
    assert full.client.delete(f"{DELETE}?wait=30").json["applied"] == 1
