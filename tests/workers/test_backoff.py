"""Pauses that grow while a catalog fails, and what begins them anew."""

import time

from workers.backoff import Backoff

LONG = 3600.0


def now() -> float:
    return time.monotonic()


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(first=1.0, longest=5.0)
    assert [backoff.failed("c", now()).pause for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_each_catalog_has_its_own() -> None:
    backoff = Backoff(first=1.0)
    assert [backoff.failed(each, now()).pause for each in ("a", "a", "b")] == [1.0, 2.0, 1.0]


def test_how_long_it_fails_counts_from_the_first_failure() -> None:
    backoff = Backoff()
    assert backoff.failed("c", now() - LONG).failing_for == 0.0, "not from the beginning of the try"
    between = now()
    while now() == between:
        """Until the clock has moved."""
    assert backoff.failed("c", now()).failing_for > 0.0


def test_a_success_begins_anew() -> None:
    backoff = Backoff(first=1.0)
    for _ in range(3):
        backoff.failed("c", now())
    backoff.succeeded("c")
    assert backoff.failed("c", now()).pause == 1.0
    backoff.succeeded("unknown")


def test_failures_of_long_ago_do_not_count() -> None:
    backoff = Backoff(first=1.0, forget_after=60.0)
    backoff.failed("c", now())
    assert backoff.failed("c", now() + 59.0).pause == 2.0
    again = backoff.failed("c", now() + 61.0)
    assert (again.pause, again.failing_for) == (1.0, 0.0)
