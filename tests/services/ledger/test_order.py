"""Whatever is accepted, claimed, failed, crashed and canceled in whatever order: what is found is what applying the
accepted changes in the order of their versions gives, and every change ends once."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_words import CATALOG
from redis import Redis

from services.attributes import merged
from services.errors import CatalogNotFound, Conflict
from services.ledger import Chores, Claim, Claims, Counts, Ledger, Store
from services.records import Change, ChangeKind, Job, Lane, Outcome, RemoteImage, State

PRODUCTS = ["a", "b"]
BROKEN = "http://images.example/broken"


@dataclass
class Index:
    """What an index keeps: image, attributes and version by product, changed by versions that are newer."""

    stored: dict[str, tuple[str, dict[str, Any]] | None] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    def apply(self, change: Change) -> Outcome:
        assert change.version is not None
        now = self.versions.get(change.product_id, 0)
        if now >= change.version:
            return Outcome(change.product_id, State.APPLIED if now == change.version else State.SUPERSEDED)
        try:
            after = changed(self.stored.get(change.product_id), change)
        except ValueError:
            return Outcome(change.product_id, State.FAILED, "broken", "It is broken.")
        self.stored[change.product_id] = after
        self.versions[change.product_id] = change.version
        return Outcome(change.product_id, State.APPLIED)


def changed(stored: tuple[str, dict[str, Any]] | None, change: Change) -> tuple[str, dict[str, Any]] | None:
    """A product after a change; ValueError where it must fail."""
    if change.kind is ChangeKind.DELETE:
        return None
    if change.image == RemoteImage(BROKEN):
        raise ValueError
    if change.kind is ChangeKind.PATCH:
        if stored is None:
            raise ValueError
        image = change.image.url if isinstance(change.image, RemoteImage) else stored[0]
        return image, merged(stored[1], change.attributes or {})
    assert isinstance(change.image, RemoteImage)
    attributes = change.attributes if change.attributes is not None else (stored[1] if stored else {})
    return change.image.url, dict(attributes)


images = st.sampled_from([*(f"http://images.example/{i}" for i in range(3)), BROKEN]).map(RemoteImage)
attributes = st.dictionaries(st.sampled_from("xyz"), st.integers(0, 3) | st.none(), max_size=2)
products = st.sampled_from(PRODUCTS)
changes = (
    st.builds(Change, products, st.just(ChangeKind.PUT), images, st.none() | attributes)
    | st.builds(Change, products, st.just(ChangeKind.PATCH), st.none() | images, attributes)
    | st.builds(Change, products, st.just(ChangeKind.DELETE))
)
feeds = st.tuples(st.sampled_from(Lane), st.lists(changes, min_size=1, max_size=6))
catalogs = st.integers(0, 1)
claims = st.integers(0, 3)
jobs = st.integers(0, 5)
steps = st.lists(
    st.tuples(st.just("accept"), catalogs, feeds)
    | st.tuples(st.just("claim"), st.integers(1, 4))
    | st.tuples(st.just("claim"), st.integers(1, 4))
    | st.tuples(st.just("claim alone"))
    | st.tuples(st.just("record"), claims)
    | st.tuples(st.just("record"), claims)
    | st.tuples(st.just("give back"), claims)
    | st.tuples(st.just("crash"), claims)
    | st.tuples(st.just("crash on"), st.integers(1, 5))
    | st.tuples(st.just("zombie"), claims)
    | st.tuples(st.just("cancel"), jobs)
    | st.tuples(st.just("retry"), jobs)
    | st.tuples(st.just("break off"), catalogs, feeds)
    | st.tuples(st.just("drop"), catalogs),
    max_size=40,
)


@dataclass
class Accepted:
    """A change of a job, and what is known of its end beside what the index says."""

    catalog: str
    change: Change
    version: int
    canceled: bool = False
    given_up: bool = False
    """Its workers died too often."""
    written: bool = False
    """A worker that then died, or came too late, has written it to the index."""
    again: bool = False
    """It is a retry."""

    @property
    def product(self) -> tuple[str, str]:
        return self.catalog, self.change.product_id


@dataclass
class World:
    """A ledger, indexes, and what must be true of them after each step."""

    store: Store
    redis: Any
    catalogs: list[str] = field(default_factory=lambda: ["c0", "c1"])
    indexes: dict[str, Index] = field(default_factory=lambda: defaultdict(Index))
    jobs: dict[str, Job] = field(default_factory=dict)
    accepted: dict[str, Accepted] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    crashes: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.store)
        self.worker = Claims(self.store, lease=30)
        self.chores = Chores(self.store)

    def accept(self, catalog: int, feed: tuple[Lane, list[Change]]) -> None:
        lane, changes = feed
        id = self.catalogs[catalog]
        base = int(self.redis.get(f"la:version:{id}") or 0)
        job = self.ledger.accept(id, id, iter(changes), lane=lane, max_version=lambda: 0)
        self.jobs[job.id] = job
        for line, change in enumerate(changes):
            self.accepted[f"{job.id}:{line}"] = Accepted(id, change, base + line + 1)

    def break_off(self, catalog: int, feed: tuple[Lane, list[Change]]) -> None:
        """A request that is not accepted in the end, and whose changes nobody sees."""
        lane, changes = feed
        id = self.catalogs[catalog]

        def broken() -> Iterator[Change]:
            yield from changes * 60
            self.claim(4)
            raise RuntimeError

        with pytest.raises(RuntimeError):
            self.ledger.accept(id, id, broken(), lane=lane, max_version=lambda: 0)

    def retry(self, which: int) -> None:
        job = self._job(which)
        if not job:
            return
        failed = [ref for ref in self._failed(job.id) if ref in self.accepted]
        if job.finished_at is None or not failed or job.catalog not in self.catalogs:
            with pytest.raises((Conflict, CatalogNotFound)):
                self.ledger.retry(job.id)
            return
        new = self.ledger.retry(job.id)
        self.jobs[new.id] = new
        for line, ref in enumerate(failed):
            self.accepted[f"{new.id}:{line}"] = replace(
                self.accepted[ref], again=True, canceled=False, given_up=False, written=False
            )

    def claim(self, limit: int, *, alone: bool = False) -> bool:
        claim = self.worker.claim("drain", limit, alone=alone).claim
        if claim:
            assert len(claim.refs) <= (1 if alone else limit)
            held = [self.accepted[ref].product for each in self.claims for ref in each.refs]
            new = [self.accepted[ref].product for ref in claim.refs]
            assert len({*held, *new}) == len(held + new), "a product is in hand once"
            for ref, change, number in zip(claim.refs, claim.changes, claim.jobs, strict=True):
                known = self.accepted[ref]
                assert (known.catalog, number) == (claim.catalog_id, ref.partition(":")[0])
                assert change == replace(known.change, version=known.version)
                assert alone or self.crashes[ref] < 2, "what is suspect runs alone"
            self.claims.append(claim)
        return claim is not None

    def claim_alone(self) -> None:
        self.claim(1, alone=True)

    def record(self, which: int) -> None:
        if self.claims:
            claim = self.claims.pop(which % len(self.claims))
            outcomes = self._work(claim)
            assert self.worker.record(claim, outcomes)
            assert not self.worker.record(claim, outcomes), "the second time it is no longer held"

    def give_back(self, which: int) -> None:
        if self.claims:
            assert self.worker.give_back(self.claims.pop(which % len(self.claims)))

    def crash(self, which: int) -> None:
        """A worker dies, before or after it has written."""
        if self.claims:
            self._crash(self.claims.pop(which % len(self.claims)), wrote=bool(which % 2))

    def crash_on(self, times: int) -> None:
        """Whatever is claimed now ends its worker, again and again."""
        for _ in range(times):
            if self.claim(2) or self.claim(1, alone=True):
                self._crash(self.claims.pop(), wrote=False)

    def zombie(self, which: int) -> None:
        """A worker whose lease is over writes and records all the same."""
        if self.claims:
            claim = self.claims.pop(which % len(self.claims))
            self._crash(claim, wrote=False)
            assert not self.worker.record(claim, self._work(claim, written=True))
            assert not self.worker.extend(claim)
            assert not self.worker.give_back(claim)

    def cancel(self, which: int) -> None:
        job = self._job(which)
        if job:
            waiting = [ref for ref in self._unended(job.id) if ref not in self._held()]
            assert self.ledger.cancel(job.id).canceled == job.canceled + len(waiting), "what is in hand goes on"
            for ref in waiting:
                self.accepted[ref].canceled = True

    def drop(self, catalog: int) -> None:
        """A catalog is removed, and another one made."""
        id = self.catalogs[catalog]
        self.ledger.drop(id)
        for claim in [claim for claim in self.claims if claim.catalog_id == id]:
            self.claims.remove(claim)
            assert self.worker.record(claim, self._work(claim))
        self.indexes.pop(id, None)
        self.catalogs[catalog] = f"{id}'"
        assert not self.redis.keys(f"la:*:{id}") + self.redis.keys(f"la:*:{id}:*")

    def drain(self) -> None:
        while self.claims:
            self.record(0)
        while self.claim(64) or self.claim(1, alone=True):
            self.record(0)

    def check(self) -> None:
        """What is true at any time."""
        held = sum(len(claim.refs) for claim in self.claims)
        counts = self.ledger.counts()
        assert (counts.in_flight, counts.waiting) == (held, int(self.redis.hlen("la:items")) - held)
        for id, before in self.jobs.items():
            after = self.jobs[id] = self.ledger.job(id)
            for name in ("applied", "unchanged", "superseded", "failed", "canceled"):
                assert getattr(before, name) <= getattr(after, name) <= after.total
            assert after.total - after.done == len(self._unended(id)), "each ends once"
            assert (after.finished_at is None) == (after.done < after.total)

    def check_end(self) -> None:
        """What is true when nothing waits."""
        assert all(job.finished_at is not None for job in self.jobs.values())
        counts = self.ledger.counts()
        totals = {state: sum(getattr(job, state.value) for job in self.jobs.values()) for state in State}
        assert counts == Counts(0, 0, totals)
        left = {b"la:format", b"la:jobs", b"la:claims", b"la:turns", b"la:removed", b"la:catalogs", b"la:counts:"}
        kinds = ("counts", "version", "failing")
        left |= {f"la:{kind}:{catalog}".encode() for kind in kinds for catalog in self.catalogs}
        kept = {f"la:{kind}:{id}".encode() for kind in ("job", "failed") for id in self.jobs}
        of_seconds = set(self.redis.keys("la:ended:*"))
        assert set(self.redis.keys()) - of_seconds <= left | kept
        recorded = sum(int(self.redis.get(key) or 0) for key in of_seconds)
        crashed = [item for id in self.jobs for item in self.ledger.items(id)[0] if item.code == "worker_crashed"]
        assert recorded == sum(totals.values()) - totals[State.CANCELED] - len(crashed)
        for catalog in self.catalogs:
            index = self.indexes[catalog]
            for product, stored in self._expected(catalog).items():
                assert index.stored.get(product) == stored, product

    def _expected(self, catalog: str) -> dict[str, tuple[str, dict[str, Any]] | None]:
        """What products are after all changes in the order of their versions, but those that were canceled or given up
        before they were written. A product of which something was tried again is left out: that the order of versions
        holds for it, the index sees to."""
        stored: dict[str, tuple[str, dict[str, Any]] | None] = dict.fromkeys(PRODUCTS)
        mine = sorted(
            (each for each in self.accepted.values() if each.catalog == catalog), key=lambda each: each.version
        )
        for each in mine:
            if each.written or not (each.canceled or each.given_up):
                with suppress(ValueError):
                    stored[each.change.product_id] = changed(stored[each.change.product_id], each.change)
        again = {each.change.product_id for each in mine if each.again}
        return {product: value for product, value in stored.items() if product not in again}

    def _work(self, claim: Claim, *, written: bool = False) -> list[tuple[str, Outcome]]:
        outcomes = []
        for ref, change in zip(claim.refs, claim.changes, strict=True):
            outcome = self.indexes[claim.catalog_id].apply(change)
            self.accepted[ref].written |= written and outcome.state is State.APPLIED
            outcomes.append((ref, outcome))
        return outcomes

    def _crash(self, claim: Claim, *, wrote: bool) -> None:
        if wrote:
            self._work(claim, written=True)
        self.redis.zadd("la:leases", {claim.id: 0})
        assert self.chores.expire() == 1
        self.crashes.update(claim.refs)
        unended = {ref for number in claim.jobs for ref in self._unended(number)}
        for ref in claim.refs:
            assert (ref not in unended) == (self.crashes[ref] == 5), "at the fifth crash it is given up"
            self.accepted[ref].given_up = ref not in unended

    def _job(self, which: int) -> Job | None:
        return self.ledger.job([*self.jobs][which % len(self.jobs)]) if self.jobs else None

    def _held(self) -> set[str]:
        return {ref for claim in self.claims for ref in claim.refs}

    def _unended(self, id: str) -> list[str]:
        refs = [f"{id}:{line}" for line in range(self.jobs[id].total)]
        return [ref for ref, item in zip(refs, self.redis.hmget("la:items", refs), strict=True) if item is not None]

    def _failed(self, id: str) -> list[str]:
        return [f"{id}:{int(entry.partition(b' ')[0])}" for entry in self.redis.lrange(f"la:failed:{id}", 0, -1)]


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_what_is_found_is_what_the_accepted_changes_give_in_the_order_of_their_versions(
    redis: Redis, steps: list[tuple[Any, ...]]
) -> None:
    assert_holds(redis, steps)


@pytest.mark.nightly
@settings(max_examples=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_what_is_found_of_more_examples(redis: Redis, steps: list[tuple[Any, ...]]) -> None:
    assert_holds(redis, steps)


def assert_holds(redis: Redis, steps: list[tuple[Any, ...]]) -> None:
    redis.flushall()
    world = World(Store(redis), redis)
    for name, *arguments in steps:
        getattr(world, name.replace(" ", "_"))(*arguments)
        world.check()
    world.drain()
    world.check()
    world.check_end()


@pytest.mark.parametrize("lane", Lane)
def test_an_older_put_is_wanted_again_where_a_newer_one_fails(ledger: Ledger, claims: Claims, lane: Lane) -> None:
    good, bad = (Change("a", image=RemoteImage(url), attributes={}) for url in ("http://x.example/1", BROKEN))
    job = ledger.accept(CATALOG, "products", [good, bad], lane=lane, max_version=lambda: 0)
    first = claims.claim("drain", 64).claim
    assert first is not None
    assert [change.image for change in first.changes] == [RemoteImage(BROKEN)]
    claims.record(first, [(first.refs[0], Outcome("a", State.FAILED, "broken", "It is broken."))])
    second = claims.claim("drain", 64).claim
    assert second is not None
    assert [change.image for change in second.changes] == [RemoteImage("http://x.example/1")]
    claims.record(second, [(second.refs[0], Outcome("a", State.APPLIED))])
    ended = ledger.job(job.id)
    assert (ended.applied, ended.failed, ended.superseded) == (1, 1, 0)
