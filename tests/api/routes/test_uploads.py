"""Images that are uploaded first and named by changes then."""

import hashlib
import json
import os
from typing import Any

import pytest

from services.records import Change, ChangeKind, StoredImage

IMAGES = "/v1/catalogs/shoes/images"
FEED = "/v1/catalogs/shoes/products"
ABSENT = "0" * 64
DAYS_AGO = 3 * 86_400


def uploaded(service: Any, paint: str = "red") -> str:
    answer = service.client.post(IMAGES, data=service.picture(paint), content_type="image/png")
    assert answer.status_code == 200, answer.text
    hash: str = answer.json["image"]
    return hash


def feed(service: Any, *changes: dict[str, Any], query: str = "") -> Any:
    body = "\n".join(map(json.dumps, changes))
    return service.client.post(FEED + query, data=body, content_type="application/x-ndjson")


def original(service: Any, hash: str) -> Any:
    return next(service.catalogs.registry.media.rglob(hash))


def aged(service: Any, hash: str) -> float:
    """Makes an original one that upkeep removes soon; when it was last put now."""
    path = original(service, hash)
    os.utime(path, (path.stat().st_atime - DAYS_AGO, path.stat().st_mtime - DAYS_AGO))
    put: float = path.stat().st_mtime
    return put


def test_an_uploaded_image_has_the_hash_of_its_bytes(service: Any) -> None:
    data = service.picture("red")
    for _ in range(2):
        assert uploaded(service) == hashlib.sha256(data).hexdigest()
    assert service.media.get(hashlib.sha256(data).hexdigest()) == data
    assert service.ledger.jobs() == ([], None), "nothing was accepted"


@pytest.mark.parametrize("type", ["application/x-ndjson", "application/json"])
def test_a_feed_names_images_by_their_hashes(service: Any, type: str) -> None:
    red, blue = uploaded(service), uploaded(service, "blue")
    changes = [
        {"product_id": "a", "image": red, "attributes": {"n": 1}},
        {"product_id": "b", "image": blue},
        {"product_id": "a", "op": "patch", "image": blue},
    ]
    body = json.dumps(changes) if type == "application/json" else "\n".join(map(json.dumps, changes))
    assert service.client.post(FEED, data=body, content_type=type).status_code == 202
    found = {each: service.client.get(f"{FEED}/{each}").json for each in "ab"}
    assert {each: (found[each]["image"], found[each]["attributes"]) for each in "ab"} == {
        "a": (blue, {"n": 1}),
        "b": (blue, {}),
    }


def test_a_product_can_be_written_back_as_it_was_read(service: Any) -> None:
    service.put("a", "red", color="red")
    read = service.client.get(f"{FEED}/a").json
    written = {name: read[name] for name in ("image", "attributes")}
    answer = service.client.put(f"{FEED}/a?wait=30", json=written)
    assert (answer.status_code, answer.json["unchanged"]) == (200, 1)
    answer = service.client.patch(f"{FEED}/a?wait=30", json={"image": uploaded(service, "blue")})
    assert (answer.status_code, answer.json["applied"]) == (200, 1)
    assert service.client.get(f"{FEED}/a").json["attributes"] == {"color": "red"}


def test_an_image_that_is_not_there_refuses_the_feed_by_line(service: Any) -> None:
    red = uploaded(service)
    changes = [{"product_id": "a", "image": red}, {"product_id": "b", "image": ABSENT}, {"product_id": "c"}]
    answer = feed(service, *changes)
    assert (answer.status_code, answer.json["code"], answer.json["error_count"]) == (422, "feed_invalid", 2)
    assert [(each["line"], each["code"], each["field"]) for each in answer.json["errors"]] == [
        (2, "media_not_found", "image"),
        (3, "change_invalid", "image_url"),
    ]
    assert "upload it first" in answer.json["errors"][0]["detail"]
    assert service.ledger.jobs() == ([], None)


def test_an_image_that_is_not_there_is_a_failed_item_where_lines_may_be_skipped(service: Any) -> None:
    absent = [{"product_id": f"p{n}", "image": f"{n:064x}"} for n in range(1500)]
    here = {"product_id": "a", "image": uploaded(service)}
    answer = feed(service, *absent[:1200], here, *absent[1200:], query="?on_error=skip")
    assert (answer.status_code, answer.json["total"]) == (202, 1501)
    job = service.client.get(answer.headers["Location"]).json
    assert (job["applied"], job["failed"]) == (1, 1500)
    items = service.client.get(f"{answer.headers['Location']}/items?limit=1000").json["items"]
    assert [(each["product_id"], each["line"], each["code"]) for each in items[:2]] == [
        ("p0", 1, "media_not_found"),
        ("p1", 2, "media_not_found"),
    ]


def test_an_image_that_is_not_there_refuses_a_single_change(service: Any) -> None:
    for method, path in (("PUT", f"{FEED}/a"), ("PATCH", f"{FEED}/a")):
        answer = service.client.open(path, method=method, json={"image": ABSENT})
        assert (answer.status_code, answer.json["code"]) == (404, "media_not_found")
        assert answer.json["errors"][0]["field"] == "image"
    assert service.ledger.jobs() == ([], None)


