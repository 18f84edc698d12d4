"""Work that nobody waits for: a little of it at a time, and what fails is told."""

import threading

from structlog.testing import capture_logs

from services.catalog.background import Background
from services.errors import Closed, IndexUnavailable


def raising(error: Exception) -> object:
    raise error


def test_work_is_done_in_its_order_and_no_more_than_a_few_wait() -> None:
    done: list[int] = []
    go = threading.Event()
    background = Background(waiting=3)
    assert background.submit("waiting", lambda: go.wait(20))
    assert [background.submit("more", lambda n=n: done.append(n)) for n in range(4)] == [True, True, False, False]  # type: ignore[misc]
    assert not background.wait(0.01)
    go.set()
    assert background.wait(20) and done == [0, 1]
    assert background.submit("again", lambda: done.append(9)) and background.wait(20)
    assert done == [0, 1, 9]
    background.close()
    assert not background.submit("late", lambda: None)


def test_what_fails_is_logged_and_keeps_nothing_from_what_comes_after() -> None:
    background = Background()
    done: list[int] = []
    with capture_logs() as logs:
        background.submit("one", lambda: raising(IndexUnavailable("It is away.")))
        background.submit("two", lambda: raising(ValueError("a bug")))
        background.submit("three", lambda: raising(Closed("It ends.")))
        background.submit("four", lambda: done.append(1))
        assert background.wait(20)
    background.close()
    assert done == [1]
    assert [(each["event"], each["log_level"], each.get("code")) for each in logs] == [
        ("one failed", "warning", "index_unavailable"),
        ("two failed", "error", None),
    ]
