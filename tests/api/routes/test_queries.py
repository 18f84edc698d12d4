"""Queries, directions, axes and paths over HTTP: what is near several things, and what is wrong by its name."""

import io
import json
from typing import Any

import numpy as np
import pytest

from services.query.filters import parse
from services.query.query import Query
from services.query.terms import DirectionTerm, ImageTerm, ProductTerm, Term
from services.records import Embedding
from workers.worker import Worker

SHOES = "/v1/catalogs/shoes"
QUERY = f"{SHOES}/query"
COUNT = 60
RED = {"must": [{"key": "color", "match": {"value": "red"}}]}


def embedding(number: int) -> Embedding:
    """Products of the stub's features: red ones and blue ones, dark and bright, of two sizes."""
    color, kind = ("red", "blue")[number % 2], ("mug", "sofa")[number // 2 % 2]
    cells = np.zeros((16, 3), np.float32)
    cells[:, 0 if color == "red" else 2] = 0.5 + number / 200
    cells[: 8 if kind == "mug" else 4, 1] = 0.6
    features = np.zeros(2048, np.float32)
    features[:48] = cells.ravel()
    return Embedding(f"p{number}", features, {"color": color, "kind": kind, "n": number})


@pytest.fixture
def filled(service: Any) -> Any:
    catalog = service.catalogs.get("shoes")
    for _ in catalog.put_embeddings(embedding(number) for number in range(COUNT)):
        pass
    return service


def work(service: Any) -> None:
    worker = Worker(service.claims, service.catalogs, batch_size=64, slots=1, give_up=0)
    worker.drain()
    worker.finish_task(60)


def learned(service: Any, name: str, **body: Any) -> dict[str, Any]:
    """The job of a direction, at its end."""
    answer = service.client.put(f"{SHOES}/directions/{name}", json=body)
    assert answer.status_code == 202, answer.text
    work(service)
    found: dict[str, Any] = service.client.get(answer.headers["Location"]).json
    assert found["finished_at"], found
    return found


def asked(service: Any, **body: Any) -> Any:
    return service.client.post(QUERY, json=body)


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["product_id"] for each in answer.json["neighbors"]]


def test_a_query_over_http_is_the_query_of_the_library(filled: Any) -> None:
    learned(filled, "red", toward={"filter": RED}, within="kind")
    catalog = filled.catalogs.get("shoes")
    picture = filled.picture("red")
    filled.web["https://images.example.com/1.jpg"] = picture
    body = {
        "near": [
            {"product_id": "p1"},
            {"direction": "red", "weight": 0.5},
            {"image_url": "https://images.example.com/1.jpg", "weight": -0.5},
        ],
        "like": [{"product_id": "p3"}],
        "unlike": [{"product_id": "p4"}],
        "filter": {"must_not": [{"key": "n", "match": {"value": 7}}]},
        "exclude": ["p9"],
        "explain": True,
        "limit": 8,
    }
    found = asked(filled, **body)
    expected = catalog.query(
        Query(
            near=(
                Term(ProductTerm("p1")),
                Term(DirectionTerm("red"), 0.5),
                Term(ImageTerm(picture, "https://images.example.com/1.jpg"), -0.5),
            ),
            like=(ProductTerm("p3"),),
            unlike=(ProductTerm("p4"),),
            filter=parse(body["filter"]),
            exclude=("p9",),
            explain=True,
            limit=8,
        )
    )
    assert ids(found) == [each.product_id for each in expected.neighbors]
    for told, each in zip(found.json["neighbors"], expected.neighbors, strict=True):
        assert told["score"] == pytest.approx(each.score, abs=1e-6)
        assert (told["percentile"], told["likeness"]) == (each.percentile, each.likeness)
        assert told["attributes"] == each.attributes and told["explanation"]["in_common"] == each.explanation.in_common  # type: ignore[union-attr]
        assert [share["term"] for share in told["explanation"]["terms"]] == [
            *("p1", "https://images.example.com/1.jpg", "p3", "p4", "direction:red")
        ]
    assert (found.json["good"], found.json["color_weight"]) == (expected.good, 1.0)
    assert found.json.keys() == {"neighbors", "good", "color_weight", "next"} and expected.notes == ()
    ahead = asked(filled, near=[{"product_id": "p1"}, {"direction": "red"}]).json
    assert [note["code"] for note in ahead["notes"]] == ["filter_would_do"]


