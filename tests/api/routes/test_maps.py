"""The map over HTTP: made by a task, read as bytes that typed arrays take, unchanged where the caller has it."""

from typing import Any

import numpy as np
import pytest

from services.records import Embedding
from workers.worker import Worker

MAP = "/v1/catalogs/shoes/map"
COUNT = 24


def embedding(number: int) -> Embedding:
    random = np.random.default_rng(number)
    features = np.zeros(2048, np.float32)
    features[number % 2 * 40 : number % 2 * 40 + 40] = 1 + random.random(40, np.float32)
    return Embedding(f"p/{number}", features, {"color": ("red", "blüe")[number % 2], "price": number / 4})


@pytest.fixture
def filled(service: Any) -> Any:
    service.client.put("/v1/catalogs/shoes", json={"indexed_attributes": {"color": "keyword", "price": "float"}})
    for _ in service.catalogs.get("shoes").put_embeddings(map(embedding, range(COUNT))):
        pass
    return service


def made(service: Any, query: str = "") -> dict[str, Any]:
    answer = service.client.put(MAP + query)
    assert answer.status_code == 202, answer.text
    worker = Worker(service.claims, service.catalogs, batch_size=64, slots=1, give_up=0)
    worker.drain()
    worker.finish_task(120)
    job: dict[str, Any] = service.client.get(answer.headers["Location"]).json
    assert job["state"] == "succeeded", job
    return job


