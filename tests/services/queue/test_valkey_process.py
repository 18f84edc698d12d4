"""A Valkey whose parent was killed, and processes that only look like one."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from valkeys import answers, client, is_gone, running, started
from waiting import until

from services.errors import LedgerUnavailable
from services.queue.valkey import Timings, ValkeyServer
from services.queue.valkey_process import LAUNCHER

pytestmark = pytest.mark.disk


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path / "queue") as server:
        yield server


SCRIPT = """
import os, signal, sys
from pathlib import Path
from services.queue.valkey import ValkeyServer
from services.queue.valkey_process import LAUNCHER, Program, ask

interrupts = []
signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))
deaf = Program(launcher=LAUNCHER.replace("PR_SET_PDEATHSIG = 1", "PR_SET_PDEATHSIG = 0"))
server = ValkeyServer(Path(sys.argv[1]), program=deaf if sys.argv[2:] else None)
server.start()
print(server.pid, server.url, flush=True)
while not interrupts:
    signal.pause()
socket = Path(server.url.removeprefix("unix://").removesuffix("?db=0"))
print(server.pid, server.restarts, ask(socket), flush=True)
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
def test_one_that_outlived_its_parent_is_ended_before_the_next_writes(tmp_path: Path, hangs: bool) -> None:
    folder = tmp_path / "queue"
    with Service(folder, deaf=True) as service:
        pass
    try:
        with client(service.url) as redis:
            redis.set("a", 1)
        if hangs:
            os.kill(service.pid, signal.SIGSTOP)
        timings = Timings(stop=0.5) if hangs else Timings()
        with ValkeyServer(folder, timings) as server, client(server) as redis:
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


def test_a_holder_that_is_no_valkey_is_left_alone(tmp_path: Path, bystander: "subprocess.Popen[bytes]") -> None:
    file = tmp_path / "valkey.pid"
    file.write_text(json.dumps({"pid": bystander.pid, "started": started(bystander.pid)}))
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LedgerUnavailable, match=rf"held by a Valkey \(process {bystander.pid}\): end it"):
            ValkeyServer(tmp_path, Timings(stop=0.1)).start()


def test_a_valkey_that_is_not_the_holder_is_left_alone(server: ValkeyServer, tmp_path: Path) -> None:
    folder = tmp_path / "another"
    folder.mkdir()
    pid = running(server)
    file = folder / "valkey.pid"
    file.write_text(json.dumps({"pid": pid, "started": str(int(started(pid)) - 1)}))
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LedgerUnavailable, match="end it and start again"):
            ValkeyServer(folder, Timings(stop=0.1)).start()
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


def test_a_restart_waits_for_whoever_still_holds_the_file(tmp_path: Path) -> None:
    with (
        ValkeyServer(tmp_path, Timings(first_pause=0.5)) as server,
        (tmp_path / "valkey.pid").open() as held,
        client(server) as redis,
    ):
        pid = running(server)
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
    command = [sys.executable, "-I", "-S", "-c", LAUNCHER, "1", "/bin/echo", "started"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert list(tmp_path.iterdir()) == []
