"""Many accept, claim and record at the same time, and some die: counts are exact, and each change ends once."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from ledger_words import CATALOG
from redis import Redis

from services.ledger import Chores, Claim, Claims, Counts, Ledger, Store, connect
from services.records import Change, ChangeKind, Job, Lane, Outcome, RemoteImage, State

PRODUCTS = 500
ACCEPTING, WORKING = 8, 4


@pytest.mark.parametrize("total", [3000, pytest.param(20_000, marks=pytest.mark.nightly)])
def test_counts_are_exact_and_each_change_ends_once(redis: Redis, valkey_url: str, total: int) -> None:
    jobs: list[Job] = []
    recorded: Counter[str] = Counter()
    held: set[str] = set()
    lock, accepted = threading.Lock(), threading.Event()

    def accept(seed: int) -> None:
        chance = random.Random(seed)
        ledger = Ledger(connect(valkey_url))
        left = total // ACCEPTING
        while left:
            size = min(left, chance.choice((1, 1, 5, 300)))
            lane = Lane.BULK if size > 5 else Lane.INTERACTIVE
            changes = [change(chance) for _ in range(size)]
            job = ledger.accept(CATALOG, "products", iter(changes), lane=lane, max_version=lambda: 0)
            left -= size
            with lock:
                jobs.append(job)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        store = connect(valkey_url)
        ledger, claims = Ledger(store), Claims(store)
        while True:
            last = accepted.is_set()
            claimed = claims.claim(f"drain {seed}", 64)
            claim = claimed.claim or (claims.claim(f"drain {seed}", 1, alone=True).claim if claimed.suspects else None)
            if claim:
                one(store, claim, chance)
            elif last and not claimed.more and not ledger.counts().in_flight:
                return

    def one(store: Store, claim: Claim, chance: random.Random) -> None:
        claims = Claims(store)
        products = {change.product_id for change in claim.changes}
        with lock:
            assert len(products) == len(claim.changes)
            assert not held & products, "a product is in hand once"
            held.update(products)
        states = [chance.choice((State.APPLIED, State.APPLIED, State.UNCHANGED, State.FAILED)) for _ in claim.refs]
        crashes = chance.random() < 0.1
        recording = [
            (ref, Outcome("", state, *(("broken", "It is.") if state is State.FAILED else ())))
            for ref, state in zip(claim.refs, states, strict=True)
        ][: len(claim.refs) // 2 if crashes else None]
        with lock:
            held.difference_update(products)
        assert claims.record(claim, recording)
        with lock:
            recorded.update(ref for ref, _ in recording)
        if crashes:
            store.redis.zadd("la:leases", {claim.id: 0}, xx=True)
            Chores(store).expire()
            assert not claims.record(claim, recording)

    with ThreadPoolExecutor(ACCEPTING + WORKING) as pool:
        workers = [pool.submit(work, seed) for seed in range(WORKING)]
        for each in [pool.submit(accept, 100 + seed) for seed in range(ACCEPTING)]:
            each.result()
        accepted.set()
        for each in workers:
            each.result()

    ledger = Ledger(connect(valkey_url))
    ended = [ledger.job(job.id) for job in jobs]
    assert all(job.finished_at is not None and job.done == job.total for job in ended)
    assert sum(job.total for job in ended) == total // ACCEPTING * ACCEPTING
    assert max(recorded.values()) == 1
    counts = ledger.counts()
    assert counts == Counts(0, 0, {state: sum(getattr(job, state.value) for job in ended) for state in State})
    # Whatever no worker recorded was superseded, or given up after five crashes.
    codes = Counter(item.code for job in ended for item in ledger.items(job.id, limit=1000)[0])
    assert sum(recorded.values()) + counts.ended[State.SUPERSEDED] + codes["worker_crashed"] == sum(
        counts.ended.values()
    )
    assert codes["broken"] + codes["worker_crashed"] == counts.ended[State.FAILED]
    assert not redis.keys("la:chain:*") + redis.keys("la:items") + redis.keys("la:claim:*") + redis.keys("la:open:*")


def change(chance: random.Random) -> Change:
    product = f"p{chance.randrange(PRODUCTS)}"
    image = RemoteImage("http://x.example/1")
    return chance.choice(
        (
            Change(product, image=image, attributes={}),
            Change(product, image=image),
            Change(product, ChangeKind.PATCH, attributes={"x": 1}),
            Change(product, ChangeKind.DELETE),
        )
    )


def test_two_that_end_the_same_claim_count_it_once(
    ledger: Ledger, claims: Claims, accept: Callable[..., Job], take: Callable[..., Claim]
) -> None:
    job = accept([Change(f"p{i}", ChangeKind.DELETE) for i in range(64)])
    claim = take()
    outcomes = [(ref, Outcome("", State.APPLIED)) for ref in claim.refs]
    with ThreadPoolExecutor(8) as pool:
        answers = [each.result() for each in [pool.submit(claims.record, claim, outcomes) for _ in range(8)]]
    assert sorted(answers) == [False] * 7 + [True]
    assert ledger.job(job.id).applied == 64