def test_a_map_is_made_by_a_task_and_read_as_arrays(filled: Any) -> None:
    missing = filled.client.get(MAP)
    assert (missing.status_code, missing.json["code"]) == (404, "finding_not_found")
    job = made(filled)
    task = job["task"]
    assert (task["kind"], task["parameters"], task["done"]) == ("map", {"anew": False}, task["total"])
    told = filled.client.get(MAP).json
    assert task["result"] == {name: told[name] for name in task["result"]}
    assert (told["version"], told["products"], told["stale"]) == (1, COUNT, False)
    assert {each["name"]: each["products"] for each in told["clusters"]} == {"red": COUNT // 2, "blüe": COUNT // 2}
    assert (told["attributes"], told["points_url"]) == (["color", "price"], f"{MAP}/points")

    points, ids = filled.client.get(told["points_url"]), filled.client.get(told["ids_url"])
    assert {points.headers["ETag"], ids.headers["ETag"]} == {f'"{told["hash"]}"'}
    header = np.frombuffer(points.data, "<u4", 4)
    assert points.data[:4] == b"LKMP" and header[2:].tolist() == [COUNT, told["version"]]
    assert np.frombuffer(points.data, "<u2", 2, 4).tolist() == [1, 0]
    places = np.frombuffer(points.data, "<u2", 2 * COUNT, 16).reshape(COUNT, 2).astype(int)
    clusters = np.frombuffer(points.data, "<u2", COUNT, 16 + 4 * COUNT)
    assert len(points.data) == 16 + 6 * COUNT and sorted(ids.json["product_ids"]) == sorted(
        f"p/{number}" for number in range(COUNT)
    )
    names = [told["clusters"][number]["name"] for number in clusters]
    number_of = [int(id.removeprefix("p/")) for id in ids.json["product_ids"]]
    assert names == [("red", "blüe")[number % 2] for number in number_of]
    assert np.ptp(places, axis=0).max() > 50_000


def test_columns_are_of_the_products_as_they_are_now(filled: Any) -> None:
    made(filled)
    catalog = filled.catalogs.get("shoes")
    order = [int(id.removeprefix("p/")) for id in filled.client.get(f"{MAP}/ids").json["product_ids"]]
    prices = filled.client.get(f"{MAP}/attributes/price")
    assert prices.data[:4] == b"LKMC" and np.frombuffer(prices.data, "<u2", 2, 4).tolist() == [1, 1]
    assert np.frombuffer(prices.data, "<f4", COUNT, 16).tolist() == [number / 4 for number in order]
    before = filled.client.get(f"{MAP}/attributes/color")
    catalog.patch("p/0", {"color": "gold"})
    catalog.remove(["p/1"])
    after = filled.client.get(f"{MAP}/attributes/color", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200 and after.headers["ETag"] != before.headers["ETag"]
    assert np.frombuffer(after.data, "<u2", 2, 4).tolist() == [1, 0]
    codes = np.frombuffer(after.data, "<u2", COUNT, 16).tolist()
    length = int(np.frombuffer(after.data, "<u4", 1, 12)[0])
    assert (
        after.data[16 + 2 * COUNT :].decode() == '["blüe", "red", "gold"]'
        and length == len('["blüe", "red", "gold"]') + 1
    )
    assert codes == [{0: 2, 1: 65535}.get(number, 1 - number % 2) for number in order]
    assert filled.client.get(f"{MAP}/attributes/a..b").status_code == 422


def test_who_has_it_already_is_told_so(filled: Any) -> None:
    made(filled)
    paths = [f"{MAP}/points", f"{MAP}/ids", f"{MAP}/attributes/color"]
    tags = {path: filled.client.get(path).headers["ETag"] for path in paths}
    assert tags[paths[2]].startswith(tags[paths[0]][:-1])
    for path, tag in tags.items():
        answer = filled.client.get(path, headers={"If-None-Match": tag})
        assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", tag)
    filled.catalogs.get("shoes").remove(["p/3"])
    assert filled.client.get(MAP).json["stale"]
    made(filled)
    for path, tag in tags.items():
        assert filled.client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_what_is_known_is_told_without_the_map(filled: Any) -> None:
    """Given a map whose file is gone, I expect what it is, who has it already, and a column that was read, to need
    none; it would be the file of 1,000,000 products."""
    made(filled)
    paths = [f"{MAP}/points", f"{MAP}/ids", f"{MAP}/attributes/color"]
    told, before = filled.client.get(MAP).json, [filled.client.get(path) for path in paths]
    hash = told["hash"]
    (filled.catalogs.registry.media / "objects" / hash[:2] / hash[2:4] / hash).unlink()
    assert filled.client.get(MAP).json == told
    for path, answer in zip(paths, before, strict=True):
        seen = filled.client.get(path, headers={"If-None-Match": answer.headers["ETag"]})
        assert (seen.status_code, seen.headers["ETag"]) == (304, answer.headers["ETag"])
    assert filled.client.get(paths[2]).data == before[2].data
    others = [filled.client.get(path) for path in (*paths[:2], f"{MAP}/attributes/price")]
    assert [(each.status_code, each.json["code"]) for each in others] == [(404, "finding_not_found")] * 3


def test_the_etag_of_a_column_is_that_of_what_is_in_it(filled: Any) -> None:
    made(filled)
    path, catalog = f"{MAP}/attributes/color", filled.catalogs.get("shoes")
    tag = filled.client.get(path).headers["ETag"]
    catalog.patch("p/0", {"price": 7})
    assert filled.client.get(path, headers={"If-None-Match": tag}).status_code == 304
    catalog.patch("p/0", {"color": "gold"})
    assert filled.client.get(path, headers={"If-None-Match": tag}).status_code == 200
    catalog.patch("p/0", {"color": "red"})
    assert filled.client.get(path, headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(("part", "number"), [("points", 16 + 6 * COUNT), ("ids", None), ("attributes/price", None)])
def test_what_is_read_while_the_map_is_made_anew_has_the_etag_of_what_it_is(
    filled: Any, monkeypatch: pytest.MonkeyPatch, part: str, number: int | None
) -> None:
    """Given a map that another thread makes between two looks at it, I expect one map, and its own ETag: who joins
    columns by their ETags would else take the places of one map for the products of another."""
    made(filled)
    kept, path = filled.catalogs.get("shoes").map, f"{MAP}/{part}"
    before, found = filled.client.get(path), kept.found

    def found_before_the_next() -> Any:
        finding = found()
        monkeypatch.undo()
        assert all(filled.catalogs.get("shoes").put_embeddings([embedding(COUNT)]))
        kept.make()
        return finding

    monkeypatch.setattr(kept, "found", found_before_the_next)
    during = filled.client.get(path)
    # A column has the version of the catalog in its ETag, too.
    assert during.headers["ETag"][:65] == before.headers["ETag"][:65] and during.data == before.data
    assert number is None or len(during.data) == number
    after = filled.client.get(path)
    assert after.headers["ETag"][:65] != before.headers["ETag"][:65] and len(after.data) > len(before.data)


def test_a_map_is_laid_out_anew_only_where_that_is_asked_for(filled: Any) -> None:
    versions = [made(filled, query)["task"]["result"]["version"] for query in ("", "", "?anew=true")]
    assert versions == [1, 1, 2]
    wrong = filled.client.put(f"{MAP}?anwe=true")
    assert wrong.status_code == 422 and "anwe" in wrong.json["detail"]
