"""A feed: each line parsed, all or what is good of it accepted, in the order of the lines."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.requests import feed
from api.requests.body import CHUNK
from services.feeds.changes import USUAL_URL, WrongChange, parse_change
from services.ledger import Refusal
from services.outbound.urls import checked_url
from services.records import Change, ChangeKind, RemoteImage, StoredImage

URL = "https://images.example.com/1.jpg"
FEED = "/v1/catalogs/shoes/products"
PUT = {"product_id": "a", "image_url": URL}
HASH = "0123456789abcdef" * 4

GOOD: list[tuple[dict[str, Any], Change]] = [
    (PUT, Change("a", ChangeKind.PUT, RemoteImage(URL))),
    ({**PUT, "op": "put", "attributes": {}}, Change("a", ChangeKind.PUT, RemoteImage(URL), {})),
    ({"product_id": "a", "op": "patch", "attributes": {"x": None}}, Change("a", ChangeKind.PATCH, None, {"x": None})),
    ({**PUT, "product_id": "a ", "op": "patch"}, Change("a ", ChangeKind.PATCH, RemoteImage(URL))),
    ({**PUT, "op": "patch"}, Change("a", ChangeKind.PATCH, RemoteImage(URL))),
    ({"product_id": "a", "image": HASH}, Change("a", ChangeKind.PUT, StoredImage(HASH))),
    ({"product_id": "a", "image": HASH, "op": "patch"}, Change("a", ChangeKind.PATCH, StoredImage(HASH))),
    ({"product_id": "\0/..", "op": "delete"}, Change("\0/..", ChangeKind.DELETE)),
]

BAD: list[tuple[object, str | None, str]] = [
    ([], None, "change_invalid"),
    ("a", None, "change_invalid"),
    (None, None, "change_invalid"),
    ({}, "product_id", "change_invalid"),
    ({**PUT, "color": "red"}, "color", "change_invalid"),
    ({**PUT, "\ud800": 1}, "\\ud800", "change_invalid"),
    ({**PUT, "product_id": None}, "product_id", "change_invalid"),
    ({**PUT, "product_id": 7}, "product_id", "change_invalid"),
    ({**PUT, "product_id": ""}, "product_id", "product_id_invalid"),
    ({**PUT, "product_id": "x" * 513}, "product_id", "product_id_invalid"),
    ({**PUT, "product_id": "a "}, "product_id", "product_id_invalid"),
    ({**PUT, "product_id": "a\tb"}, "product_id", "product_id_invalid"),
    ({**PUT, "product_id": "\ud800"}, "product_id", "product_id_invalid"),
    ({"product_id": "a"}, "image_url", "change_invalid"),
    ({**PUT, "image_url": None}, "image_url", "change_invalid"),
    ({**PUT, "image_url": 7}, "image_url", "change_invalid"),
    ({**PUT, "image_url": ""}, "image_url", "fetch_refused"),
    ({**PUT, "image_url": "ftp://example.com/1.jpg"}, "image_url", "fetch_refused"),
    ({**PUT, "image_url": "file:///etc/passwd"}, "image_url", "fetch_refused"),
    ({**PUT, "image_url": "https://a:b@example.com/1.jpg"}, "image_url", "fetch_refused"),
    ({**PUT, "image_url": "https://example.com/" + "x" * 3000}, "image_url", "fetch_refused"),
    ({**PUT, "attributes": None}, "attributes", "attributes_invalid"),
    ({**PUT, "attributes": []}, "attributes", "attributes_invalid"),
    ({**PUT, "attributes": {"a": 2**63}}, "attributes", "attributes_invalid"),
    ({**PUT, "attributes": {"a": "x" * 70_000}}, "attributes", "attributes_invalid"),
    ({**PUT, "op": "upsert"}, "op", "change_invalid"),
    ({**PUT, "op": None}, "op", "change_invalid"),
    ({**PUT, "op": ["put"]}, "op", "change_invalid"),
    ({**PUT, "op": "delete"}, "op", "change_invalid"),
    ({"product_id": "a", "op": "patch"}, "attributes", "change_invalid"),
]


def ndjson(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


@pytest.mark.parametrize(("value", "change"), GOOD)
def test_a_change_is_what_it_says(value: dict[str, Any], change: Change) -> None:
    assert parse_change(value) == change


@pytest.mark.parametrize(("value", "field", "code"), BAD)
def test_what_is_no_change_is_named(value: object, field: str | None, code: str) -> None:
    with pytest.raises(WrongChange) as wrong:
        parse_change(value)
    named = wrong.value.field and wrong.value.field.encode(errors="backslashreplace").decode()
    assert (named, wrong.value.error.code) == (field, code)
    assert str(wrong.value)


def test_the_url_of_a_change_is_kept_without_white_space() -> None:
    change = parse_change({**PUT, "image_url": "\t https://images.example.com/a b.jpg\r\n"})
    assert change.image == RemoteImage("https://images.example.com/a%20b.jpg")


@given(st.from_regex(USUAL_URL, fullmatch=True))
def test_what_is_taken_for_a_usual_url_is_a_url(url: str) -> None:
    """The short way lets nothing through that the long way refuses."""
    assert checked_url(url) == url


@given(st.binary(max_size=200) | st.text("\n\r \tab").map(str.encode), st.lists(st.integers(1, 20), max_size=30))
def test_lines_do_not_depend_on_how_the_body_comes_in_pieces(data: bytes, sizes: list[int]) -> None:
    chunks, rest = [], data
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    lines = enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)
    expected = [(number, line.strip()) for number, line in lines if line.strip()]
    assert list(feed.lines([*chunks, rest])) == expected


@pytest.mark.parametrize("size", [1 << 10, 1 << 16, 1 << 20])
def test_a_line_that_is_too_long_is_one_bad_line(size: int) -> None:
    data = b"a\n" + b"x" * (feed.MAX_LINE + 1) + b"\n" + b"y" * feed.MAX_LINE + b"\n" + b"z" * 3_000_000 + b"\nb"
    found = list(feed.lines(data[start : start + size] for start in range(0, len(data), size)))
    assert [number for number, _ in found] == [1, 2, 3, 4, 5]
    assert [min(len(line), feed.MAX_LINE + 1) for _, line in found] == [
        1,
        feed.MAX_LINE + 1,
        feed.MAX_LINE,
        feed.MAX_LINE + 1,
        1,
    ]


def test_a_line_without_an_end_does_not_sit_in_memory() -> None:
    tracemalloc.start()
    found = [(number, len(line)) for number, line in feed.lines(b"x" * CHUNK for _ in range(1000))]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [(1, feed.MAX_LINE + 1)] and peak < 2 << 20


def test_a_feed_is_what_its_lines_say_as_often_as_it_is_read() -> None:
    spooled = feed.Feed(skip=True, missing=lambda hashes: ())
    for number, (value, _) in enumerate(GOOD, 1):
        spooled.take(number, json.dumps(value).encode())
    for number, (value, *_) in enumerate(BAD, 101):
        spooled.take(number, json.dumps(value).encode())
    spooled.check()
    for _ in range(2):
        changes = list(spooled)
        assert changes[: len(GOOD)] == [change for _, change in GOOD]
        refusals = changes[len(GOOD) :]
        assert all(isinstance(each, Refusal) for each in refusals)
        assert [(each.line, each.code) for each in refusals] == [(n, code) for n, (*_, code) in enumerate(BAD, 101)]
    assert spooled.total == len(changes)
    spooled.close()


@pytest.mark.parametrize("type", ["application/x-ndjson", "application/jsonl", "application/json"])
def test_a_feed_is_accepted_in_its_order(service: Any, type: str) -> None:
    service.works = False
    values = [{**PUT, "product_id": f"p{n}", "attributes": {"n": n}} for n in range(100)]
    body = json.dumps(values).encode() if type == "application/json" else ndjson(*values)
    answer = service.client.post(FEED, data=body, content_type=type)
    assert answer.status_code == 202
    told = answer.json
    assert told.pop("waiting_for")["code"] == "no_workers"
    assert told | {"created_at": ""} == {
        "id": "1",
        "catalog": "shoes",
        "state": "enqueued",
        "total": 100,
        "applied": 0,
        "unchanged": 0,
        "superseded": 0,
        "failed": 0,
        "canceled": 0,
        "removed": 0,
        "not_removed": None,
        "task": None,
        "errors": False,
        "created_at": "",
        "started_at": None,
        "finished_at": None,
        "images_per_second": None,
        "eta_seconds": None,
        "columns": None,
        "notes": None,
    }
    assert answer.headers["Location"] == "/v1/jobs/1" and service.woken == [100]
    claimed = [*service.claims.claim("a", 64).claim.changes, *service.claims.claim("b", 64).claim.changes]
    assert claimed == [Change(f"p{n}", ChangeKind.PUT, RemoteImage(URL), {"n": n}, version=n + 1) for n in range(100)]


def test_one_bad_line_and_nothing_is_accepted(service: Any) -> None:
    body = ndjson(PUT, {**PUT, "image_url": "ftp://x"}) + b"\n{\n" + ndjson(PUT)
    answer = service.client.post(FEED, data=body, content_type="application/x-ndjson")
    errors = answer.json["errors"]
    assert answer.json == {
        "type": "/problems/feed_invalid",
        "title": "Feed invalid",
        "status": 422,
        "detail": "2 of the changes are wrong and nothing was accepted: correct them, or send on_error=skip.",
        "code": "feed_invalid",
        "retryable": False,
        "instance": answer.headers["X-Request-Id"],
        "errors": [
            {"detail": errors[0]["detail"], "code": "fetch_refused", "field": "image_url", "line": 2},
            {"detail": errors[1]["detail"], "code": "change_invalid", "line": 4},
        ],
        "error_count": 2,
    }
    assert service.client.get("/v1/jobs").json == {"jobs": [], "next": None}


def test_the_first_hundred_bad_lines_are_named_and_all_counted(service: Any) -> None:
    answer = service.client.post(FEED, data=ndjson(*[[]] * 1000), content_type="application/x-ndjson")
    assert answer.status_code == 422
    assert (len(answer.json["errors"]), answer.json["error_count"]) == (100, 1000)
    assert [error["line"] for error in answer.json["errors"]] == list(range(1, 101))


@pytest.mark.parametrize("array", [False, True])
def test_bad_lines_that_are_skipped_become_failed_items(service: Any, array: bool) -> None:
    service.web[URL] = service.picture()
    values = [PUT, {"product_id": "b"}, {"product_id": "c", "image_url": "ftp://x"}, []]
    answer = service.client.post(
        f"{FEED}?on_error=skip",
        data=json.dumps(values).encode() if array else ndjson(*values),
        content_type="application/json" if array else "application/x-ndjson",
    )
    assert (answer.status_code, answer.json["total"]) == (202, 4)
    job = service.client.get("/v1/jobs/1").json
    assert (job["state"], job["errors"], job["applied"], job["failed"]) == ("succeeded", True, 1, 3)
    items = service.client.get("/v1/jobs/1/items").json["items"]
    assert [(item["product_id"], item["state"], item["code"]) for item in items] == [
        ("b", "failed", "change_invalid"),
        ("c", "failed", "fetch_refused"),
        ("", "failed", "change_invalid"),
    ]


@pytest.mark.parametrize(
    ("body", "type", "status", "code"),
    [
        (b"", "application/x-ndjson", 422, "change_invalid"),
        (b"\n \r\n\n", "application/x-ndjson", 422, "change_invalid"),
        (b"[]", "application/json", 422, "change_invalid"),
        (b"", "application/json", 400, "request_malformed"),
        (b"{}", "application/json", 400, "request_malformed"),
        (b"[1,]", "application/json", 400, "request_malformed"),
        (b"[1] 2", "application/json", 400, "request_malformed"),
        (b'["\xff"]', "application/json", 400, "request_malformed"),
        (b"\xff\xfe", "application/x-ndjson", 422, "feed_invalid"),
    ],
)
def test_a_body_without_changes_is_refused(service: Any, body: bytes, type: str, status: int, code: str) -> None:
    for on_error in ("reject", "skip") if code != "feed_invalid" else ("reject",):
        answer = service.client.post(f"{FEED}?on_error={on_error}", data=body, content_type=type)
        assert (answer.status_code, answer.json["code"]) == (status, code)
    assert service.client.get("/v1/jobs").json == {"jobs": [], "next": None}


def test_a_byte_order_mark_and_windows_line_ends_are_no_harm(service: Any) -> None:
    body = b"\xef\xbb\xbf" + ndjson(PUT).replace(b"\n", b"\r\n")
    assert service.client.post(FEED, data=body, content_type="application/x-ndjson").json["total"] == 1


def test_few_changes_are_done_before_many(service: Any) -> None:
    service.works = False
    for count in (65, 64):
        values = [{**PUT, "product_id": f"{count}-{n}"} for n in range(count)]
        assert service.client.post(FEED, json=values).status_code == 202
    # A few of the many are among them, since nobody waits for ever.
    first = [change.product_id[:2] for change in service.claims.claim("a", 64).claim.changes]
    assert first.count("64") > 2 * first.count("65") > 0


def test_a_feed_for_no_catalog_is_refused(service: Any) -> None:
    answer = service.client.post("/v1/catalogs/boots/products", data=ndjson(PUT), content_type="application/x-ndjson")
    assert (answer.status_code, answer.json["code"]) == (404, "catalog_not_found")


pieces = st.sampled_from(
    [b"{", b"}", b"[", b"]", b'"', b",", b":", b"\n", b"1", b" ", b"\\", b'"product_id"', b'"op":"delete"']
)
bodies = (
    st.binary()
    | st.lists(pieces).map(b"".join)
    | st.lists(st.sampled_from(GOOD + BAD)).map(lambda some: ndjson(*(value for value, *_ in some)))
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies, st.sampled_from(["application/x-ndjson", "application/json"]), st.sampled_from(["reject", "skip"]))
def test_any_body_is_accepted_or_refused(service: Any, body: bytes, type: str, on_error: str) -> None:
    service.works = False
    before = service.client.get("/v1/jobs").json
    answer = service.client.post(f"{FEED}?on_error={on_error}", data=body, content_type=type)
    if answer.status_code == 202:
        assert answer.json["total"] == answer.json["failed"] + len(_waiting(service, answer.json["id"]))
        return
    assert answer.status_code in (400, 422) and answer.content_type == "application/problem+json", answer.text
    assert service.client.get("/v1/jobs").json == before


def _waiting(service: Any, job: str) -> list[Any]:
    items: list[Any] = service.client.get(f"/v1/jobs/{job}/items?state=waiting&limit=1000").json["items"]
    return items
