"""Changes are taken in all or none, in the order of their versions."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ledger_words import CATALOG, IMAGE, NONE_ENDED, OTHER, Accept, Take, counted, puts
from redis import Redis

from services.errors import CatalogNotFound, Conflict, LedgerUnavailable, ProductBusy, QueueFull
from services.ledger import Chores, Claims, Counts, Ledger, Refusal, Store, removal
from services.ledger.waits import NOBODY
from services.records import (
    Change,
    ChangeKind,
    Item,
    Job,
    JobState,
    Lane,
    Outcome,
    RemoteImage,
    State,
    StoredImage,
    Waiting,
)

Everything = Callable[[], dict[str, Any]]


def test_a_job_tells_what_was_accepted(accept: Accept, redis: Redis) -> None:
    job = accept(puts(3), lane=Lane.INTERACTIVE, request_id="req-1")
    nobody = Waiting("no_workers", NOBODY, job.created_at)
    assert job == Job("1", "name of c", JobState.ENQUEUED, 3, 0, 0, 0, 0, 0, job.created_at, waiting_for=nobody)
    seconds, _ = redis.time()
    assert seconds - 5 < job.created_at <= seconds + 1
    assert any(accept([]).created_at % 1 for _ in range(3)), "to the millisecond"
    assert redis.hget("la:job:1", "r") == b"req-1"


def test_a_job_tells_what_is_said_of_its_feed(accept: Accept, ledger: Ledger) -> None:
    said = {"columns": [{"name": "größe"}], "notes": []}
    job = accept(puts(1000), said=said)
    assert (job.said, ledger.job(job.id).said, ledger.jobs()[0][0].said) == (said, said, said)
    assert ledger.job(accept(puts(1)).id).said == {}


def test_versions_follow_the_order_above_the_index(accept: Accept, take: Take) -> None:
    accept(puts(2, "a"), max_version=lambda: 41)
    accept([], max_version=lambda: 1000)
    accept(puts(2, "b"), max_version=lambda: 1000)
    assert [(change.product_id, change.version) for change in take().changes] == [
        ("a0", 42),
        ("a1", 43),
        ("b0", 44),
        ("b1", 45),
    ]


@pytest.mark.parametrize("highest", [2**31 - 2, 2**32 - 2, 2**53 - 4])
def test_versions_are_exact_up_to_2_to_the_53rd(accept: Accept, take: Take, highest: int) -> None:
    accept(puts(3), max_version=lambda: highest)
    assert [change.version for change in take().changes] == [highest + 1, highest + 2, highest + 3]


def test_numbers_of_jobs_and_claims_are_exact_beyond_2_to_the_31st(accept: Accept, take: Take, redis: Redis) -> None:
    redis.mset({"la:jobs": 2**40, "la:claims": 2**40})
    job = accept(puts(1))
    claim = take()
    assert (job.id, claim.id, claim.refs, claim.jobs) == (
        "1099511627777",
        "1099511627777",
        ["1099511627777:0"],
        ["1099511627777"],
    )


def test_a_version_of_its_own_is_kept(accept: Accept, take: Take) -> None:
    own = [Change(name, image=IMAGE, version=version) for name, version in (("a", 7), ("b", 2**53 - 1))]
    accept([*own, *puts(1)])
    assert take().changes == [*own, Change("p0", image=IMAGE, attributes={}, version=3)]


def test_an_unknown_catalog_is_introduced_once(accept: Accept) -> None:
    asked: list[str] = []

    def highest() -> int:
        asked.append("index")
        return 0

    for catalog in (CATALOG, CATALOG, OTHER, OTHER):
        accept(puts(1), catalog=catalog, max_version=highest)
    assert asked == ["index", "index"]


def test_two_that_introduce_a_catalog_at_once_share_its_versions(accept: Accept, take: Take) -> None:
    def highest() -> int:
        accept(puts(2), max_version=lambda: 10)
        return 10

    accept(puts(2, "q"), max_version=highest)
    assert [change.version for change in take().changes] == [11, 12, 13, 14]


def test_where_the_index_does_not_answer_nothing_is_accepted(accept: Accept, everything: Everything) -> None:
    def gone() -> int:
        raise CatalogNotFound("There is no such catalog.")

    with pytest.raises(CatalogNotFound, match="no such"):
        accept(puts(1), max_version=gone)
    assert everything() == {}


KINDS = [
    Change("put", image=IMAGE, attributes={"a": [1, 2.5, None, {"ö": "\n| "}]}),
    Change("put without attributes", image=StoredImage("0" * 64)),
    Change("put with none", image=IMAGE, attributes={}),
    Change("patch", ChangeKind.PATCH, attributes={"a": None}),
    Change("patch of an image", ChangeKind.PATCH, image=StoredImage("f" * 64)),
    Change("patch of both", ChangeKind.PATCH, image=IMAGE, attributes={}),
    Change("delete", ChangeKind.DELETE),
    Change("größe 👟 \n|\x00 1:2", ChangeKind.DELETE),
    Change("x" * 512, image=RemoteImage("http://x.example/" + "y" * 2000), attributes={"n": 2**63}),
]


def test_changes_come_out_as_they_went_in(accept: Accept, take: Take) -> None:
    accept(KINDS)
    found = take().changes
    assert [Change(each.product_id, each.kind, each.image, each.attributes) for each in found] == KINDS
    assert [each.version for each in found] == list(range(1, len(KINDS) + 1))


def test_products_are_told_apart_whatever_their_digests_hold(
    ledger: Ledger, claims: Claims, accept: Accept, take: Take, end: Callable[..., None]
) -> None:
    """The digests of 3,000 IDs have each byte somewhere: also those that separate in what scripts write."""
    job = accept(puts(3000))
    while claim := claims.claim("drain", 64).claim:
        end(claim, State.FAILED)
    failed = [item for start in range(0, 3000, 1000) for item in ledger.items(job.id, after=str(start), limit=1000)[0]]
    reason = (State.FAILED, "broken", "It is broken.", IMAGE.url)
    assert failed == [Item(f"p{i}", *reason) for i in range(3000)]


def test_an_image_must_be_a_url_or_in_media(accept: Accept, everything: Everything) -> None:
    with pytest.raises(TypeError, match="by URL or out of media"):
        accept([Change("a", image=b"bytes")])
    assert everything() == {}


REFUSALS = [
    Refusal(2, "a", "product_id_invalid", 'A "message"\nof two lines.'),
    Refusal(5, "größe \udc80", "image_missing", "No image."),
]


def test_refused_lines_become_failed_items(
    ledger: Ledger, accept: Accept, take: Take, end: Callable[..., None]
) -> None:
    job = accept([puts(1)[0], REFUSALS[0], *puts(2, "q"), REFUSALS[1]])
    assert counted(job) == (JobState.ENQUEUED, 5, 0, 0, 0, 2, 0)
    assert ledger.items(job.id) == (
        [
            Item("a", State.FAILED, "product_id_invalid", 'A "message"\nof two lines.', line=REFUSALS[0].line),
            Item("größe \udc80", State.FAILED, "image_missing", "No image.", line=REFUSALS[1].line),
        ],
        None,
    )
    assert ledger.counts(CATALOG) == Counts(3, 0, NONE_ENDED | {State.FAILED: 2})
    claim = take()
    assert [(each.product_id, each.version) for each in claim.changes] == [("p0", 1), ("q0", 3), ("q1", 4)]
    end(claim)
    assert counted(ledger.job(job.id)) == (JobState.SUCCEEDED, 5, 3, 0, 0, 2, 0)


def test_a_job_of_refused_lines_has_failed_at_once(ledger: Ledger, claims: Claims, accept: Accept) -> None:
    job = accept(REFUSALS)
    assert counted(job) == (JobState.FAILED, 2, 0, 0, 0, 2, 0)
    assert job.finished_at is not None
    assert claims.claim("drain", 64).claim is None
    with pytest.raises(Conflict, match="what failed were no changes; correct and send them"):
        ledger.retry(job.id)


def test_a_job_of_no_lines_has_succeeded_at_once(ledger: Ledger, accept: Accept) -> None:
    job = accept([])
    assert job == Job("1", "name of c", JobState.SUCCEEDED, 0, 0, 0, 0, 0, 0, job.created_at, None, job.finished_at)
    assert job.finished_at is not None
    assert ledger.counts() == Counts(0, 0, NONE_ENDED)


# Chunks


@pytest.mark.parametrize(("lines", "chunks"), [(1, 1), (255, 1), (256, 1), (257, 2), (512, 2), (513, 3)])
def test_chunks_of_lines(accept: Accept, claims: Claims, redis: Redis, lines: int, chunks: int) -> None:
    accept([])
    assert written(redis, lambda: accept(puts(lines))) == chunks
    versions = []
    while claim := claims.claim("drain", 64).claim:
        versions += [change.version for change in claim.changes]
    assert versions == list(range(1, lines + 1))


@pytest.mark.parametrize(("lines", "chunks"), [(256, 1), (257, 2)])
def test_chunks_of_refused_lines(accept: Accept, redis: Redis, lines: int, chunks: int) -> None:
    accept([])
    refusals = [Refusal(i, "a", "bad", "It is bad.") for i in range(lines)]
    assert written(redis, lambda: accept(refusals)) == chunks


def test_chunks_of_bytes(accept: Accept, redis: Redis) -> None:
    accept([])
    large = [Change(f"p{i}", image=IMAGE, attributes={"x": "y" * 60_000}) for i in range(40)]
    # 18 of these are more than 1 MB.
    assert written(redis, lambda: accept(large)) == 3


def written(redis: Redis, call: Callable[[], object]) -> int:
    """How many scripts a call runs; one more than the chunks are would be a chunk more."""
    redis.config_resetstat()
    call()
    return int(redis.info("commandstats")["cmdstat_evalsha"]["calls"])


def test_only_a_chunk_is_in_memory(accept: Accept, redis: Redis) -> None:
    arrived = []

    def feed() -> Iterator[Change]:
        for i, change in enumerate(puts(1000)):
            if i % 300 == 299:
                arrived.append(redis.hlen("la:items"))
            yield change

    accept(feed())
    assert arrived == [256, 512, 768]


# All or none


def broken_feed(after: int) -> Iterator[Change | Refusal]:
    for i in range(after):
        yield Refusal(i, "r", "bad", "It is bad.") if i % 10 == 9 else Change(f"p{i % 100}", image=IMAGE)
    raise RuntimeError("The caller hung up.")


@pytest.mark.parametrize("after", [0, 10, 256, 300, 1000])
def test_a_feed_that_breaks_off_leaves_nothing_behind(accept: Accept, everything: Everything, after: int) -> None:
    accept(puts(50))
    before = everything()
    with pytest.raises(RuntimeError, match="hung up"):
        accept(broken_feed(after))
    assert everything() == before


@pytest.mark.parametrize("lines", [5, 300, 600])
def test_a_full_queue_leaves_nothing_behind(redis: Redis, accept: Accept, everything: Everything, lines: int) -> None:
    ledger = Ledger(Store(redis), max_waiting=100)
    accept(puts(98), by=ledger)
    before = everything()
    with pytest.raises(QueueFull, match="100 changes of catalog name of c wait already"):
        accept(puts(lines, "q"), by=ledger)
    assert everything() == before
    assert accept([*puts(2, "q"), *REFUSALS], by=ledger).total == 4, "as many as there is room for"
    assert accept(REFUSALS, by=ledger, catalog=OTHER).failed == 2, "another catalog has its own room"
    before = everything()
    with pytest.raises(QueueFull):
        accept(feed := iter(puts(1000, "r")), by=ledger)
    assert len(list(feed)) > 700, "that it is full shows with the first chunk"
    assert everything() == before


def test_too_many_changes_of_one_product_leave_nothing_behind(
    ledger: Ledger, accept: Accept, take: Take, end: Callable[..., None], everything: Everything
) -> None:
    accept([Change("hot", image=IMAGE, attributes={})] * 1000)
    before = everything()
    with pytest.raises(ProductBusy, match="of one product"):
        accept([*puts(700), *[Change("hot", ChangeKind.DELETE)] * 3000])
    assert everything() == before
    assert accept(puts(700)).total == 700, "others are not busy"
    end(take(1))
    assert counted(ledger.job("1")) == (JobState.SUCCEEDED, 1000, 1, 0, 999, 0, 0)
    assert accept([Change("hot", ChangeKind.DELETE)] * 1000).total == 1000


# Receiving


class Held:
    """A request that stops sending after so many changes, in a thread, until it is told to go on."""

    def __init__(self, accept: Accept, changes: list[Change], after: int) -> None:
        self.reached, self._on = threading.Event(), threading.Event()
        self.outcome: Job | Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(accept, changes, after), daemon=True)
        self._thread.start()
        assert self.reached.wait(10)

    def _run(self, accept: Accept, changes: list[Change], after: int) -> None:
        def feed() -> Iterator[Change]:
            for i, change in enumerate(changes):
                if i == after:
                    self.reached.set()
                    assert self._on.wait(10)
                yield change

        try:
            self.outcome = accept(feed())
        except LedgerUnavailable as error:
            self.outcome = error

    def go_on(self) -> Job | Exception | None:
        self._on.set()
        self._thread.join(10)
        return self.outcome


def test_what_is_still_received_is_not_handed_out(ledger: Ledger, claims: Claims, accept: Accept, take: Take) -> None:
    request = Held(accept, puts(600), 599)
    job = ledger.job("1")
    assert job == Job("1", "name of c", JobState.RECEIVING, 0, 0, 0, 0, 0, 0, job.created_at)
    assert ledger.jobs() == ledger.jobs(state=JobState.RECEIVING) == ([job], None)
    assert claims.claim("drain", 64).claim is None
    assert ledger.counts() == Counts(0, 0, NONE_ENDED)
    assert ledger.items("1", state=None) == ([], None)
    with pytest.raises(Conflict, match="still being received"):
        ledger.cancel("1")
    with pytest.raises(Conflict, match="not finished"):
        ledger.retry("1")
    accept([Change("p0", image=IMAGE, attributes={}), Change("p1", ChangeKind.DELETE)])
    claim = take()
    assert [(each.product_id, each.version) for each in claim.changes] == [("p0", 1), ("p1", 2)]
    request.go_on()
    assert ledger.job("1").state is JobState.ENQUEUED
    assert [each.version for each in take(3).changes] == [5, 6, 7], "products in hand are passed over"


def test_a_process_that_died_leaves_nothing_behind_once_it_is_reaped(
    ledger: Ledger, chores: Chores, accept: Accept, redis: Redis, valkey_url: str, everything: Everything
) -> None:
    accept(puts(50))
    before = everything()
    code = f"""
