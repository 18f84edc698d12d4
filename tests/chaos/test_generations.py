"""Another generation is built, switched to and gone back from under searches and changes: no request fails, each answer
is of one generation, and both have every change. Also where everything is killed in between."""

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from harness import CATALOG, Pictures, Running, Service, StackService, answer, picture
from shops import of_live, of_other
from threads import Meanwhile
from waiting import until

from services import bootstrap
from services.descriptions import GenerationState

FIXED = {"must": [{"key": "fixed", "match": {"value": True}}]}
"""Products that nothing changes: what is found among these depends on the generation alone."""
SEARCHED = 6
CHANGED = 30
GENERATIONS = f"/catalogs/{CATALOG}/generations"
OTHER = {"weights": "imagenet"}
KILLED = ("worker-1", "api", "redis")

Found = tuple[tuple[str, float], ...]


@pytest.fixture
def service(
    request: pytest.FixtureRequest, tmp_path: Path, make_stack: Callable[..., StackService]
) -> Iterator[Service | StackService]:
    """`lookalike up`, or a stack with real workers; not started yet."""
    if request.param == "stack":
        yield make_stack(2, worker=None, LOOKALIKE_QDRANT_TIMEOUT="10")
        return
    with Service(tmp_path / "data", {"LOOKALIKE_LEASE_SECONDS": "5"}) as service:
        yield service


class Load(Meanwhile):
    """Callers that search 20 times a second and change 5 products a second, whatever happens.

    Attributes:
        answers: What was found, for each question.
        faults: What was answered that should not have been.
        jobs: The jobs of what was accepted.
        may_be_away: Whether the service may be gone for a while.
    """

    def __init__(self, service: Running, pictures: Pictures, rng: random.Random) -> None:
        self.answers: dict[int, set[Found]] = {n: set() for n in range(SEARCHED)}
        self.faults: list[str] = []
        self.jobs: set[str] = set()
        self.count = 0
        self.may_be_away = False
        self._service = service
        self._pictures = pictures
        super().__init__(*(partial(each, random.Random(rng.getrandbits(32))) for each in (self._search, self._change)))

    def _search(self, rng: random.Random) -> None:
        while not self.ended.wait(0.05):
            question = rng.randrange(SEARCHED)
            answered = self._sent(lambda client, question=question: asked(client, question))  # type: ignore[misc]
            if answered is not None:
                self.count += 1
                self.answers[question].add(found(answered.json()))

    def _change(self, rng: random.Random) -> None:
        number = 0
        while not self.ended.wait(0.2):
            number += 1
            path = f"/catalogs/{CATALOG}/products/c{rng.randrange(CHANGED)}"
            kind = rng.choice(["PUT", "PUT", "PATCH", "DELETE"])
            body: dict[str, Any] = {"json": {"attributes": {"n": number}}} if kind != "DELETE" else {}
            if kind == "PUT":
                body["json"]["image_url"] = f"{self._pictures.url}/{rng.randrange(20)}.jpg"
            answered = self._sent(lambda client, kind=kind, path=path, body=body: client.request(kind, path, **body))  # type: ignore[misc]
            if answered is not None:
                self.jobs.add(answered.json()["id"])

    def _sent(self, send: Callable[[httpx2.Client], httpx2.Response]) -> httpx2.Response | None:
        """The good answer to a request; None where the service is away, as it may be."""
        try:
            with self._service.client() as client:
                answered = send(client)
        except (httpx2.TransportError, httpx2.UnsupportedProtocol):
            if not self.may_be_away:
                self.faults.append("no answer")
            return None
        if answered.status_code in (200, 202):
            return answered
        # A busy machine keeps Redis from answering in time, which has nothing to do with generations.
        is_slow = answered.status_code == 503 and answered.json()["code"] == "ledger_unavailable"
        if not is_slow and not (self.may_be_away and answered.status_code == 503):
            self.faults.append(f"{answered.status_code} {answered.text[:300]}")
        return None


def asked(client: httpx2.Client, question: int) -> httpx2.Response:
    """Half of the questions are products, half are pictures, which the encoder of the live generation has to encode."""
    query = {"limit": 8, "filter": FIXED}
    path = f"/catalogs/{CATALOG}/search"
    if question % 2:
        return client.post(path, json=query | {"product_id": f"p{question}"})
    parts = {"image": ("x.jpg", picture(1000 + question)), "query": (None, json.dumps(query))}
    return client.post(path, files=parts)


def found(said: dict[str, Any]) -> Found:
    return tuple((each["product_id"], round(each["score"], 3)) for each in said["neighbors"])


def alike(one: Found, other: Found) -> bool:
    """The same but for the last digit, and for which of two comes first whose scores differ in that alone."""
    return len(one) == len(other) and all(
        abs(left[1] - right[1]) <= 0.002 for left, right in zip(one, other, strict=True)
    )


