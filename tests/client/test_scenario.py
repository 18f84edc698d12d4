"""Both clients go through one scenario with a real service."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from beside import Beside, beside
from both_clients import carry_out
from harness import Pictures, answer, picture

import lookalike
from lookalike import (
    AsyncCatalog,
    AsyncClient,
    Catalog,
    ChangeFailed,
    Client,
    Delete,
    Image,
    InvalidRequest,
    NotFound,
    Patch,
    Put,
    ids,
    where,
)
from services.testing import load_stub

BOTH = pytest.mark.parametrize("kind", ["sync", "async"])


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Beside]:
    with beside(tmp_path / "data", load=load_stub, fetch_allow="127.0.0.1") as service:
        yield service


async def listed(items: Any) -> list[Any]:
    return [each async for each in items]


@BOTH
def test_a_shop_is_filled_searched_and_emptied(kind: str, service: Beside, pictures: Pictures, tmp_path: Path) -> None:
    pictures.answers["/5.jpg"] = answer(picture(5))
    (tmp_path / "1.jpg").write_bytes(picture(1))
    (tmp_path / "text.jpg").write_text("this is no picture")
    changes = [
        Put("a/1", tmp_path / "1.jpg", {"color": "red", "price": 10.0}),
        Put("..", picture(2), {"color": "red", "price": 20.0}),
        Put("same", picture(2), {"color": "blue", "price": 30.0, "extra": [1, {"deep": None}]}),
        Put("web", f"{pictures.url}/5.jpg", {"color": "blue", "price": 40.0}),
        Put("gone", f"{pictures.url}/nothing.jpg"),
        Put("text", tmp_path / "text.jpg"),
        Put("nowhere", tmp_path / "nowhere.jpg"),
        Patch("same", {"color": "green", "extra": None}),
        Put("short", picture(7)),
        Delete("short"),
    ]

    async def scenario(client: Any) -> None:
        shop = await client.create_catalog("shop", indexed_attributes={"color": "keyword", "price": "float"})
        assert [each.name for each in await client.catalogs()] == ["shop"]

        seen: list[lookalike.Progress] = []
        sent = await client.wait(await shop.put_many(iter(changes)), on_progress=seen.append)
        assert (sent.not_sent, [(each.product_id, each.code) for each in sent.failures]) == (
            2,
            [("text", "image_unsupported"), ("nowhere", "image_not_readable")],
        )
        [job] = sent.jobs
        assert (job.state, job.total, job.done, job.failed) == ("succeeded", 8, 8, 1)
        done = [each.done for each in seen]
        assert done == sorted(done) and done[-1] == 8 and seen[-1].jobs == []
        [item] = await listed(client.items(job))
        assert (item.product_id, item.state, item.code) == ("gone", "failed", "fetch_not_found")
        assert [each.id for each in await listed(client.jobs(catalog="shop"))] == [job.id]

        pages = [page async for page in shop.products(sort="-price", total=True, facets=["color"], limit=2).pages()]
        assert [[each.product_id for each in page.items] for page in pages] == [["web", "same"], ["..", "a/1"]]
        assert pages[0].total == 4 and {each.value: each.count for each in pages[0].facets[0].values} == {
            "red": 2,
            "green": 1,
            "blue": 1,
        }
        same = await shop.get("same")
        assert (same.attributes, same.image) == (
            {"color": "green", "price": 30.0},
            Image(lookalike.changes.hash_of(picture(2))),
        )
        rows = [row async for row in shop.vectors(limit=3)]
        assert [len(names) for names, _ in rows] == [3, 1]
        vectors = {name: vector for names, matrix in rows for name, vector in zip(names, matrix, strict=True)}
        dim = (await shop.describe()).dim
        assert {(each.shape, each.dtype.name) for each in vectors.values()} == {((dim,), "float32")}
        assert np.allclose([np.linalg.norm(each) for each in vectors.values()], 1)
        assert next(iter(await shop.search(vector=vectors["web"], limit=1))).product_id == "web"
        [with_vector] = [each async for each in shop.products(filter=ids("web"), with_vector=True)]
        assert (with_vector.to_numpy() == vectors["web"]).all()
        assert await shop.image("same") == picture(2) and (await shop.thumbnail(".."))[8:12] == b"WEBP"

        cheap = (where("color") != "blue") & (where("price") <= 20) | ids("nobody")
        assert {each.product_id async for each in shop.products(filter=cheap)} == {"..", "a/1"}
        assert (await shop.count(cheap), await shop.count(), await shop.count(~cheap)) == (2, 4, 2)
        nearest = await shop.neighbors("same", limit=1, filter=where("color") == "red")
        assert [(each.product_id, round(each.score, 5)) for each in nearest] == [("..", 1.0)]
        assert nearest.next is not None and len(nearest) == 1
        second = await shop.neighbors("same", limit=1, filter=where("color") == "red", cursor=nearest.next)
        assert [each.product_id for each in second] == ["a/1"]
        for image in (tmp_path / "1.jpg", picture(1)):
            assert next(iter(await shop.search(image=image, limit=1))).product_id == "a/1"
        assert next(iter(await shop.search(image=f"{pictures.url}/5.jpg"))).product_id == "web"
        found = await shop.query(
            [lookalike.product("a/1"), lookalike.picture(picture(2), weight=0.5)],
            unlike=["web"],
            filter=cheap,
            explain=True,
            exclude=["same"],
        )
        assert [each.product_id for each in found] == [".."]
        assert [each.role for each in found.neighbors[0].explanation.terms] == ["near", "near", "unlike"]
        [colors] = await shop.facets(["color"], filter=where("price").between(20, 30))
        assert {each.value: each.count for each in colors.values} == {"red": 1, "green": 1}
        missed = await shop.search(product_id="same", filter=where("colour") == "red")
        assert [(each.key, each.suggestion) for each in missed.warnings] == [("colour", "color")]

        with pytest.raises(ChangeFailed) as failed:
            await shop.put("gone", f"{pictures.url}/nothing.jpg", wait=30)
        assert (failed.value.code, failed.value.problem["job"]["failed"]) == ("fetch_not_found", 1)
        with pytest.raises(InvalidRequest) as refused:
            await shop.put("text", b"this is no picture", wait=30)
        assert (refused.value.code, refused.value.status, refused.value.retryable) == ("image_unsupported", 422, False)
        assert refused.value.instance and refused.value.detail == str(refused.value)
        with pytest.raises(NotFound) as missing:
            await shop.get("nobody")
        assert missing.value.code == "product_not_found"

        copied = await shop.put("copy", same.image, {"color": "blue"}, wait=30)
        assert (copied.state, copied.total) == ("succeeded", 1)
        assert (await shop.patch("copy", {"color": "red"}, wait=30)).applied == 1
        assert (await shop.delete("nobody", wait=30)).unchanged == 1
        removed = await client.wait(await shop.delete_matching(where("color").is_in(["red", "green"])))
        assert (removed.removed, {each.product_id async for each in shop.products()}) == (4, {"web"})
        assert (await client.request("GET", "/v1/jobs", params={"limit": 1}))["jobs"][0]["id"] == removed.id
        assert (await client.cancel(removed)).state == "succeeded"
        await client.remove_catalog("shop")
        with pytest.raises(NotFound, match="shop"):
            await shop.describe()

    carry_out(kind, service.url, scenario)


@pytest.mark.parametrize(("one", "other"), [(Client, AsyncClient), (Catalog, AsyncCatalog)])
def test_both_clients_have_the_same_methods_with_the_same_parameters(one: type, other: type) -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: [*inspect.signature(each).parameters] for name, each in found if not name.startswith("_")}

    renamed = {"aclose": "close"}
    assert {renamed.get(name, name): each for name, each in methods(other).items()} == methods(one)
