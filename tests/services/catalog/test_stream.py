"""A stream of changes: batches, several at a time, each product's changes in their order."""

import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from services.catalog.stream import AT_ONCE, applied
from services.records import Change, Outcome, State


def change(number: int, image: bytes = b"") -> Change:
    return Change(f"p{number}", image=image)


def done(changes: Sequence[Change]) -> list[Outcome]:
    return [Outcome(each.product_id, State.APPLIED) for each in changes]


class Gate:
    """An `apply` that ends when it is told to."""

    def __init__(self) -> None:
        self.begun: list[list[str]] = []
        self.may_end: dict[str, threading.Event] = {}
        self._change = threading.Condition()

    def __call__(self, changes: Sequence[Change]) -> list[Outcome]:
        ids = [each.product_id for each in changes]
        end = threading.Event()
        with self._change:
            self.begun.append(ids)
            self.may_end[ids[0]] = end
            self._change.notify_all()
        assert end.wait(60)
        return done(changes)

    def wait_for(self, batches: int) -> None:
        with self._change:
            assert self._change.wait_for(lambda: len(self.begun) >= batches, 60)


def test_every_change_has_one_outcome_in_batches_of_the_size() -> None:
    sizes = []

    def apply(changes: Sequence[Change]) -> list[Outcome]:
        sizes.append(len(changes))
        return done(changes)

    outcomes = list(applied(map(change, range(20)), apply, 8))
    assert sorted(each.product_id for each in outcomes) == sorted(f"p{n}" for n in range(20))
    assert sorted(sizes) == [4, 8, 8]
    assert list(applied([], apply, 8)) == []


def test_some_batches_are_in_hand_at_a_time_and_no_more_is_taken() -> None:
    gate = Gate()
    taken = 0

    def endless() -> Iterator[Change]:
        nonlocal taken
        while True:
            taken += 1
            yield change(taken)

    run = applied(endless(), gate, 2)
    told: list[Outcome] = []
    reader = threading.Thread(target=lambda: told.extend(next(run) for _ in range(2)), daemon=True)
    reader.start()
    gate.wait_for(AT_ONCE)
    time.sleep(0.05)
    assert len(gate.begun) == AT_ONCE
    assert taken <= 2 * (AT_ONCE + 1) + 1
    gate.may_end["p3"].set()
    reader.join(5)
    assert [each.product_id for each in told] == ["p3", "p4"]
    for event in gate.may_end.values():
        event.set()
    run.close()


@pytest.mark.parametrize("others", [0, 1, 5])
def test_a_second_change_of_a_product_waits_for_the_first(others: int) -> None:
    gate = Gate()
    changes = [change(0), *(change(n) for n in range(1, others + 1)), change(0)]
    told: list[Outcome] = []
    reader = threading.Thread(target=lambda: told.extend(applied(changes, gate, 100)), daemon=True)
    reader.start()
    gate.wait_for(1)
    time.sleep(0.05)
    assert len(gate.begun) == 1
    gate.may_end["p0"].set()
    gate.wait_for(2)
    assert gate.begun[1] == ["p0"]
    gate.may_end["p0"].set()
    reader.join(5)
    assert [each.product_id for each in told].count("p0") == 2


def test_batches_have_not_too_many_bytes_of_images() -> None:
    batches = []

    def apply(changes: Sequence[Change]) -> list[Outcome]:
        batches.append([len(each.image) for each in changes if isinstance(each.image, bytes)])
        return done(changes)

    list(
        applied(
            [change(n, b"x" * size) for n, size in enumerate([40, 40, 40, 500, 1, 99, 1])], apply, 10, max_bytes=100
        )
    )
    assert sorted(batches) == [[1], [1, 99], [40], [40, 40], [500]]


def test_what_apply_raises_ends_the_run_after_the_other_batches_are_told() -> None:
    ended: list[str] = []

    def apply(changes: Sequence[Change]) -> list[Outcome]:
        if changes[0].product_id == "p2":
            raise OSError("away")
        time.sleep(0.1)
        ended.extend(each.product_id for each in changes)
        return done(changes)

    told = []
    with pytest.raises(OSError, match="away"):
        for outcome in applied(map(change, range(100)), apply, 2):
            told.append(outcome.product_id)
    assert sorted(told) == sorted(ended)
    assert len(told) < 100


def test_what_the_stream_raises_ends_the_run_after_its_batches_are_told() -> None:
    def broken() -> Iterator[Change]:
        yield from map(change, range(4))
        raise ValueError("no list")

    told = []
    with pytest.raises(ValueError, match="no list"):
        for outcome in applied(broken(), done, 2):
            told.append(outcome.product_id)
    assert sorted(told) == ["p0", "p1", "p2", "p3"]


def test_an_interrupt_is_answered_at_once() -> None:
    gate = Gate()
    run = applied(map(change, range(100)), gate, 2)
    first = threading.Thread(target=lambda: next(run), daemon=True)
    first.start()
    gate.wait_for(AT_ONCE)
    gate.may_end["p0"].set()
    first.join(5)
    started = time.monotonic()
    run.close()
    assert time.monotonic() - started < 30
    begun = len(gate.begun)
    for event in gate.may_end.values():
        event.set()
    time.sleep(0.05)
    assert len(gate.begun) == begun
