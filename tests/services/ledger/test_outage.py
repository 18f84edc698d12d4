"""Redis is away, hangs, loads, is full or takes no writes: each call says so soon, and goes on when it can."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ledger_words import CATALOG, OTHER
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry
from waiting import until

from services.errors import LedgerUnavailable
from services.ledger import Chores, Claim, Claims, Ledger, Removal, Store, begin_task, connect
from services.queue.valkey import ValkeyServer
from services.records import Change, Job, JobState, Lane, Outcome, RemoteImage, State

CHANGES = [Change(f"p{i}", image=RemoteImage("http://x.example/1")) for i in range(8)]
SOON = 2.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A Valkey of this test's own, for it is ill-treated."""
    with ValkeyServer(tmp_path) as server:
        yield server


@pytest.fixture
def store(server: ValkeyServer) -> Store:
    return connect(server.url)


class Work:
    """A job with something in every state, and a call of each method of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.claims, self.chores = ledger, Claims(ledger.store), Chores(ledger.store)
        lane, removal = Lane.BULK, Removal(1)
        ledger.accept(OTHER, "others", [], lane=lane, max_version=lambda: 0, removal=removal)
        self.removal = self.claim()
        self.failed = self.accept(CHANGES[:2])
        self._end(self.claim(), State.FAILED)
        self.job = self.accept(CHANGES)
        self.extended, self.recorded, self.given_back = (self.claim(1) for _ in range(3))
        ledger.begin("key", "d1")

    def accept(self, changes: list[Change], **options: Any) -> Job:
        return self.ledger.accept(CATALOG, "products", iter(changes), lane=Lane.BULK, max_version=lambda: 0, **options)

    def claim(self, limit: int = 64) -> Claim:
        claim = self.claims.claim("drain", limit).claim
        assert claim
        return claim

    def _end(self, claim: Claim, state: State) -> bool:
        outcomes = [(ref, Outcome("", state, "bad", "It is bad.")) for ref in claim.refs]
        return self.claims.record(claim, outcomes)

    def large(self) -> Job:
        return self.accept([Change(f"q{i}", image=CHANGES[0].image) for i in range(600)])

    @property
    def taking(self) -> dict[str, Callable[[], object]]:
        """What takes something in."""
        return {
            "due": lambda: self.chores.due("chore", 60),
            "remove": lambda: self.claims.remove(self.removal, ["q"]),
            "introduce": lambda: self.ledger.introduce(CATALOG, "products", 1),
            "exclusive": lambda: self.ledger.exclusive("chore").__enter__(),
            "accept": lambda: self.accept([Change("q", image=CHANGES[0].image)]),
            "accept chunks": self.large,
            "retry": lambda: self.ledger.retry(self.failed.id),
            "begin": lambda: self.ledger.begin("another key", "d1"),
            "begin_task": lambda: begin_task(self.ledger.store, CATALOG, "products", "map", {}, max_version=lambda: 0),
        }

    @property
    def writing(self) -> dict[str, Callable[[], object]]:
        """What changes only what is there."""
        ledger = self.ledger
        return {
            "reserve": lambda: ledger.reserve(CATALOG, "products", lambda: 0),
            "decide": lambda: self.claims.decide(self.removal),
            "end_removal": lambda: self.claims.end_removal(self.removal),
            "claim": lambda: self.claims.claim("drain", 1),
            "claim_task": self.claims.claim_task,
            "progress": lambda: self.claims.progress(self.given_back, 1, 2, {"after": "q"}),
            "end_task": lambda: self.claims.end_task(self.given_back, {}),
            "extend": lambda: self.claims.extend(self.extended),
            "record": lambda: self._end(self.recorded, State.APPLIED),
            "give_back": lambda: self.claims.give_back(self.given_back, pause=0.01),
            "register": lambda: self.claims.register("worker", 2, 60),
            "leave": lambda: self.claims.leave("worker", 2),
            "spare_drains": lambda: self.claims.spare_drains(64),
            "lead": lambda: self.chores.lead("worker", 60),
            "wait": lambda: ledger.wait(self.job.id, 0.01),
            "expire": lambda: self.chores.expire(everything=True),
            "cancel": lambda: ledger.cancel(self.job.id),
            "release_key": lambda: ledger.release_key("key"),
            "drop": lambda: ledger.drop("d" * 32),
        }

    @property
    def reading(self) -> dict[str, Callable[[], object]]:
        ledger = self.ledger
        return {
            "ping": ledger.ping,
            "pending_upgrade": lambda: ledger.store.pending_upgrade(),
            "upgrade": lambda: ledger.store.upgrade(),
            "job": lambda: ledger.job(self.job.id),
            "jobs": ledger.jobs,
            "items": lambda: ledger.items(self.failed.id),
            "items that wait": lambda: ledger.items(self.job.id, state=None),
            "counts": ledger.counts,
            "stats": ledger.stats,
            "waits": ledger.waits,
            "counts of one": lambda: ledger.counts(CATALOG),
            "unfinished": lambda: list(ledger.unfinished(CATALOG)),
            "names": lambda: list(self.claims.names(self.removal)),
            "oldest": lambda: self.chores.oldest(CATALOG),
            "images": lambda: list(self.chores.images()),
            "reap": lambda: self.chores.reap(60),
            "resume_drops": lambda: self.chores.resume_drops(0, lambda _: True),
        }

    @property
    def all(self) -> dict[str, Callable[[], object]]:
        return self.taking | self.writing | self.reading


def refused(calls: dict[str, Callable[[], object]]) -> dict[str, str]:
    """How each call ends, all made at the same time: what it raises, and that it took long."""

    def one(call: Callable[[], object]) -> str:
        began = time.monotonic()
        try:
            call()
            end = "answered"
        except LedgerUnavailable:
            end = "unavailable"
        return end if time.monotonic() - began < SOON else f"{end}, late"

    with ThreadPoolExecutor(len(calls)) as pool:
        return dict(zip(calls, pool.map(one, calls.values()), strict=True))


def answers(ledger: Ledger) -> bool:
    try:
        ledger.ping()
    except LedgerUnavailable:
        return False
    return True


def test_every_method_is_called() -> None:
    methods = [item for each in (Ledger, Claims, Chores) for item in vars(each).items()]
    public = {name for name, value in methods if callable(value) and not name.startswith("_")}
    # Of the connection that the three share, what is no part of them.
    public |= {name for name in vars(Store) if name.endswith("upgrade")} | {"begin_task"}
    work = Work.__new__(Work)
    work.ledger, work.claims, work.chores = (each.__new__(each) for each in (Ledger, Claims, Chores))
    assert {name.split()[0] for name in [*work.taking, *work.writing, *work.reading]} == public


def test_redis_is_away(server: ValkeyServer, ledger: Ledger) -> None:
    work = Work(ledger)
    server.stop()
    assert refused(work.all) == dict.fromkeys(work.all, "unavailable")


def test_redis_hangs(server: ValkeyServer, ledger: Ledger) -> None:
    work = Work(ledger)
    assert server.pid
    os.kill(server.pid, signal.SIGSTOP)
    try:
        assert refused(work.all) == dict.fromkeys(work.all, "unavailable")
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_what_went_wrong_first_is_told(server: ValkeyServer, ledger: Ledger) -> None:
    def feed() -> Iterator[Change]:
        yield from [Change(f"q{i}", image=CHANGES[0].image) for i in range(300)]
        server.stop()
        raise RuntimeError("The caller hung up.")

    with pytest.raises(RuntimeError, match="hung up"):
        ledger.accept(CATALOG, "products", feed(), lane=Lane.BULK, max_version=lambda: 0)


def test_redis_hangs_while_a_job_is_received(server: ValkeyServer, ledger: Ledger) -> None:
    work = Work(ledger)
    paused: list[float] = []

    def feed() -> Iterator[Change]:
        for i in range(600):
            if i == 550:
                assert server.pid
                os.kill(server.pid, signal.SIGSTOP)
                paused.append(time.monotonic())
            yield Change(f"q{i}", image=CHANGES[0].image)

    try:
        with pytest.raises(LedgerUnavailable):
            ledger.accept(CATALOG, "products", feed(), lane=Lane.BULK, max_version=lambda: 0)
        assert time.monotonic() - paused[0] < 2 * SOON
    finally:
        assert server.pid
        os.kill(server.pid, signal.SIGCONT)
    assert ledger.job(work.job.id) == work.job or ledger.job(work.job.id).state is JobState.PROCESSING


def test_redis_loads(server: ValkeyServer, ledger: Ledger, tmp_path: Path) -> None:
    work = Work(ledger)
    with Redis.from_url(server.url) as client:
        client.mset({f"filler {i}": os.urandom(1500) for i in range(1000)})
        client.bgrewriteaof()
        until(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
    binary = Path(f"/proc/{server.pid}/exe").readlink()
    server.stop()
    socket = Path(server.url.removeprefix("unix://").partition("?")[0])
    socket.parent.mkdir()
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "appendonly": "yes",
        "save": "",
        # Each key takes 10 ms, and requests are answered between them.
        "key-load-delay": "10000",
        "loading-process-events-interval-bytes": "1024",
    }
    command = [str(binary), *(part for name, value in options.items() for part in (f"--{name}", value))]
    slow = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        until(lambda: loading(server.url))
        assert refused(work.all) == dict.fromkeys(work.all, "unavailable")
    finally:
        slow.kill()
        slow.wait()
        socket.unlink(missing_ok=True)
        socket.parent.rmdir()


def loading(url: str) -> bool:
    with Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as client:
        try:
            client.ping()
        except RedisError as error:
            return "loading" in str(error).lower()
    return False


def test_redis_takes_no_writes(server: ValkeyServer, ledger: Ledger) -> None:
    work = Work(ledger)
    with Redis.from_url(server.url) as client:
        client.config_set("replica-read-only", "yes")
        client.replicaof("127.0.0.1", 1)
        calls = work.taking | work.writing
        assert refused(calls) == dict.fromkeys(calls, "unavailable")
        assert refused(work.reading) == dict.fromkeys(work.reading, "answered")
        client.replicaof("NO", "ONE")
    assert refused(work.all) == dict.fromkeys(work.all, "answered")


def test_redis_is_full(server: ValkeyServer, ledger: Ledger, claims: Claims) -> None:
    """It takes nothing in, but what it has is worked on, which makes room."""
    work = Work(ledger)
    job = work.large()
    with Redis.from_url(server.url) as client:
        client.config_set("maxmemory", 1)
        assert refused(work.taking) == dict.fromkeys(work.taking, "unavailable")
        assert client.zcard("la:receiving") == 0, "nothing is left behind"
        while claim := claims.claim("drain", 64).claim:
            assert claims.extend(claim)
            assert claims.record(claim, [(ref, Outcome("", State.APPLIED)) for ref in claim.refs])
        assert ledger.job(job.id).state is JobState.SUCCEEDED
        calls = work.writing | work.reading
        assert refused(calls) == dict.fromkeys(calls, "answered")
        ledger.drop(CATALOG)
        assert ledger.counts().waiting == 0
        client.config_set("maxmemory", 0)
        client.delete("la:removed")  # as if that was long ago
    assert work.accept(CHANGES).total == 8


def test_redis_is_full_in_the_middle_of_a_removal(server: ValkeyServer, ledger: Ledger, claims: Claims) -> None:
    """Its deletions take memory: none is accepted until there is some, and then all of them, each once."""
    ledger.introduce(CATALOG, "products", 0)
    version = ledger.reserve(CATALOG, "products", lambda: 0)
    removal = Removal(version, filter="{}")
    job = ledger.accept(CATALOG, "products", [], lane=Lane.BULK, max_version=lambda: 0, removal=removal)
    with Redis.from_url(server.url) as client:
        claim = claims.claim("drain", 64).claim
        assert claim and claims.decide(claim) and claims.remove(claim, ["x", "y"])
        client.config_set("maxmemory", 1)
        with pytest.raises(LedgerUnavailable, match="maxmemory"):
            claims.remove(claim, ["z"])
        assert claims.give_back(claim)
        deletes = claims.claim("drain", 64).claim
        assert deletes and [change.product_id for change in deletes.changes] == ["x", "y"]
        assert claims.claim("drain", 64).claim is None
        assert claims.record(deletes, [(ref, Outcome("", State.APPLIED)) for ref in deletes.refs])
        again = claims.claim("drain", 64).claim
        assert again and again.removal and again.removal.decided
        client.config_set("maxmemory", 0)
    assert claims.remove(again, ["z"]) and claims.end_removal(again)
    last = claims.claim("drain", 64).claim
    assert last and claims.record(last, [(ref, Outcome("", State.APPLIED)) for ref in last.refs])
    ended = ledger.job(job.id)
    assert (ended.state, ended.total, ended.applied, ended.removed) == (JobState.SUCCEEDED, 3, 3, 3)


def test_redis_becomes_full_while_a_job_is_received(server: ValkeyServer, ledger: Ledger) -> None:
    with Redis.from_url(server.url) as client:
        Work(ledger)
        before = client.hlen("la:items")

        def feed() -> Iterator[Change]:
            for i in range(1000):
                if i == 300:
                    client.config_set("maxmemory", 1)
                yield Change(f"q{i}", image=CHANGES[0].image)

        with pytest.raises(LedgerUnavailable, match="maxmemory"):
            ledger.accept(CATALOG, "products", feed(), lane=Lane.BULK, max_version=lambda: 0)
        assert client.hlen("la:items") == before
        assert client.hlen(f"la:chain:{CATALOG}") == before
        assert not client.exists("la:receiving")


def test_a_redis_that_died_comes_back_with_all_it_had(server: ValkeyServer, ledger: Ledger) -> None:
    """The same ledger goes on: connections and scripts are made anew."""
    work = Work(ledger)
    before = [ledger.job(work.job.id), ledger.jobs(), ledger.counts()]
    assert server.pid
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: server.restarts > 0 and answers(ledger))
    assert [ledger.job(work.job.id), ledger.jobs(), ledger.counts()] == before
    assert refused(work.all) == dict.fromkeys(work.all, "answered")


def test_scripts_that_redis_forgot_are_sent_again(server: ValkeyServer, ledger: Ledger) -> None:
    work = Work(ledger)
    with Redis.from_url(server.url) as client:
        client.script_flush()
    assert refused(work.all) == dict.fromkeys(work.all, "answered")


def test_where_no_redis_listens(tmp_path: Path) -> None:
    ledger = Ledger(connect(f"unix://{tmp_path}/none.sock"))
    with pytest.raises(LedgerUnavailable, match=r"^Redis, which keeps the queue, does not answer \(ConnectionError\)"):
        ledger.ping()
