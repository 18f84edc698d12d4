"""Who waits for whom where several change catalogs."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest

from services.catalog.sharing import OwnFolder, SharedServer, Sharing


def is_free(sharing: Sharing) -> bool:
    """Whether another thread gets the lock."""

    def take() -> bool:
        if taken := sharing.lock.acquire(blocking=False):
            sharing.lock.release()
        return taken

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(take).result(5)


def inside(context: AbstractContextManager[object], sharing: Sharing) -> bool:
    with context:
        return is_free(sharing)


def test_in_its_own_folder_all_that_was_read_counts_and_one_thread_at_a_time_reads_or_changes() -> None:
    own = OwnFolder()
    assert own.is_fresh(-1e9)
    assert not inside(own.reading(), own)
    assert not inside(own.changing("shoes"), own)
    assert is_free(own)


def test_on_a_server_what_was_read_counts_for_a_while_and_reading_keeps_nobody_waiting() -> None:
    shared = SharedServer(nullcontext, fresh_seconds=60)
    assert shared.is_fresh(time.monotonic()) and not shared.is_fresh(time.monotonic() - 61)
    assert not SharedServer(nullcontext, fresh_seconds=0).is_fresh(time.monotonic())
    assert inside(shared.reading(), shared)
    assert not inside(shared.changing("shoes"), shared)


def test_on_a_server_a_change_waits_for_other_processes_before_it_stops_threads_of_its_own() -> None:
    """Waiting with the lock would stop everything this process does for as long as another one takes."""
    free: list[bool] = []

    @contextmanager
    def exclusive(name: str) -> Iterator[None]:
        assert name == "catalog shoes"
        free.append(is_free(shared))
        yield
        free.append(is_free(shared))

    shared = SharedServer(exclusive)
    with shared.changing("shoes"):
        free.append(is_free(shared))
    assert free == [True, False, True]


@pytest.mark.parametrize("sharing", [OwnFolder(), SharedServer(nullcontext)])
def test_who_changes_a_description_may_read_it(sharing: Sharing) -> None:
    done = threading.Event()

    def nested() -> None:
        with sharing.changing("shoes"), sharing.reading(), sharing.lock:
            done.set()

    threading.Thread(target=nested, daemon=True).start()
    assert done.wait(5)