import os
from services.ledger import Ledger, Refusal, connect
from services.records import Change, ChangeKind, Lane
def feed():
    for i in range(600):
        yield Change(f"p{{i}}", ChangeKind.DELETE) if i % 5 else Refusal(i, "r", "bad", "It is bad.")
    os._exit(9)
Ledger(connect({valkey_url!r})).accept("{CATALOG}", "c", feed(), lane=Lane.BULK, max_version=lambda: 0)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert redis.hlen("la:items") > 300
    assert ledger.job("2").state is JobState.RECEIVING
    assert chores.reap(60) == 0, "it might still live"
    redis.zadd("la:receiving", {"2": 1000 * redis.time()[0] - 61_000})
    assert chores.reap(60) == 1
    assert everything() == before
    assert chores.reap(0) == 0


def test_who_was_taken_for_dead_is_told(chores: Chores, accept: Accept, everything: Everything, redis: Redis) -> None:
    accept(puts(50))
    before = everything()
    request = Held(accept, puts(600), 550)
    redis.zadd("la:receiving", {"2": 1})
    assert chores.reap(60) == 1
    outcome = request.go_on()
    assert isinstance(outcome, LedgerUnavailable)
    assert "send them again" in str(outcome)
    assert everything() == before


def test_who_is_being_forgotten_cannot_commit_the_rest(ledger: Ledger, accept: Accept, everything: Everything) -> None:
    accept(puts(50))
    before = everything()
    request = Held(accept, puts(600), 599)
    # A reap that has forgotten the first lines.
    ledger.store.run("discard", "2", *range(256))
    assert isinstance(request.go_on(), LedgerUnavailable)
    assert everything() == before