@pytest.mark.parametrize(
    "value",
    [
        {"image": "x"},
        {"image": None},
        {"image": ABSENT[:-1]},
        {"image": ABSENT + "\n"},
        {"image": "../" * 21 + "a"},
        {"image": "ABCDEF" + ABSENT[6:]},
        {"image": ABSENT, "image_url": "https://images.example.com/1.png"},
        {"image": ABSENT, "op": "delete"},
    ],
)
def test_what_is_no_hash_is_refused(service: Any, value: dict[str, Any]) -> None:
    answer = feed(service, {"product_id": "a", **value})
    assert [each["code"] for each in answer.json["errors"]] == ["change_invalid"]


def test_which_images_are_missing_is_one_question(service: Any) -> None:
    here = uploaded(service)
    asked = [*(f"{n:064x}" for n in range(998)), here, here]
    answer = service.client.post(f"{IMAGES}/missing", json={"images": asked})
    assert answer.json == {"missing": asked[:998]}
    original(service, here).write_bytes(b"")
    answer = service.client.post(f"{IMAGES}/missing", json={"images": [here]})
    assert answer.json == {"missing": [here]}, "a power failure can leave a file without its bytes"


@pytest.mark.parametrize("images", [[], ["x"], [ABSENT] * 1001, [ABSENT.upper().replace("0", "A")], "x", None])
def test_what_is_no_list_of_hashes_is_refused(service: Any, images: object) -> None:
    answer = service.client.post(f"{IMAGES}/missing", json={"images": images})
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")


def test_what_is_asked_for_and_what_is_named_counts_as_put_now(service: Any) -> None:
    """Or upkeep could remove it between the upload and the acceptance."""
    service.works = False
    hash = uploaded(service)
    for use in (
        lambda: service.client.post(f"{IMAGES}/missing", json={"images": [hash]}),
        lambda: feed(service, {"product_id": "a", "image": hash}),
        lambda: service.client.put(f"{FEED}/a", json={"image": hash}),
        lambda: uploaded(service),
    ):
        before = aged(service, hash)
        assert use() is not None
        assert original(service, hash).stat().st_mtime > before + DAYS_AGO / 2
    [*changes] = (change for _, _, change in service.ledger.unfinished(service.catalogs.get("shoes").spec.id))
    assert [(each.kind, each.image) for each in changes] == [(ChangeKind.PUT, StoredImage(hash))] * 2
    assert all(isinstance(each, Change) for each in changes)


def test_a_repeated_feed_is_the_same_job(service: Any) -> None:
    change = {"product_id": "a", "image": uploaded(service)}
    headers = {"Idempotency-Key": "k", "Content-Type": "application/x-ndjson"}
    first, second = (service.client.post(FEED, data=json.dumps(change), headers=headers) for _ in range(2))
    assert (first.json["id"], second.headers["Idempotent-Replayed"]) == (second.json["id"], "true")


@pytest.mark.parametrize(
    ("data", "type", "status", "code"),
    [
        (b"no picture", "image/png", 422, "image_unsupported"),
        (b"", "image/png", 422, "image_unsupported"),
        (b"x" * 2000, "image/png", 413, "image_too_large"),
        (b"{}", "application/json", 415, "media_type_unsupported"),
    ],
)
def test_what_is_no_image_is_not_stored(make_service: Any, data: bytes, type: str, status: int, code: str) -> None:
    service = make_service(max_image_bytes=1000)
    service.catalog()
    answer = service.client.post(IMAGES, data=data, content_type=type)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert not any(path.is_file() for path in service.catalogs.registry.media.rglob("originals/*"))


def test_an_image_is_uploaded_into_a_catalog_that_is_there(service: Any) -> None:
    for path in ("", "/missing"):
        answer = service.client.post(f"/v1/catalogs/bags/images{path}", json={"images": [ABSENT]})
        assert (answer.status_code, answer.json["code"]) == (404, "catalog_not_found")


def test_a_service_that_keeps_no_originals_says_so(make_service: Any) -> None:
    service = make_service(media_keep="none")
    service.catalog()
    uploading = service.client.post(IMAGES, data=service.picture(), content_type="image/png")
    asking = service.client.post(f"{IMAGES}/missing", json={"images": [ABSENT]})
    for answer in (uploading, asking):
        assert (answer.status_code, answer.json["code"]) == (422, "change_invalid")
        assert "LOOKALIKE_MEDIA_KEEP=none" in answer.json["detail"]


def test_a_full_disk_takes_no_image(make_service: Any) -> None:
    service = make_service()
    service.catalog()
    service.catalogs.close()
    full = make_service(data=service.catalogs.registry.path, min_free_bytes=1 << 60)
    answer = full.client.post(IMAGES, data=full.picture(), content_type="image/png")
    assert (answer.status_code, answer.json["code"], answer.json["retryable"]) == (503, "data_full", True)
