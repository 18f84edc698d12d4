"""How many bytes of images are in hand at a time."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from services.catalog.catalog import Catalog
from services.images.budget import ByteBudget
from services.records import Change
from services.testing import picture

SECONDS = 5.0


class Visitor(threading.Thread):
    """Holds bytes in a room until it may go."""

    def __init__(self, room: ByteBudget, size: int | None, actual: int | None = None) -> None:
        super().__init__(daemon=True)
        self._room, self._size, self._actual = room, size, actual
        self.inside, self.may_go = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with self._room.hold(self._size) as correct:
            if self._actual is not None:
                correct(self._actual)
            self.inside.set()
            assert self.may_go.wait(SECONDS)

    def leave(self) -> None:
        self.may_go.set()
        self.join(SECONDS)
        assert not self.is_alive()

    @property
    def waits(self) -> bool:
        return not self.inside.wait(0.05)

    @property
    def entered(self) -> bool:
        return self.inside.wait(SECONDS)


def test_there_is_room_for_so_many_bytes_and_no_more() -> None:
    room = ByteBudget(100)
    first, second = Visitor(room, 60), Visitor(room, 40)
    assert first.entered and second.entered
    third = Visitor(room, 1)
    assert third.waits
    second.leave()
    assert third.entered
    first.leave()
    third.leave()


def test_what_is_larger_than_the_room_goes_alone_and_is_not_passed_by_smaller_ones() -> None:
    room = ByteBudget(100)
    small = Visitor(room, 10)
    assert small.entered
    large = Visitor(room, 1000)
    assert large.waits
    behind = Visitor(room, 10)
    assert behind.waits
    small.leave()
    assert large.entered and behind.waits
    large.leave()
    assert behind.entered
    behind.leave()


def test_what_turns_out_smaller_than_expected_makes_room() -> None:
    room = ByteBudget(100)
    with room.hold(100) as correct:
        second = Visitor(room, 90)
        assert second.waits
        correct(10)
        assert second.entered
    second.leave()


def test_an_unknown_size_is_expected_to_be_what_was_usual_lately() -> None:
    room = ByteBudget(100)
    Visitor(room, None, actual=80).leave()
    first = Visitor(room, None, actual=80)
    assert first.entered
    second = Visitor(room, None)
    assert second.waits
    first.leave()
    assert second.entered
    second.leave()


def test_a_fault_gives_its_room_back() -> None:
    room = ByteBudget(100)
    with pytest.raises(ValueError), room.hold(100):
        raise ValueError
    with room.hold(100):
        pass


@pytest.mark.parametrize("index", ["memory"], indirect=True)
def test_images_wait_for_room(make: Callable[..., Catalog], tmp_path: Any) -> None:
    """Given four threads and room for one image, I expect that one image is in hand at a time."""
    catalog = make()
    intake: Any = catalog._intake
    most, inside, lock = 0, 0, threading.Lock()
    decode = intake._picture

    def watched(*arguments: Any) -> Any:
        nonlocal most, inside
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.01)
        try:
            return decode(*arguments)
        finally:
            with lock:
                inside -= 1

    intake._picture = watched
    changes = []
    for number in range(12):
        path = tmp_path / f"{number}.png"
        path.write_bytes(picture((200, 30, 30), number))
        changes.append(Change(f"p{number}", image=path, version=number + 1))
    catalog.apply(changes[:6])
    assert most > 1
    intake._room, most = ByteBudget(10_000), 0
    catalog.apply(changes[6:])
    assert (most, catalog.count()) == (1, 12)


@pytest.mark.parametrize("index", ["memory"], indirect=True)
def test_a_search_has_few_images_before_it(make: Callable[..., Catalog]) -> None:
    """Given batches of many threads, I expect no more images to wait for a child than keep it busy."""
    catalog = make()
    intake: Any = catalog._intake
    decode, most, waiting = intake.decoder.submit, 0, 0
    lock = threading.Lock()

    def ended(_: Any) -> None:
        nonlocal waiting
        with lock:
            waiting -= 1

    def submit(*arguments: Any) -> Any:
        nonlocal most, waiting
        with lock:
            waiting += 1
            most = max(most, waiting)
        future = decode(*arguments)
        future.add_done_callback(ended)
        return future

    intake.decoder = type("Decoder", (), {"submit": staticmethod(submit)})()
    batches = [
        [Change(f"p{batch}-{n}", image=picture((200, 30, 30), n), version=1) for n in range(12)] for batch in range(3)
    ]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(catalog.apply, batches))
    assert catalog.count() == 36
    assert 0 < most <= 4