def test_what_waits_behind_a_change_that_never_comes_goes_on(
    claims: Claims, chores: Chores, accept: Accept, take: Take, redis: Redis
) -> None:
    accept([Change("p0", ChangeKind.PATCH, attributes={})])
    held = take()
    request = Held(accept, puts(600), 550)
    accept([Change("p0", ChangeKind.PATCH, attributes={})])
    assert claims.claim("drain", 64).claim is None
    assert claims.record(held, [(held.refs[0], Outcome("p0", State.APPLIED))])
    redis.zadd("la:receiving", {"2": 1})
    assert chores.reap(60) == 1
    request.go_on()
    assert [change.version for change in take().changes] == [2]


def test_what_is_accepted_cannot_be_forgotten(ledger: Ledger, accept: Accept, everything: Everything) -> None:
    accept(puts(3))
    before = everything()
    # A reap that found the job receiving, just before it was committed.
    removal.discard(ledger.store, b"1")
    assert everything() == before


def test_a_sign_of_life_with_every_chunk(ledger: Ledger, accept: Accept, redis: Redis) -> None:
    seen = []

    def feed() -> Iterator[Change]:
        for i, change in enumerate(puts(600)):
            if i in (300, 599):
                seen.append(redis.zscore("la:receiving", "1"))
                redis.zadd("la:receiving", {"1": 1})
            yield change

    accept(feed())
    now = 1000 * redis.time()[0]
    assert all(score is not None and now - 10_000 < score for score in seen)
    assert not redis.exists("la:receiving")


def test_a_catalog_removed_meanwhile_takes_nothing(ledger: Ledger, accept: Accept, redis: Redis) -> None:
    accept([])

    def feed() -> Iterator[Change]:
        yield from puts(600)
        ledger.drop(CATALOG)

    with pytest.raises(CatalogNotFound, match="removed meanwhile"):
        accept(feed())
    assert not redis.exists("la:items", f"la:chain:{CATALOG}", "la:receiving", "la:job:2", f"la:open:{CATALOG}")
