"""How many bytes of images are in hand at a time."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import pytest
from waiting import until

from services.catalog.catalog import Catalog
from services.descriptions import Form
from services.images.budget import IN_HAND, ByteBudget
from services.images.decoder import Decoder
from services.images.intake import Intake, nothing
from services.images.limits import Limits
from services.records import Change, RemoteImage
from services.storage.media import Media
from services.testing import StubFetcher, picture

SECONDS = 5.0


class Visitor(threading.Thread):
    """Holds bytes in a room until it may go."""

    def __init__(self, room: ByteBudget, size: int | None, actual: int | None = None, *, urgent: bool = False) -> None:
        super().__init__(daemon=True)
        self.urgent = urgent
        self._room, self._size, self._actual = room, size, actual
        self.inside, self.may_go = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with self._room.hold(self._size, urgent=self.urgent) as correct:
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


def test_an_urgent_one_passes_those_that_wait_but_for_one() -> None:
    """Given a large image and others that wait, I expect urgent ones and others to be admitted in turns."""
    room = ByteBudget(100)
    inside = Visitor(room, 100)
    assert inside.entered
    large = Visitor(room, 100)
    assert large.waits
    others = [Visitor(room, 60) for _ in range(2)]
    urgent = [Visitor(room, 60, urgent=True) for _ in range(2)]
    assert all(each.waits for each in [*others, *urgent])
    admitted = []
    for _ in range(5):
        inside.leave()
        inside = next_inside([large, *others, *urgent], admitted)
    inside.leave()
    assert [each.urgent for each in admitted] == [True, False, True, False, False]
    assert admitted[1] is large, "the others come in their order"


def next_inside(waiting: list[Visitor], admitted: list[Visitor]) -> Visitor:
    """The one that is admitted next; appended to those that were before."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for each in waiting:
            if each not in admitted and each.inside.is_set():
                admitted.append(each)
                return each
        time.sleep(0.001)
    raise AssertionError("nobody is admitted")


def test_urgent_ones_within_the_reserve_wait_for_no_others() -> None:
    """Given others that hold all they may for as long as they like, I expect urgent ones to have the reserve."""
    room = ByteBudget(100, reserve=20)
    inside = Visitor(room, 80)
    assert inside.entered
    waiting = Visitor(room, 1)
    assert waiting.waits, "the reserve is not for the others"
    urgent = [Visitor(room, 15, urgent=True)]
    assert urgent[0].entered
    urgent.append(Visitor(room, 15, urgent=True))
    assert urgent[1].waits, "the reserve has an end"
    urgent[0].leave()
    assert urgent[1].entered and waiting.waits
    inside.leave()
    assert waiting.entered
    waiting.leave()
    urgent[1].leave()


def test_the_reserve_starves_no_large_one() -> None:
    """Given urgent ones without a pause, I expect an image larger than the others may hold to come in all the same."""
    room = ByteBudget(100, reserve=20)
    urgent = Visitor(room, 20, urgent=True)
    assert urgent.entered
    large = Visitor(room, 1000)
    assert large.entered
    large.leave()
    urgent.leave()


BLACK = np.zeros((8, 8, 3), np.uint8)


class ManualDecoder:
    """Decodes nothing until `finish_one` or the end of the block, and notes how many wait for it at a time."""

    processes = 2

    def __init__(self) -> None:
        self.most = 0
        self._ended = False
        self._waiting: list[tuple[bytes, Future[Any], Any]] = []
        self._change = threading.Condition()

    def submit(self, data: bytes, form: Form) -> Future[Any]:
        return self._submit(data, BLACK)

    def submit_hashed(self, data: bytes, form: Form) -> Future[Any]:
        return self._submit(data, (BLACK, "hash"))

    def submit_thumbnail(self, data: bytes, side: int = 320) -> Future[Any]:
        return self._submit(data, b"thumbnail")

    def _submit(self, data: bytes, result: object) -> Future[Any]:
        future: Future[Any] = Future()
        with self._change:
            if self._ended:
                future.cancel()
                return future
            self._waiting.append((data, future, result))
            self.most = max(self.most, len(self._waiting))
            self._change.notify_all()
        return future

    def finish_one(self, data: bytes | None = None) -> bytes:
        """Waits until one is submitted (this one, where `data` is given), and decodes the first."""

        def found() -> tuple[bytes, Future[Any], Any] | None:
            return next((each for each in self._waiting if data in (None, each[0])), None)

        with self._change:
            each = self._change.wait_for(found, SECONDS)
            assert each, "nothing is submitted"
            self._waiting.remove(each)
        each[1].set_result(each[2])
        return each[0]

    def is_given(self, data: bytes) -> bool:
        with self._change:
            return any(each == data for each, *_ in self._waiting)

    def __enter__(self) -> "ManualDecoder":
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._ended = True
            for _, future, _ in self._waiting:
                future.cancel()


@pytest.fixture
def manual() -> ManualDecoder:
    return ManualDecoder()


@pytest.fixture
def intake(media: Media, manual: ManualDecoder) -> Intake:
    """One with a budget of 100 bytes."""
    decoder: Any = manual
    return Intake(
        media,
        decoder,
        StubFetcher(),
        threads=4,
        max_bytes=1000,
        check_space=lambda planned: None,
        budget=ByteBudget(100),
    )