def test_pictures_are_parts_of_a_form(filled: Any) -> None:
    def form(query: dict[str, Any], **pictures: bytes) -> Any:
        parts = {name: (io.BytesIO(data), "x.png") for name, data in pictures.items()}
        return filled.client.post(QUERY, data={"query": json.dumps(query), **parts})

    red, blue = filled.picture("red"), filled.picture("blue")
    both = {"near": [{"image": "image_1"}, {"image": "image_2", "weight": -1}], "limit": 5}
    found = form(both, image_1=red, image_2=blue)
    assert {each["attributes"]["color"] for each in found.json["neighbors"]} == {"red"}
    turned = form(both, image_1=blue, image_2=red)
    assert {each["attributes"]["color"] for each in turned.json["neighbors"]} == {"blue"}
    for answer, status, said in (
        (form(both, image_1=red), 422, "near[1].image: the form has no part image_2"),
        (form({"near": [{"image": "image_1"}]}, image_1=red, image_2=blue), 422, "image_2: no term"),
        (form(both, image_1=red, image_2=b"no picture"), 422, "image"),
        (form({"near": [{"image": "image_9"}]}, image_1=red), 422, "near.0.image"),
        (
            filled.client.post(QUERY, data={"image_1": (io.BytesIO(red), "x.png")}, content_type="multipart/form-data"),
            *(422, "query: the form needs"),
        ),
        (asked(filled, near=[{"image": "image_1"}]), 422, "near[0].image"),
        (filled.client.post(QUERY, data=red, content_type="image/png"), 415, "application/json"),
    ):
        assert answer.status_code == status and said in answer.json["detail"], answer.text


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ({}, 422, "query_invalid", "no terms"),
        ({"near": [{}]}, 422, "invalid_input", "near.0: give exactly one of product_id"),
        ({"near": [{"product_id": "p1", "direction": "x"}]}, 422, "invalid_input", "exactly one"),
        ({"near": [{"product_id": "p1", "weight": 0}]}, 422, "query_invalid", "product 'p1'"),
        ({"near": [{"product_id": "p1", "weight": 101}]}, 422, "invalid_input", "near.0.weight"),
        ({"near": [{"product_id": "p1", "wait": 1}]}, 422, "invalid_input", "near.0.wait"),
        ({"near": [{"product_id": "nobody"}]}, 404, "product_not_found", "'nobody'"),
        ({"near": [{"direction": "nowhere"}]}, 404, "direction_not_found", "'nowhere'"),
        ({"near": [{"product_id": "p1"}, {"product_id": "p1", "weight": -1}]}, 422, "query_invalid", "points nowhere"),
        ({"near": [{"vector": [1.0, 2.0]}]}, 422, "vector_invalid", "has 2 numbers"),
        ({"like": [{"direction": "x"}]}, 422, "invalid_input", "like.0.direction"),
        ({"near": [{"product_id": "p1"}], "diversity": 2}, 422, "invalid_input", "diversity"),
        ({"near": [{"product_id": "p1"}], "group_by": "a b"}, 422, "invalid_input", "'a b' is no attribute"),
        ({"near": [{"product_id": "p1"}], "group_size": 2}, 422, "invalid_input", "group_by"),
        ({"near": [{"product_id": "p1"}], "min_percentile": 101}, 422, "invalid_input", "min_percentile"),
        ({"near": [{"product_id": "p1"}], "color_weight": 2}, 422, "invalid_input", "head features"),
        ({"near": [{"product_id": "p1"}], "cursor": "x"}, 422, "invalid_input", "cursor"),
        ({"near": [{"product_id": "p1"}], "filter": {"must": 1}}, 422, "filter_invalid", "filter"),
        ({"near": "p1"}, 422, "invalid_input", "near"),
        (
            {"like": [{"image_url": f"https://images.example.com/{number}"} for number in range(9)]},
            *(422, "query_invalid", "has 9 pictures; it may have 8"),
        ),
        ({"far": []}, 422, "invalid_input", "far: unknown field"),
    ],
)
def test_every_bad_query_names_what_is_wrong(filled: Any, body: Any, status: int, code: str, said: str) -> None:
    answer = asked(filled, **body)
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    assert said in answer.json["detail"]


