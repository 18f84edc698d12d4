"""Locks on files: one holder at a time, released when the file is closed."""

import threading
from pathlib import Path

import pytest

from services.storage.locks import locked_for_replacement, open_locked, read_fields, try_lock, write_fields

SECONDS = 10.0


def test_one_at_a_time_holds_a_lock_file(tmp_path: Path) -> None:
    first = open_locked(tmp_path / "lock")
    assert first
    assert open_locked(tmp_path / "lock", attempts=2) is None
    first.close()
    again = open_locked(tmp_path / "lock")
    assert again
    again.close()


def test_shared_locks_exclude_only_the_exclusive_one(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    file.touch()
    with file.open() as one, file.open() as other:
        assert try_lock(one, shared=True) and try_lock(other, shared=True)
        assert open_locked(file) is None


def test_what_a_holder_writes_replaces_what_it_wrote_before(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with open_locked(file) or pytest.fail("the lock is free") as stream:
        write_fields(stream, {"pid": 1, "command": "a long one"})
        write_fields(stream, {"pid": 2})
        assert read_fields(file) == {"pid": 2}


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"\xff"])
def test_a_lock_file_cut_off_says_nothing(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "lock").write_bytes(text)
    assert read_fields(tmp_path / "lock") == {}


def test_whoever_waited_gets_the_file_that_replaced_the_one_it_waited_for(tmp_path: Path) -> None:
    """Given a holder that renames a new file over the locked one, I expect the next to read the new file."""
    file, read = tmp_path / "keys", []
    file.write_text("old")

    def wait() -> None:
        with locked_for_replacement(file) as stream:
            read.append(stream.read())

    with locked_for_replacement(file) as stream:
        assert stream.read() == "old"
        waiter = threading.Thread(target=wait)
        waiter.start()
        waiter.join(0.05)
        assert waiter.is_alive()
        (tmp_path / "new").write_text("new")
        (tmp_path / "new").replace(file)
    waiter.join(SECONDS)
    assert read == ["new"]


def test_a_file_is_made_only_where_that_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locked_for_replacement(tmp_path / "keys"):
        pass
    with locked_for_replacement(tmp_path / "keys", create=True) as stream:
        assert stream.read() == ""
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
