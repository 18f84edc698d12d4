"""A shop whose changes workers do: a real Valkey, a real catalog, and encoders as each test wants them."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from waiting import until as until

from services.catalog.catalog import Catalog
from services.catalog.catalogs import Catalogs
from services.catalog.removal import Since
from services.ledger import Chores, Claims, Counts, Ledger, Named, Removal, Store, begin_task
from services.records import Change, Job, Lane, Pixels, StoredImage, Vectors
from services.testing import StubEncoder, picture
from workers.worker import Worker

SIZE, DIM = 224, 1280


class Stub(StubEncoder):
    """For `efficientnet_lite0`. While `open` is not set, it takes a batch and does not come back."""

    def __init__(self, fingerprint: str = "stub", seconds_per_batch: float = 0.0) -> None:
        super().__init__(fingerprint, size=SIZE, dim=DIM, seconds_per_batch=seconds_per_batch)
        self.open = threading.Event()
        self.open.set()

    def encode(self, pixels: Pixels) -> Vectors:
        assert self.open.wait(30)
        return super().encode(pixels)


@dataclass
class Shop:
    """A catalog, and a ledger in a Redis with changes of it. `lease` is that of its workers."""

    catalogs: Catalogs
    store: Store
    catalog: Catalog
    lease: float = 30.0
    ledger: Ledger = field(init=False)
    claims: Claims = field(init=False)
    chores: Chores = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.store)
        self.claims = Claims(self.store, lease=self.lease)
        self.chores = Chores(self.store)

    @property
    def id(self) -> str:
        return self.catalog.spec.id

    def accept(
        self,
        changes: Sequence[Change | Named],
        lane: Lane = Lane.BULK,
        request_id: str = "",
        removal: Removal | None = None,
    ) -> Job:
        name, highest = self.catalog.spec.name, self.catalog.max_version
        return self.ledger.accept(
            self.id, name, iter(changes), lane=lane, max_version=highest, request_id=request_id, removal=removal
        )

    def since(self) -> Since:
        """The beginning of a feed that names all products."""
        version = self.ledger.reserve(self.id, self.catalog.spec.name, self.catalog.max_version)
        return Since(version, self.catalog.count())

    def sync(self, changes: Sequence[Change | Named], max_removed: float = 1.0) -> Job:
        """A feed that names all products, begun and accepted now."""
        since = self.since()
        return self.accept(changes, removal=Removal(since.version, since.most(max_removed)))

    def remove_matching(self, filter: dict[str, Any]) -> Job:
        """The removal of all products that match a filter, of which JSON is given."""
        return self.accept([], removal=Removal(self.since().version, filter=json.dumps(filter)))

    def accept_suspects(self, changes: list[Change]) -> Job:
        """Changes that have ended a worker twice already, and so run alone; nothing else may wait yet."""
        job = self.accept(changes)
        for _ in range(2):
            claim = self.claims.claim("earlier", len(changes)).claim
            assert claim and self.claims.give_back(claim, crashed=True)
        return job

    def begin_task(self, kind: str = "count", **parameters: Any) -> Job:
        name, highest = self.catalog.spec.name, self.catalog.max_version
        return begin_task(self.store, self.id, name, kind, parameters, max_version=highest)[0]

    def puts(self, count: int, start: int = 0) -> list[Change]:
        """Puts of products p0, p1, ... with pictures of their own."""
        return [self.put(f"p{n}", (n % 256, 40, n // 256)) for n in range(start, start + count)]

    def put(self, product_id: str, color: tuple[int, int, int]) -> Change:
        image = StoredImage(self.catalogs.intake.media.put(picture(color, size=8)))
        return Change(product_id, image=image, attributes={})

    def worker(
        self, claims: Claims | None = None, *, slots: int = 1, give_up: float = 3600.0, **timings: Any
    ) -> Worker:
        """`timings` are arguments of `Worker`."""
        return Worker(claims or self.claims, self.catalogs, batch_size=64, slots=slots, give_up=give_up, **timings)

    def job(self, job: Job) -> Job:
        return self.ledger.job(job.id)

    def counts(self) -> Counts:
        return self.ledger.counts()

    def failures(self, job: Job) -> dict[str, str | None]:
        """Why what has failed of a job did: code by product."""
        items, _ = self.ledger.items(job.id, limit=1000)
        return {item.product_id: item.code for item in items}


@contextmanager
def draining(*ones: Worker) -> Iterator[list[threading.Thread]]:
    """A drain of each, in threads of their own; they have ended when the block has."""
    threads = [threading.Thread(target=one.drain) for one in ones]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
