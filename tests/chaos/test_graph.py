"""The search graph of a running service is built while a feed comes and callers search, and the service is killed."""

import random
import signal
import time
from collections.abc import Callable

import httpx2
import numpy as np
import pytest
from harness import CATALOG, Pictures, Service, answer, picture
from threads import Meanwhile
from waiting import until

from services import bootstrap
from services.catalog.opening import new_spec
from services.records import Embedding, State

pytestmark = pytest.mark.long

DIM = 1280
OPTIMIZE = f"/catalogs/{CATALOG}/optimize"


def fill(service: Service, count: int) -> None:
    """A catalog with so many products, groups of look-alikes."""
    rng = np.random.default_rng(1)
    groups = rng.random((count // 20 + 1, DIM), np.float32)
    made = (
        Embedding(f"old{n}", groups[n // 20] + rng.random(DIM, np.float32) / 4, {"group": n // 20}, f"{n:064x}")
        for n in range(count)
    )
    with bootstrap.catalogs(service.settings) as catalogs:
        catalog = catalogs.create(new_spec(CATALOG, "efficientnet_lite0", "random:1"))
        assert {outcome.state for outcome in catalog.put_embeddings(made)} == {State.APPLIED}


class Searches(Meanwhile):
    """Searches again and again; `wrong` says what was answered that should not have been."""

    def __init__(self, service: Service) -> None:
        self.count = 0
        self.wrong: list[str] = []
        self.may_be_away = False
        self._service = service
        super().__init__(self._search)

    def _search(self) -> None:
        """A product's group is nearer to it than anything else."""
        rng = random.Random(1)
        while not self.ended.wait(0.05):
            number = rng.randrange(400)
            try:
                with self._service.client() as client:
                    said = client.get(f"/catalogs/{CATALOG}/products/old{number}/neighbors?limit=10")
            except (httpx2.TransportError, httpx2.UnsupportedProtocol):
                if not self.may_be_away:
                    self.wrong.append("no answer")
                continue
            if said.status_code != 200:
                self.wrong.append(said.text[:200])
                continue
            groups = {each["attributes"].get("group") for each in said.json()["neighbors"]}
            self.count += 1
            if groups != {number // 20}:
                self.wrong.append(f"{number} is like groups {groups}")


def test_a_graph_is_built_during_a_feed_and_kills(
    service: Service,
    pictures: Pictures,
    rng: random.Random,
    scale: Callable[..., int],
    record_property: Callable[[str, object], None],
) -> None:
    old, new = scale(50_000, 5000), scale(10_000, 300)
    for n in range(100):
        pictures.answers[f"/{n}.jpg"] = answer(picture(n))
    fill(service, old)
    service.environment["LOOKALIKE_LEASE_SECONDS"] = "5"
    service.start()
    built = []
    with Searches(service) as searches:
        jobs = []
        for part in range(3):
            # A part of the feed, a build, and in the last two rounds an end of everything while both go on.
            jobs.append(
                service.feed(
                    {"product_id": f"new{n}", "image_url": f"{pictures.url}/{n % 100}.jpg"} for n in range(part, new, 3)
                )
            )
            with service.client() as client:
                said = client.post(OPTIMIZE)
            assert said.status_code == 202, said.text
            task = said.json()["id"]
            if part:
                searches.may_be_away = True
                until(lambda task=task: (service.job(task) or {}).get("started_at") is not None, 600)  # type: ignore[misc]
                time.sleep(rng.uniform(0, 2))
                assert service.end(signal.SIGKILL) == -signal.SIGKILL
                service.start()
                until(service.ready, 300)
                searches.may_be_away = False
            ended = service.finished(task)
            assert ended["state"] == "succeeded", ended
            built.append(ended["task"]["result"]["built"])
        for job in jobs:
            ended = service.finished(job)
            assert (ended["applied"], ended["failed"]) == (ended["total"], 0), ended
    record_property("searches", searches.count)
    assert searches.wrong == [] and searches.count > 0
    assert built[0] is True
    assert service.get(f"/catalogs/{CATALOG}")["products"] == old + new
    assert service.end() == 0
    with bootstrap.catalogs(service.settings) as catalogs:
        catalog = catalogs.get(CATALOG)
        there = {point.product_id: point.image for point in catalog.points()}
        graph = catalog.graph()
    assert there.keys() == {f"old{n}" for n in range(old)} | {f"new{n}" for n in range(new)}
    assert all(there[f"old{n}"] == f"{n:064x}" for n in range(old))
    assert graph.indexed >= old
    left = [path.name for path in (service.data / "catalogs").glob("*/*/shard-*")]
    assert len(left) == 1, left
