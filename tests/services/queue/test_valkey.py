"""The Valkey of our own: what it keeps, how it starts, is restarted and stops."""

import fcntl
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread

import pytest
from kombu.connection import Connection
from structlog.testing import capture_logs
from valkeys import AOF, answers, client, kill, running, socket_of
from waiting import until

from services.errors import LedgerUnavailable
from services.queue.broker import broker_url
from services.queue.valkey import Timings, ValkeyServer
from services.queue.valkey_process import CONFIG, Program

pytestmark = pytest.mark.disk


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path / "queue") as server:
        yield server


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


@pytest.mark.parametrize("turns", [4, pytest.param(20, marks=pytest.mark.nightly)])
def test_nothing_acknowledged_is_lost_when_it_is_killed(tmp_path: Path, turns: int) -> None:
    with (
        capture_logs() as log,
        ValkeyServer(tmp_path / "queue", Timings(steady=0.0)) as server,
        client(server) as redis,
    ):
        for turn in range(turns):
            for n in range(200):
                assert redis.set(f"{turn}/{n}", n)
            kill(server, redis)
            assert redis.dbsize() == 200 * (turn + 1)
    assert [entry["restart_in"] for entry in log] == [0.0] * turns


def test_it_is_restarted_on_the_same_url(server: ValkeyServer) -> None:
    url, pid = server.url, running(server)
    with client(server) as redis:
        redis.set("a", 1)
        kill(server, redis)
        assert redis.get("a") == b"1"
    assert server.url == url
    assert server.restarts == 1
    assert running(server) != pid


def test_one_that_dies_again_and_again_is_restarted_ever_more_slowly_until_it_lives(tmp_path: Path) -> None:
    file = tmp_path / f"{AOF}.1.incr.aof"
    timings = Timings(first_pause=0.05, longest_pause=0.15)
    with capture_logs() as log, ValkeyServer(tmp_path, timings) as server, client(server) as redis:
        redis.set("a", 1)
        sound = file.read_bytes()
        file.write_bytes(b"garbage" + sound)
        os.kill(running(server), signal.SIGKILL)
        until(lambda: server.restarts >= 5)
        file.write_bytes(sound)
        until(lambda: answers(redis))
        assert redis.get("a") == b"1"
    assert [entry["restart_in"] for entry in log][:5] == [0.05, 0.1, 0.15, 0.15, 0.15]
    assert [entry["end"] for entry in log][:2] == ["exit code -9", "exit code 1"]


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


def test_stop_ends_one_that_hangs(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path / "queue", Timings(stop=0.2)) as server:
        pid, socket = running(server), socket_of(server)
        os.kill(pid, signal.SIGSTOP)
    assert not Path(f"/proc/{pid}").exists()
    assert not socket.parent.exists()


def has_another(server: ValkeyServer, pid: int) -> bool:
    return server.pid not in (None, pid)


def test_stop_in_the_middle_of_a_restart_leaves_nothing(tmp_path: Path) -> None:
    for turn in range(10):
        with ValkeyServer(tmp_path, Timings(steady=0.0)) as server:
            pid, socket = running(server), socket_of(server)
            os.kill(pid, signal.SIGKILL)
            if turn % 2:
                until(partial(has_another, server, pid))
        with (tmp_path / "valkey.pid").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert server.pid is None
        assert not socket.parent.exists()


def test_start_returns_when_all_is_loaded_however_long_that_takes(tmp_path: Path) -> None:
    with ValkeyServer(tmp_path / "queue") as server, client(server) as redis, redis.pipeline(False) as pipeline:
        for n in range(6000):
            pipeline.set(f"{n}", n)
        pipeline.execute()
    # Microseconds of each of the 6,000; it looks at its socket once in 1,024 of them.
    slow = Program(config={**CONFIG, "key-load-delay": "600"})
    began = time.monotonic()
    # Longer than the first answer takes on a busy machine, and shorter than loading.
    with ValkeyServer(tmp_path / "queue", Timings(start=3.0), slow) as server, client(server) as redis:
        assert time.monotonic() - began > 3.0
        assert redis.dbsize() == 6000


def test_one_that_never_answers_is_ended(tmp_path: Path) -> None:
    program = tmp_path / "valkey"
    program.write_text('#!/bin/sh\necho "I am $$."\nexec sleep 1000\n')
    program.chmod(0o755)
    with pytest.raises(LedgerUnavailable, match=r"does not start \(no answer for 0\.5 s\)\.\nI am (\d+)\.$") as caught:
        ValkeyServer(tmp_path / "queue", Timings(start=0.5), Program(program)).start()
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