@pytest.mark.parametrize(("size", "most"), [(10, 4), (60, 1)], ids=["room for all", "room for one"])
def test_images_wait_for_room(intake: Intake, manual: ManualDecoder, size: int, most: int) -> None:
    """Given four threads, I expect as many images in progress as there is room for."""
    images = [(bytes([n]) * size, None) for n in range(12)]
    with ThreadPoolExecutor(1) as pool, manual:
        batch = pool.submit(intake.pictures, images, Form(8, "nearest"), nothing)
        # A sound budget gives nobody else in, however long this waits for one.
        until(lambda: manual.most >= most)
        for _ in images:
            manual.finish_one()
        assert len(batch.result(SECONDS)) == 12
    assert manual.most == most


@pytest.mark.parametrize("kind", ["picture_now", "thumbnail"])
def test_a_picture_of_a_search_waits_for_room_and_is_answered_before_the_batch_is(
    intake: Intake, manual: ManualDecoder, kind: str
) -> None:
    """Given images of batches that fill the budget without end, I expect one of them at most before a search."""
    images = [(bytes([n]) * 60, None) for n in range(12)]
    query = b"?" * 60
    with ThreadPoolExecutor(2) as pool, manual:
        batch = pool.submit(intake.pictures, images, Form(8, "nearest"), nothing)
        until(lambda: manual.most == 1)
        call = (
            (lambda: intake.thumbnail(query))
            if kind == "thumbnail"
            else lambda: intake.picture_now(query, Form(8, "nearest"))
        )
        search = pool.submit(call)
        assert not wait([search], 0.05).done
        assert not manual.is_given(query), "its bytes have no room"
        order = []
        while query not in order:
            order.append(manual.finish_one())
        search.result(SECONDS)
        assert len(order) <= 3, "one was decoded already, and one may have come before"
        assert not batch.done()
        while len(order) < 13:
            order.append(manual.finish_one())
        assert len(batch.result(SECONDS)) == 12
    assert manual.most == 1


class SlowHost:
    """A fetcher that answers when `answers` is set."""

    def __init__(self) -> None:
        self.asked, self.answers = threading.Semaphore(0), threading.Event()

    def fetch(self, url: str) -> bytes:
        self.asked.release()
        assert self.answers.wait(SECONDS)
        return b"?"

    def close(self) -> None:
        """Nothing to close."""


def test_a_search_does_not_wait_for_the_slow_hosts_of_a_batch(media: Media, manual: ManualDecoder) -> None:
    """Given a batch that holds all the bytes it may while its hosts send nothing, I expect a search to be answered."""
    decoder: Any = manual
    host = SlowHost()
    intake = Intake(media, decoder, host, threads=2, max_bytes=1 << 30, check_space=lambda planned: None)
    large = b"!" * IN_HAND  # after it, images of unknown size are expected to be as large
    query = b"?" * 1000
    with ThreadPoolExecutor(2) as pool, manual:
        known = pool.submit(intake.pictures, [(large, None)], Form(8, "nearest"), nothing)
        manual.finish_one()
        assert len(known.result(SECONDS)) == 1
        batch = pool.submit(intake.pictures, [(RemoteImage("http://slow/1"), None)], Form(8, "nearest"), nothing)
        assert host.asked.acquire(timeout=SECONDS)
        search = pool.submit(intake.picture_now, query, Form(8, "nearest"))
        try:
            assert manual.finish_one() == query
            search.result(SECONDS)
            assert not batch.done()
        finally:
            host.answers.set()
        assert manual.finish_one() == b"?"
        assert len(batch.result(SECONDS)) == 1


@pytest.mark.parametrize("index", ["memory"], indirect=True)
def test_searches_and_thumbnails_of_a_catalog_are_in_the_budget(make: Callable[..., Catalog], media: Media) -> None:
    """Given a budget that another holds, I expect both to wait until that releases it."""
    budget = ByteBudget(100)
    with (
        Decoder(1, 10.0, 1 << 30, Limits(1_000_000, 1_000_000)) as decoder,
        ThreadPoolExecutor(2) as pool,
    ):
        intake = Intake(
            media,
            decoder,
            StubFetcher(),
            threads=4,
            max_bytes=1_000_000,
            check_space=lambda planned: None,
            budget=budget,
        )
        catalog = make(intake=intake)
        red = picture((200, 30, 30))
        catalog.apply([Change("red", image=red, version=1)])
        with budget.hold(1):
            asked = [pool.submit(catalog.search_image, red), pool.submit(catalog.thumbnail, "red")]
            assert not wait(asked, 0.2).done
        assert [each.product_id for each in asked[0].result(SECONDS)] == ["red"]
        assert asked[1].result(SECONDS)[8:12] == b"WEBP"


@pytest.mark.parametrize("index", ["memory"], indirect=True)
def test_a_search_has_few_images_before_it(make: Callable[..., Catalog], media: Media, decoder: Decoder) -> None:
    """Given batches of many threads, I expect no more images to wait for a child than keep it busy."""
    decode, most, waiting = decoder.submit_hashed, 0, 0
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

    watched: Any = type("Decoder", (), {"submit_hashed": staticmethod(submit), "processes": decoder.processes})()
    intake = Intake(media, watched, StubFetcher(), threads=4, max_bytes=1_000_000, check_space=lambda planned: None)
    catalog = make(intake=intake)
    batches = [
        [Change(f"p{batch}-{n}", image=picture((200, 30, 30), n), version=1) for n in range(12)] for batch in range(3)
    ]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(catalog.apply, batches))
    assert catalog.count() == 36
    assert 0 < most <= 4
