"""What one process does at a time."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from workshop import until

from services.errors import LedgerUnavailable
from services.ledger import Ledger, connect


def test_never_two_at_once_and_each_has_its_turn(redis: Redis, valkey_url: str) -> None:
    inside, most, turns = 0, 0, 0

    def one(_: int) -> None:
        nonlocal inside, most, turns
        ledger = Ledger(connect(valkey_url))
        for _ in range(5):
            with ledger.exclusive("shoes"):
                inside += 1
                most = max(most, inside)
                threading.Event().wait(0.002)
                turns += 1
                inside -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(one, range(8)))
    assert (most, turns) == (1, 40)


def test_other_names_are_others_and_an_error_lets_go(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger.exclusive("shoes"), ledger.exclusive("hats"):
        _ = 1 / 0
    with ledger.exclusive("shoes"), ledger.exclusive("hats"):
        pass


def test_who_takes_too_long_keeps_nobody_out_and_ends_no_others_turn(redis: Redis, valkey_url: str) -> None:
    slow, other, third = (Ledger(connect(valkey_url), exclusive_seconds=each) for each in (0.3, 30, 0.2))
    turn = slow.exclusive("shoes")
    turn.__enter__()
    until(lambda: not redis.exists("la:exclusive:shoes"))
    with other.exclusive("shoes"):
        turn.__exit__(None, None, None)
        started = time.monotonic()
        with pytest.raises(LedgerUnavailable, match="Another process is at work on shoes"), third.exclusive("shoes"):
            pass
        assert time.monotonic() - started < 20
