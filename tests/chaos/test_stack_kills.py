"""API, workers, Redis and Qdrant as processes of their own, killed and restarted under load."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import islice

import httpx2
import pytest
from harness import Pictures, StackService, answer, picture
from threads import Meanwhile
from waiting import PATIENCE, until, until_stalled

from services import bootstrap
from services.testing import load_stub

PUT_AHEAD = 50
CONSUMING_SECONDS = 45.0
"""On a machine that does nothing else: the full chaos runs alone."""

pytestmark = pytest.mark.long


def line(product_id: str, url: str) -> dict[str, str]:
    """A put of a product with the picture of its name at that URL."""
    return {"product_id": product_id, "image_url": f"{url}/{product_id}.jpg"}


def stored(service: StackService) -> dict[str, str | None]:
    """The image of every product, by scrolling the index."""
    with bootstrap.catalogs(service.settings, load=load_stub) as catalogs:
        points = list(catalogs.get("products").embeddings())
    assert len({each.product_id for each in points}) == len(points)
    return {each.product_id: each.image for each in points}


def test_jobs_are_whole_after_kills_of_everything(
    make_stack: Callable[..., StackService],
    pictures: Pictures,
    rng: random.Random,
    scale: Callable[[list[str], list[str]], list[str]],
    record_property: Callable[[str, object], None],
) -> None:
    """Each kill comes while a job is at work, and just after another one was accepted."""
    short = ["worker-1", "api", "redis", "qdrant", "worker-2"]
    victims = scale([*short, "worker-3", "api", "redis", "qdrant", "worker-1"], short)
    count = 100 * len(victims)
    for n in range(count):
        pictures.answers[f"/p{n}.jpg"] = answer(picture(n))
    products = iter(range(count))
    service = make_stack(worker=None)
    stack = service.stack
    service.start()
    service.create_catalog()
    jobs: dict[str, int] = {}
    reached = []

    def feed(size: int) -> str:
        job = service.feed(line(f"p{n}", pictures.url) for n in islice(products, size))
        jobs[job] = size
        return job

    for victim in victims:
        until(service.ready)
        first = feed(70)
        until(lambda first=first: service.done(first) >= 1)  # type: ignore[misc]
        last = feed(30)
        reached.append((service.done(first), service.done(last)))
        assert stack.stop(victim, signal.SIGKILL) == -signal.SIGKILL
        time.sleep(rng.uniform(0, 0.5))
        stack.start(victim)
    record_property("changes done of both jobs at each kill", reached)
    for job, size in jobs.items():
        ended = service.finished(job)
        assert (ended["total"], ended["applied"], ended["failed"]) == (size, size, 0), ended
    until(service.ready)
    assert service.get("/catalogs/products")["products"] == count
    assert stored(service).keys() == {f"p{n}" for n in range(count)}


class Load(Meanwhile):
    """Callers that put products one by one and search, whatever happens; `accepted` are the 202s, by product.

    Each waits from time to time for what it put, so that a slow machine is not left with more and more to do.
    """

    def __init__(self, service: StackService, pictures: Pictures) -> None:
        self.accepted: dict[str, str] = {}
        self.statuses: Counter[int] = Counter()
        self.faults: list[str] = []
        self._service = service
        self._pictures = pictures
        self._done = 0
        super().__init__(*(partial(self._put, n) for n in range(3)), self._search)

    def done(self) -> int:
        """How many of the accepted changes have ended, asked in their order."""
        accepted = [*self.accepted.values()]
        while self._done < len(accepted) and finished(self._service, accepted[self._done]):
            self._done += 1
        return self._done

    def _put(self, caller: int) -> None:
        with self._service.client() as client:
            number = 0
            while not self.ended.wait(0.03):
                number += 1
                name = f"c{caller}-{number}"
                self._pictures.answers[f"/{name}.jpg"] = self._pictures.answers["/one.jpg"]
                body = {"image_url": f"{self._pictures.url}/{name}.jpg"}
                said = self._send(client, "PUT", f"/catalogs/products/products/{name}", json=body)
                if said is not None and said.status_code == 202:
                    self.accepted[name] = said.json()["id"]
                    while number % PUT_AHEAD == 0 and not finished(self._service, self.accepted[name]):
                        if self.ended.wait(0.1):
                            break

    def _search(self) -> None:
        with self._service.client() as client:
            while not self.ended.wait(0.03):
                self._send(client, "GET", "/catalogs/products/products/first/neighbors")

    def _send(self, client: httpx2.Client, method: str, path: str, **options: object) -> httpx2.Response | None:
        try:
            said = client.request(method, path, **options)  # type: ignore[arg-type]
        except httpx2.TransportError:
            return None
        self.statuses[said.status_code] += 1
        if said.status_code not in (200, 202, 503):
            self.faults.append(f"{said.status_code} {said.text[:300]}")
        return said


@pytest.mark.parametrize("name", ["redis", "qdrant", "api"])
def test_restarted_under_load_again_and_again_nothing_is_lost(
    make_stack: Callable[..., StackService],
    pictures: Pictures,
    scale: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
    name: str,
) -> None:
    pictures.answers["/one.jpg"] = pictures.answers["/first.jpg"] = answer(picture(1))
    stubs = make_stack(2)
    stubs.start()
    stubs.create_catalog()
    assert stubs.finished(stubs.feed([line("first", pictures.url)]))["applied"] == 1
    consuming, patience = [], scale(CONSUMING_SECONDS, PATIENCE)
    with Load(stubs, pictures) as load:
        for number in range(scale(10, 4)):
            before = len(load.accepted)
            until(lambda before=before: len(load.accepted) > before + 20, patience)  # type: ignore[misc]
            stubs.stack.stop(name, signal.SIGKILL if number % 2 else signal.SIGTERM)
            stubs.stack.start(name)
            started, before = time.monotonic(), len(load.accepted)
            until(lambda before=before: len(load.accepted) > before, patience)  # type: ignore[misc]
            newest = [*load.accepted.values()][-1]
            until_stalled(lambda newest=newest: finished(stubs, newest), load.done, patience)  # type: ignore[misc]
            consuming.append(round(time.monotonic() - started, 1))
    record_property("seconds until a new change was done", consuming)
    record_property("statuses", dict(load.statuses))
    assert load.faults == [] and set(load.statuses) <= {200, 202, 503}
    for job in load.accepted.values():
        assert stubs.finished(job)["applied"] == 1
    # What was accepted, though its 202 was lost on the way, is there, too.
    assert stored(stubs).keys() >= {"first", *load.accepted}


def finished(service: StackService, job: str) -> bool:
    now = service.job(job)
    return bool(now and now["finished_at"])