def test_pages_go_on_and_a_cursor_is_of_its_query(filled: Any) -> None:
    body = {"near": [{"product_id": "p1"}, {"product_id": "p2"}]}
    whole = ids(asked(filled, **body, limit=58))
    assert len({*whole}) == 58 and not {"p1", "p2"} & {*whole}
    seen, cursor = [], {}
    while True:
        page = asked(filled, **body, limit=20, **cursor)
        seen += ids(page)
        if page.json["next"] is None:
            break
        cursor = {"cursor": page.json["next"]}
    assert seen == whole
    other = asked(filled, near=[{"product_id": "p1"}], **cursor)
    assert other.status_code == 422 and "belongs to another query" in other.json["detail"]
    search = filled.client.post(f"{SHOES}/search", json={"product_id": "p1", **cursor})
    assert search.status_code == 422 and "belongs to another query" in search.json["detail"]
    for more in ({"group_by": "color"}, {"diversity": 0.5}):
        first = asked(filled, **body, **more, limit=2)
        assert first.json["next"] is None
        [name] = more
        refused = asked(filled, **body, **more, cursor=asked(filled, **body, limit=5).json["next"])
        assert refused.status_code == 422 and f"goes with no {name}" in refused.json["detail"]


def test_a_cursor_ends_with_the_direction_that_it_goes_along(filled: Any) -> None:
    learned(filled, "red", toward={"filter": RED})
    body = {"near": [{"product_id": "p1"}, {"direction": "red"}], "limit": 5}
    axis = f"{SHOES}/directions/red/axis?limit=5"
    first, along = asked(filled, **body).json["next"], filled.client.get(axis).json["next"]
    assert asked(filled, **body, cursor=first).status_code == 200
    learned(filled, "red", toward={"filter": {"must": [{"key": "kind", "match": {"value": "mug"}}]}})
    for answer in (asked(filled, **body, cursor=first), filled.client.get(f"{axis}&cursor={along}")):
        assert (answer.status_code, answer.json["code"]) == (409, "generation_changed")
        assert "space or direction" in answer.json["detail"]


def test_nothing_is_fetched_for_a_query_that_is_wrong(filled: Any) -> None:
    filled.web = Fetched()
    bad = {"like": [{"image_url": "https://images.example.com/1.jpg"}], "rerank": True, "diversity": 0.5}
    assert asked(filled, **bad).status_code == 422 and filled.web.fetched == []
    assert asked(filled, like=bad["like"]).json["code"] == "fetch_not_found" and len(filled.web.fetched) == 1


