"""Newest wins and deletes stay: whatever is redelivered, lost, repeated or late, the index is what a dict would be."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis
from workshop import DIM, SIZE, Shop

from services import bootstrap
from services import settings as configuration
from services.attributes import merged
from services.catalog.opening import new_spec
from services.catalog.removal import Since
from services.descriptions import Form
from services.failpoints import enabled
from services.ledger import Claim, Named, Removal, connect
from services.records import Change, ChangeKind, Job, Lane, Outcome, State, StoredImage
from services.testing import StubEncoder, load_stub, picture
from workers.removing import remove

pytestmark = pytest.mark.long

PRODUCTS = ("a", "b", "c")
COLORS = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (90, 90, 10)]
EXPIRIES = 3
"""Leases that end with their worker: at five such ends a change is taken for what killed it."""


class Boom(Exception):
    """The process ends here."""


@dataclass
class Held:
    """A claim in the hands of a worker, who may be dead or late."""

    claim: Claim
    outcomes: list[Outcome] | None = None


@dataclass
class Product:
    """What the model has of a product."""

    image: str
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Sweep:
    """The removal of what a feed does not name, or of what has an `x` as large. `done`: its job did not forgo it."""

    named: set[str] | None = None
    x: int | None = None
    lines: int = 0
    most: int | None = None
    seen: bool = False
    done: bool = True


attributes = st.dictionaries(st.sampled_from("xyz"), st.integers(0, 3) | st.none(), max_size=2)
stored = attributes.map(lambda found: {name: value for name, value in found.items() if value is not None})


def changes(images: list[str], missing: str) -> st.SearchStrategy[Change]:
    """Puts, patches and deletes; the image of some is not there, and they fail, always."""
    products = st.sampled_from(PRODUCTS)
    image = st.sampled_from([StoredImage(each) for each in [*images, missing]])
    patch = st.tuples(image | st.none(), attributes | st.none()).filter(any)
    return st.one_of(
        st.builds(lambda name, image, given: Change(name, image=image, attributes=given), products, image, stored),
        st.builds(lambda name, image: Change(name, image=image), products, image),
        st.builds(lambda name, given: Change(name, ChangeKind.PATCH, *given), products, patch),
        st.builds(lambda name: Change(name, ChangeKind.DELETE), products),
    )


def removes(removal: Sweep, product_id: str, product: Product) -> bool:
    if removal.named is not None:
        return product_id not in removal.named
    assert removal.x is not None
    return bool(product.attributes.get("x", -1) >= removal.x)


def changed(before: Product | None, change: Change, missing: str) -> tuple[Product | None, bool]:
    """What a dict has of a product after a change, and whether it refuses that."""
    image = change.image.hash if isinstance(change.image, StoredImage) else None
    if image == missing or (change.kind is ChangeKind.PATCH and before is None):
        return before, True
    if change.kind is ChangeKind.DELETE:
        return None, False
    if change.kind is ChangeKind.PUT:
        kept = before.attributes if before and change.attributes is None else dict(change.attributes or {})
        return Product(str(image), kept), False
    assert before
    return Product(image or before.image, dict(merged(before.attributes, change.attributes or {}))), False


def folded(accepted: list[Change | Sweep], missing: str) -> tuple[dict[str, list[Product | None]], int]:
    """What a dict may have of each product after these, one after the other; and how many of them it refuses at most.

    A removal takes place at its version, but is done later: until then it is there and doomed, and a change that comes
    before it is done saves it. So a product that is changed after its removal may be what either order makes of it; one
    that is not is gone.
    """
    states: dict[str, list[tuple[Product | None, bool]]] = {}
    refused = 0
    for each in accepted:
        if isinstance(each, Sweep):
            if each.done:
                for product_id, found in states.items():
                    gone = [(product, True) for product, _ in found if product and removes(each, product_id, product)]
                    stay = [(product, doomed) for product, doomed in found if (product, True) not in gone]
                    states[product_id] = stay + gone + ([(None, False)] if gone else [])
            continue
        after: list[tuple[Product | None, bool]] = []
        any_refuses = False
        for product, doomed in states.get(each.product_id, [(None, False)]):
            now, refuses = changed(product, each, missing)
            any_refuses |= refuses
            state = (now, doomed and refuses)
            after += [] if state in after else [state]
        states[each.product_id] = after
        refused += any_refuses
    return {name: [product for product, doomed in found if not doomed] for name, found in states.items()}, refused


class Work(RuleBasedStateMachine):
    """One shop at which changes are accepted, and workers that do what they should not be able to break."""

    shop: Shop
    images: list[str]
    vectors: dict[str, Any]
    missing: str
    number = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).number += 1
        self.accepted: list[Change | Sweep] = []
        self.begun: list[tuple[Sweep, Since]] = []
        self.held: list[Held] = []
        self.jobs: dict[str, Job] = {}
        self.sweeps: dict[str, Sweep] = {}
        self.removals: list[Claim] = []
        self.lost: list[Claim] = []
        self.expiries = 0
        self.retried = False

    @rule(data=st.data(), lane=st.sampled_from(Lane), count=st.integers(1, 6))
    def accept(self, data: st.DataObject, lane: Lane, count: int) -> None:
        batch = data.draw(st.lists(changes(self.images, self.missing), min_size=1, max_size=count))
        job = self.shop.accept([self._named(change) for change in batch], lane)
        self.jobs[job.id] = job
        self.accepted += batch

    @initialize(count=st.integers(0, len(PRODUCTS)))
    def begin(self, count: int) -> None:
        """Some products are there."""
        for name in PRODUCTS[:count]:
            self.accepted.append(Change(name, image=StoredImage(self.images[0]), attributes={"x": count}))
        self.shop.accept([self._named(change) for change in self.accepted if isinstance(change, Change)])
        self.shop.worker().drain()

    @rule()
    def begin_sync(self) -> None:
        """A feed that names all products has its version, and its body is read."""
        sweep = Sweep(named=set())
        self.begun.append((sweep, self.shop.since()))
        self.accepted.append(sweep)

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), count=st.integers(0, 3), share=st.sampled_from([1.0, 1.0, 0.3]))
    def end_sync(self, data: st.DataObject, count: int, share: float) -> None:
        """It is accepted; others may have begun or been accepted meanwhile."""
        sweep, since = self.begun.pop(data.draw(st.integers(0, len(self.begun) - 1)))
        batch = data.draw(st.lists(changes(self.images, self.missing), max_size=count))
        kept = data.draw(st.sets(st.sampled_from(PRODUCTS), max_size=2))
        if not batch and not kept:
            kept = {data.draw(st.sampled_from(PRODUCTS))}  # a feed that names nothing is refused
        sweep.named = {each.product_id for each in batch} | kept
        sweep.lines = len(batch)
        sweep.most = since.most(share)
        lines = [*map(self._named, batch), *(Named(f"{self.number}-{each}") for each in kept)]
        self._removes(sweep, self.shop.accept(lines, removal=Removal(since.version, sweep.most)))
        self.accepted += batch

    @rule(data=st.data(), count=st.integers(0, 1))
    def sync(self, data: st.DataObject, count: int) -> None:
        self.begin_sync()
        self.end_sync(data, count, 1.0)

    @rule(x=st.integers(0, 2))
    def delete_by_filter(self, x: int) -> None:
        sweep = Sweep(x=x)
        self.accepted.append(sweep)
        self._removes(sweep, self.shop.remove_matching({"must": {"key": "x", "range": {"gte": x}}}))

    @precondition(lambda self: self.sweeps)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Only what has nothing left but its removal, of which nothing is done: it is forgone."""
        id = data.draw(st.sampled_from(sorted(self.sweeps)))
        job = self.shop.ledger.job(id)
        if job.done == job.total and not self.sweeps[id].seen:
            self.shop.ledger.cancel(id)

    @rule(limit=st.integers(1, 4), alone=st.booleans())
    def claim(self, limit: int, alone: bool) -> None:
        claimed = self.shop.claims.claim(f"machine/{len(self.held)}", 1 if alone else limit, alone=alone)
        if claimed.claim and claimed.claim.removal:
            self.removals.append(claimed.claim)
            self.sweeps[claimed.claim.jobs[0]].seen = True
        elif claimed.claim:
            self.held.append(Held(claimed.claim))

    @precondition(lambda self: self.removals)
    @rule(data=st.data(), crash=st.sampled_from(["", "decide", "remove", "removed", "end_removal"]))
    def remove(self, data: st.DataObject, crash: str) -> None:
        """Also where another worker has had it meanwhile. Who dies at it never tries again; a call may come late."""
        claim = self.removals.pop(data.draw(st.integers(0, len(self.removals) - 1)))
        try:
            with enabled(crash or "accept", _boom):
                remove(self.shop.claims, claim, self.shop.catalog, lambda: False)
        except Boom:
            self.lost.append(claim)

    @precondition(lambda self: self.removals)
    @rule(data=st.data())
    def give_removal_back(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.removals))
        self.shop.claims.give_back(claim)
        self.lost.append(claim)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), crash=st.sampled_from(["", "upsert", "upserted", "encode"]))
    def apply(self, data: st.DataObject, crash: str) -> None:
        """Also a second time, and where others have had the changes meanwhile."""
        held = data.draw(st.sampled_from(self.held))
        if crash:
            with suppress(Boom), enabled(crash, _boom):
                self.shop.catalog.apply(held.claim.changes)
            return
        held.outcomes = self.shop.catalog.apply(held.claim.changes)

    @precondition(lambda self: any(held.outcomes for held in self.held))
    @rule(data=st.data(), crash=st.booleans())
    def record(self, data: st.DataObject, crash: bool) -> None:
        """Also again, and after the lease; a worker that dies afterwards is not told that it was heard."""
        held = data.draw(st.sampled_from([each for each in self.held if each.outcomes]))
        assert held.outcomes is not None
        with suppress(Boom), enabled("recorded" if crash else "accept", _boom):
            self.shop.claims.record(held.claim, list(zip(held.claim.refs, held.outcomes, strict=True)))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        """The worker goes on with what it gave back."""
        self.shop.claims.give_back(data.draw(st.sampled_from(self.held)).claim)

    @precondition(lambda self: self.held and self.expiries < EXPIRIES)
    @rule()
    def expire(self) -> None:
        """All workers are taken for dead, and are not."""
        self.expiries += 1
        self.shop.chores.expire(everything=True)

    @rule()
    def work(self) -> None:
        """A worker does what there is, and does it well."""
        self.shop.worker().drain()

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """What failed is tried again, at its old version: it fails again, or is too old."""
        id = data.draw(st.sampled_from(sorted(self.jobs)))
        job = self.shop.ledger.job(id)
        if job.finished_at and job.failed:
            again = self.shop.ledger.retry(id)
            self.jobs[again.id] = again
            self.retried = True

    @invariant()
    def progress_never_goes_back(self) -> None:
        for id, before in self.jobs.items():
            now = self.shop.ledger.job(id)
            for name in ("applied", "unchanged", "superseded", "failed", "canceled"):
                assert getattr(before, name) <= getattr(now, name)
            assert now.done <= now.total and (now.finished_at is None or now.done == now.total)
            if id not in self.sweeps:
                assert (now.finished_at is not None) == (now.done == now.total)
            assert before.total <= now.total and before.removed <= now.removed <= now.applied
            self.jobs[id] = now

    def teardown(self) -> None:
        shop = self.shop
        shop.chores.expire(everything=True)
        shop.worker().drain()
        for claim in [*self.removals, *self.lost]:
            remove(shop.claims, claim, shop.catalog, lambda: False)
        for held in self.held:  # as late as can be
            shop.catalog.apply(held.claim.changes)
            shop.claims.record(held.claim, [(ref, Outcome("", State.APPLIED)) for ref in held.claim.refs])
        self.progress_never_goes_back()
        prefix = f"{self.number}-"
        found = {
            point.product_id.removeprefix(prefix): point
            for point in shop.catalog.points()
            if point.product_id.startswith(prefix)
        }
        # Whatever comes of it: the removals of other runs would find what this one leaves.
        shop.catalog.remove([point.product_id for point in found.values()])
        for id, sweep in self.sweeps.items():
            job = shop.ledger.job(id)
            sweep.done = job.not_removed is None
            assert job.not_removed in (None, "canceled", "too_many_removed")
            assert sweep.most is None or job.removed <= sweep.most
            assert job.total - sweep.lines <= len(set(PRODUCTS) - (sweep.named or set())), "each counts once"
        for sweep, _ in self.begun:  # never accepted
            sweep.done = False
        products, refused = folded(self.accepted, self.missing)
        for name, possible in products.items():
            point = found.get(name)
            assert (point and Product(str(point.image), dict(point.attributes))) in possible
        assert found.keys() <= products.keys()
        for point in found.values():
            assert point.vector is not None
            np.testing.assert_allclose(point.vector, self.vectors[str(point.image)], atol=1e-6)
        jobs = [shop.ledger.job(id) for id in self.jobs]
        assert all(job.finished_at and job.done == job.total for job in jobs)
        if not self.retried:
            # What was superseded before it was looked at is not refused.
            assert sum(job.failed for job in jobs) <= refused
        counts = shop.counts()
        assert counts.waiting == counts.in_flight == 0

    def _removes(self, sweep: Sweep, job: Job) -> None:
        self.jobs[job.id] = job
        self.sweeps[job.id] = sweep

    def _named(self, change: Change) -> Change:
        """Each run has products of its own, so that all can be in one catalog."""
        return Change(f"{self.number}-{change.product_id}", change.kind, change.image, change.attributes)