def all_answers(service: Running) -> dict[int, Found]:
    """What the live generation answers now."""
    with service.client() as client:
        return {n: found(asked(client, n).json()) for n in range(SEARCHED)}


def listed(service: Running) -> list[dict[str, Any]]:
    generations: list[dict[str, Any]] = service.get(GENERATIONS)["generations"]
    return generations


def begun(service: Running, path: str, body: dict[str, Any]) -> str:
    """The job of a task, accepted where the service has to come back first."""
    until_time = time.monotonic() + 600
    while True:
        try:
            with service.client() as client:
                said = client.post(path, json=body)
            if said.status_code == 202:
                return str(said.json()["id"])
            assert said.status_code == 503, said.text
        except httpx2.TransportError:
            pass
        assert time.monotonic() < until_time, "nobody takes the task"
        time.sleep(0.2)


def done(service: Running, job: str) -> dict[str, Any]:
    ended = service.finished(job)
    assert ended["state"] == "succeeded", f"{ended['task']}\n{service.log[-3000:]}"
    return ended


def kill(service: Service | StackService, what: str, rng: random.Random) -> None:
    """Kills a part of the service and starts it anew."""
    if isinstance(service, StackService):
        assert service.stack.stop(what, signal.SIGKILL) == -signal.SIGKILL
        time.sleep(rng.uniform(0, 0.5))
        service.stack.start(what)
    elif what == "redis":
        os.kill(service.valkey, signal.SIGKILL)
    else:
        service.end(signal.SIGKILL)
        service.start()
    until(service.ready)


@pytest.mark.parametrize(
    ("service", "kills"),
    [
        pytest.param("up", (), id="up-undisturbed", marks=pytest.mark.nightly),
        pytest.param("stack", (), id="stack-undisturbed", marks=pytest.mark.long),
        pytest.param("up", KILLED, id="up-killed", marks=pytest.mark.long),
        pytest.param("stack", KILLED, id="stack-killed", marks=pytest.mark.nightly),
    ],
    indirect=["service"],
)
def test_another_generation_and_back_under_load(
    service: Service | StackService,
    pictures: Pictures,
    rng: random.Random,
    scale: Callable[..., int],
    kills: tuple[str, ...],
    record_property: Callable[[str, object], None],
) -> None:
    products = scale(3000, 80)
    for n in range(products):
        pictures.answers[f"/{n}.jpg"] = answer(picture(n))
    service.start()
    service.create_catalog(weights="random:1")
    lines = [
        {"product_id": f"p{n}", "image_url": f"{pictures.url}/{n}.jpg", "attributes": {"fixed": True}}
        for n in range(products)
    ]
    assert service.finished(service.feed(lines))["applied"] == products
    before = all_answers(service)
    left = list(kills)
    with Load(service, pictures, rng) as load:
        load.may_be_away = bool(kills)

        def switched(path: str, body: dict[str, Any]) -> dict[str, Any]:
            """The result of a task during which the next part of the service is killed."""
            job = begun(service, path, body)
            if left:
                until(lambda: (service.job(job) or {}).get("started_at") is not None)
                time.sleep(rng.uniform(0, 0.5))
                kill(service, left.pop(0), rng)
            result: dict[str, Any] = done(service, job)["task"]["result"]
            return result

        new = switched(GENERATIONS, OTHER)
        assert (new["missing"], new["faults"]) == (0, {}), new
        [live, *_] = listed(service)
        for id in (new["generation"], live["id"], new["generation"]):
            assert switched(f"{GENERATIONS}/{id}/promote", {})["promoted"]
            assert listed(service)[0]["id"] == id
        # An API process has a description for a second.
        until(lambda: not any(alike(before[n], now) for n, now in all_answers(service).items()))
        after = all_answers(service)
    record_property("answers", load.count)
    assert load.faults == []
    assert load.count > 0
    mixed = {
        n: [each for each in load.answers[n] if not alike(each, before[n]) and not alike(each, after[n])]
        for n in range(SEARCHED)
    }
    assert mixed == {n: [] for n in range(SEARCHED)}
    for job in load.jobs:
        assert service.finished(job)["canceled"] == 0
    assert_both_have_everything(service)


def assert_both_have_everything(service: Service | StackService) -> None:
    """The live generation and the one before hold the same products, versions, attributes and removals."""
    settings = service.settings
    if isinstance(service, Service):
        assert service.end() == 0
    with bootstrap.catalogs(settings) as catalogs:
        catalog = catalogs.get(CATALOG)
        [previous] = [each for each in catalog.spec.generations if each.state is GenerationState.PREVIOUS]
        here, there = of_live(catalog), of_other(catalog, previous.id)
    assert there["points"] == here["points"] and there["removed"] == here["removed"]