class Fetched(dict[str, bytes]):
    """An empty web that keeps what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[object] = []

    def __contains__(self, url: object) -> bool:
        self.fetched.append(url)
        return super().__contains__(url)


def test_pictures_at_urls_have_the_bytes_of_one_image_together(filled: Any) -> None:
    urls = [f"https://images.example.com/{number}.jpg" for number in range(8)]
    large = filled.picture("red") + bytes(4_000_000)
    filled.web.update(dict.fromkeys(urls, large))
    answer = asked(filled, like=[{"image_url": url} for url in urls])
    assert (answer.status_code, answer.json["code"]) == (413, "image_too_large")
    assert "together" in answer.json["detail"]


def test_groups_and_what_is_good(filled: Any) -> None:
    found = asked(filled, near=[{"product_id": "p1"}], group_by="color", group_size=2, limit=5)
    assert [each["group"] for each in found.json["neighbors"]] in (["blue"] * 2 + ["red"] * 2,)
    nothing = asked(
        filled, near=[{"product_id": "p1"}], min_percentile=100, filter={"must": [{"key": "n", "match": {"value": 0}}]}
    )
    assert nothing.json["neighbors"] == [] and nothing.json["good"] == 0


def test_a_direction_is_learned_listed_read_and_forgotten(filled: Any) -> None:
    job = learned(filled, "red", toward={"filter": RED}, within="kind")
    assert (job["state"], job["task"]["kind"]) == ("succeeded", "direction:red")
    [listed] = filled.client.get(f"{SHOES}/directions").json["directions"]
    assert (listed["name"], listed["weak"], listed["positives"], listed["products"]) == ("red", False, 30, COUNT)
    assert job["task"]["result"] == listed
    read = filled.client.get(f"{SHOES}/directions/red").json
    assert read == listed | {"toward": {"filter": RED}, "away_from": None, "within": "kind"}
    by_ids = {"product_ids": [f"p{number}" for number in range(0, 40, 2)]}
    learned(
        filled,
        "first",
        toward=by_ids,
        away_from={"filter": {"must_not": [{"has_id": by_ids["product_ids"]}]}},
        force=True,
    )
    assert filled.client.get(f"{SHOES}/directions/first").json["toward"] == by_ids
    assert filled.client.delete(f"{SHOES}/directions/first").status_code == 204
    for answer in (filled.client.delete(f"{SHOES}/directions/first"), filled.client.get(f"{SHOES}/directions/first")):
        assert (answer.status_code, answer.json["code"]) == (404, "direction_not_found")


def test_several_directions_may_wait_to_be_learned(filled: Any) -> None:
    for name in ("red", "blue", "red"):
        assert filled.client.put(f"{SHOES}/directions/{name}", json={"toward": {"filter": RED}}).status_code == 202
    for _ in range(2):
        work(filled)
    assert [each["name"] for each in filled.client.get(f"{SHOES}/directions").json["directions"]] == ["blue", "red"]


@pytest.mark.parametrize(
    ("name", "body", "code", "said"),
    [
        ("x", {}, "invalid_input", "toward"),
        ("x", {"toward": {}}, "invalid_input", "exactly one of filter, product_ids"),
        ("x", {"toward": {"filter": RED, "product_ids": ["a"]}}, "invalid_input", "exactly one"),
        ("x", {"toward": {"filter": RED}, "within": "a b"}, "invalid_input", "'a b' is no attribute"),
        ("x", {"toward": {"filter": RED}, "color_weight": 5}, "invalid_input", "head features"),
        ("-x", {"toward": {"filter": RED}}, "invalid_input", "no direction's"),
    ],
)
def test_what_no_direction_can_be_is_refused_at_once(filled: Any, name: str, body: Any, code: str, said: str) -> None:
    answer = filled.client.put(f"{SHOES}/directions/{name}", json=body)
    assert (answer.status_code, answer.json["code"]) == (422, code), answer.text
    assert said in answer.json["detail"]


def test_a_direction_that_cannot_be_learned_ends_its_job_with_the_reason(filled: Any) -> None:
    few = learned(filled, "few", toward={"product_ids": ["p1", "p2"]})
    assert (few["state"], few["task"]["code"]) == ("failed", "too_few_examples")
    chance = learned(
        filled,
        "chance",
        toward={
            "filter": {"should": [{"key": "n", "match": {"value": n}} for n in range(COUNT) if n % 7 in (0, 3, 5)]}
        },
    )
    assert (chance["state"], chance["task"]["code"]) == ("failed", "direction_weak")
    assert filled.client.get(f"{SHOES}/directions").json == {"directions": []}


def test_an_axis_orders_the_catalog_and_a_path_leads_through_it(filled: Any) -> None:
    learned(filled, "red", toward={"filter": RED})
    axis = f"{SHOES}/directions/red/axis"
    seen, url = [], f"{axis}?limit=25"
    while True:
        page = filled.client.get(url)
        seen += ids(page)
        if page.json["next"] is None:
            break
        url = f"{axis}?limit=25&cursor={page.json['next']}"
    assert len({*seen}) == COUNT and all(int(each[1:]) % 2 == 0 for each in seen[:30])
    least = filled.client.get(f"{axis}?limit=5&reverse=true")
    whole = filled.client.get(f"{axis}?limit=100").json
    assert whole["good"] is None and {each["percentile"] for each in whole["neighbors"]} == {None}
    scores = [each["score"] for each in whole["neighbors"]]
    assert scores == sorted(scores, reverse=True) and least.json["neighbors"][0]["score"] == pytest.approx(scores[-1])
    assert {each["attributes"]["color"] for each in least.json["neighbors"]} == {"blue"}
    refused = filled.client.get(f"{axis}?reverse=true&cursor={filled.client.get(f'{axis}?limit=5').json['next']}")
    assert refused.status_code == 422 and "belongs to another query" in refused.json["detail"]
    body = {"start": {"product_id": "p0"}, "end": {"product_id": "p59"}, "steps": 5}
    path = filled.client.post(f"{SHOES}/path", json=body)
    assert len({*ids(path), "p0", "p59"}) == 7
    for wrong, status, said in (
        (body | {"end": {"product_id": "p0"}}, 422, "to itself"),
        (body | {"end": {"product_id": "nobody"}}, 404, "'nobody'"),
        (body | {"steps": 51}, 422, "steps"),
        (body | {"end": {}}, 422, "exactly one"),
    ):
        answer = filled.client.post(f"{SHOES}/path", json=wrong)
        assert answer.status_code == status and said in answer.json["detail"], answer.text