def _boom() -> None:
    raise Boom


@pytest.fixture
def shop(tmp_path: Path, redis: "Redis[bytes]", valkey_url: str) -> Iterator[Shop]:
    with bootstrap.catalogs(configuration.load(data=tmp_path / "data", decode_processes=1), load=load_stub) as catalogs:
        catalog = catalogs.create(new_spec("shop", "efficientnet_lite0", "random:1", "nearest"))
        yield Shop(catalogs, connect(valkey_url), catalog, lease=600)


def test_the_index_is_what_a_dict_would_be(shop: Shop, rng: random.Random, scale: Callable[..., int]) -> None:
    examples, steps = scale(2000, 100), scale(50, 30)
    media, encoder = shop.catalogs.intake.media, StubEncoder(size=SIZE, dim=DIM)
    images, vectors = [], {}
    for color in COLORS:
        data = picture(color)
        images.append(media.put(data))
        pixels = shop.catalogs.intake.decoder.submit(data, Form(SIZE, "nearest")).result()
        features = encoder.encode(pixels[np.newaxis])[0]
        vectors[images[-1]] = features / np.linalg.norm(features)

    class Machine(Work):
        pass

    Machine.shop, Machine.images, Machine.vectors, Machine.missing = shop, images, vectors, "0" * 64
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        seed(rng.getrandbits(32))(Machine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Machine.number >= examples
