"""One encoder for many threads: loaded once, searches first, closed whoever waits."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from workshop import until

from services.encoders.shared import SharedEncoder
from services.errors import Closed, WeightsUnreachable
from services.records import Pixels, Vectors
from services.testing import StubEncoder

SECONDS = 60.0


def pixels(count: int, color: int = 100) -> Pixels:
    return np.full((count, 32, 32, 3), color, np.uint8)


class Stepped(StubEncoder):
    """Encodes one call at a time, when it is let; `calls` are the counts and colors of each."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, ...]] = []
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.closed = 0

    def encode(self, pixels: Pixels) -> Vectors:
        self.calls.append(tuple(int(each[0, 0, 0]) for each in pixels))
        self.begun.release()
        assert self.may_end.acquire(timeout=SECONDS)
        return super().encode(pixels)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


@pytest.fixture
def stepped() -> Iterator[Stepped]:
    encoder = Stepped()
    yield encoder
    encoder.may_end.release(1000)


def waiting(encoder: SharedEncoder, urgent: int = 0, batches: int = 0) -> None:
    """Waits until so many requests wait."""
    until(lambda: encoder.waiting[0] >= urgent and encoder.waiting[1] >= batches, SECONDS)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 64, 70])
@pytest.mark.parametrize("urgent", [False, True])
def test_what_comes_back_is_what_the_encoder_makes(count: int, urgent: bool) -> None:
    batch = np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    encoder = SharedEncoder(StubEncoder)
    np.testing.assert_array_equal(encoder.encode(batch, urgent=urgent), StubEncoder().encode(batch))
    assert encoder.fingerprint() == StubEncoder().fingerprint
    encoder.close()


def test_many_threads_get_each_their_own(pool: ThreadPoolExecutor) -> None:
    encoder = SharedEncoder(StubEncoder)

    def color(number: int) -> list[int]:
        vectors = encoder.encode(pixels(1 + number % 40, number), urgent=number % 3 == 0)
        return [len(vectors), *(round(value * 255) for value in np.unique(vectors))]

    assert list(pool.map(color, range(200))) == [[1 + n % 40, n] for n in range(200)]
    encoder.close()


def test_a_batch_is_cut_into_turns_and_urgent_ones_go_between_them_together(
    stepped: Stepped, pool: ThreadPoolExecutor
) -> None:
    """Given a batch at work and another that waits, I expect searches that come before the very next turn of it."""
    encoder = SharedEncoder(lambda: stepped)
    first = pool.submit(encoder.encode, pixels(40, 1))
    assert stepped.begun.acquire(timeout=SECONDS)
    second = pool.submit(encoder.encode, pixels(16, 2))
    waiting(encoder, batches=1)
    searches = [pool.submit(encoder.encode, pixels(1, 10 + n), urgent=True) for n in range(3)]
    waiting(encoder, urgent=3)
    stepped.may_end.release(1000)
    for each in [first, second, *searches]:
        each.result(SECONDS)
    assert [(len(call), min(call)) for call in stepped.calls] == [(16, 1), (3, 10), (16, 1), (24, 1)]
    encoder.close()


def test_batches_go_on_under_any_number_of_searches(stepped: Stepped, pool: ThreadPoolExecutor) -> None:
    """Given more searches than make a turn, I expect a turn of the batch after each turn of searches."""
    stepped.turn = 4
    encoder = SharedEncoder(lambda: stepped)
    batch = pool.submit(encoder.encode, pixels(12, 1))
    assert stepped.begun.acquire(timeout=SECONDS)
    searches = [pool.submit(encoder.encode, pixels(1, 10), urgent=True) for _ in range(10)]
    waiting(encoder, urgent=10)
    stepped.may_end.release(1000)
    for each in [batch, *searches]:
        each.result(SECONDS)
    assert [(len(call), call[0]) for call in stepped.calls] == [(4, 1), (4, 10), (4, 1), (6, 10), (4, 1)]
    encoder.close()


@pytest.fixture
def two_lanes(stepped: Stepped) -> Stepped:
    stepped.lanes, stepped.turn = 2, 4
    return stepped


def test_lanes_encode_at_the_same_time_and_each_part_comes_back_in_its_place(
    two_lanes: Stepped, pool: ThreadPoolExecutor
) -> None:
    batch = np.random.default_rng(1).integers(0, 256, (23, 32, 32, 3), dtype=np.uint8)
    encoder = SharedEncoder(lambda: two_lanes)
    whole = pool.submit(encoder.encode, batch)
    for _ in range(2):
        assert two_lanes.begun.acquire(timeout=SECONDS), "the second turn begins while the first is under way"
    two_lanes.may_end.release(1000)
    np.testing.assert_array_equal(whole.result(SECONDS), StubEncoder().encode(batch))
    assert sorted(map(len, two_lanes.calls)) == [4, 4, 4, 4, 7]
    encoder.close()


def test_less_than_a_turn_waits_for_the_turn_under_way_but_a_search_does_not(
    two_lanes: Stepped, pool: ThreadPoolExecutor
) -> None:
    """Small turns are slow ones: given an idle lane beside one at work, I expect batches to fill a turn first."""
    encoder = SharedEncoder(lambda: two_lanes)
    first = pool.submit(encoder.encode, pixels(1, 1))
    assert two_lanes.begun.acquire(timeout=SECONDS)
    small = [pool.submit(encoder.encode, pixels(1, 2)) for _ in range(3)]
    waiting(encoder, batches=3)
    search = pool.submit(encoder.encode, pixels(1, 3), urgent=True)
    assert two_lanes.begun.acquire(timeout=SECONDS)
    assert two_lanes.calls == [(1,), (3,)]
    two_lanes.may_end.release(1000)
    for each in [first, search, *small]:
        each.result(SECONDS)
    assert two_lanes.calls == [(1,), (3,), (2, 2, 2)]
    encoder.close()


def test_a_part_that_fails_fails_its_whole_batch_and_the_rest_is_not_encoded() -> None:
    class Fails(StubEncoder):
        turn = 4

        def encode(self, pixels: Pixels) -> Vectors:
            if 66 in pixels:
                raise WeightsUnreachable("not this one")
            return super().encode(pixels)

    fails = Fails()
    encoder = SharedEncoder(lambda: fails)
    bad = pixels(40)
    bad[5] = 66
    with pytest.raises(WeightsUnreachable):
        encoder.encode(bad)
    np.testing.assert_array_equal(encoder.encode(pixels(5)), StubEncoder().encode(pixels(5)))
    assert fails.encoded == 4 + 5
    encoder.close()


def test_it_is_loaded_at_the_first_use_and_once(pool: ThreadPoolExecutor) -> None:
    loads = []

    def load() -> StubEncoder:
        loads.append(threading.current_thread().name)
        time.sleep(0.1)
        return StubEncoder()

    encoder = SharedEncoder(load)
    assert not loads
    list(pool.map(lambda _: encoder.encode(pixels(1)), range(8)))
    encoder.fingerprint()
    assert len(loads) == 1
    encoder.close()


def test_it_is_loaded_in_the_thread_that_needs_it_first() -> None:
    """The bound on a whole download takes the main thread, and Ctrl-C must end it."""
    threads = []
    encoder = SharedEncoder(lambda: threads.append(threading.current_thread()) or StubEncoder())  # type: ignore[func-returns-value]
    encoder.fingerprint()
    assert threads == [threading.current_thread()]
    encoder.close()


def test_a_load_that_fails_fails_for_all_who_wait_and_is_tried_again_by_the_next(pool: ThreadPoolExecutor) -> None:
    may_fail = threading.Event()
    loads = 0

    def load() -> StubEncoder:
        nonlocal loads
        loads += 1
        if loads > 1:
            return StubEncoder()
        assert may_fail.wait(SECONDS)
        raise WeightsUnreachable("no hub")

    encoder = SharedEncoder(load)
    callers = [pool.submit(encoder.encode, pixels(1), urgent=bool(n % 2)) for n in range(6)]
    time.sleep(0.05)
    may_fail.set()
    for caller in callers:
        with pytest.raises(WeightsUnreachable):
            caller.result(SECONDS)
    assert loads == 1
    assert len(encoder.encode(pixels(3))) == 3
    assert loads == 2
    encoder.close()


@pytest.mark.parametrize("urgent", [False, True])
def test_an_error_belongs_to_whoever_asked(urgent: bool) -> None:
    class Failing(StubEncoder):
        def encode(self, pixels: Pixels) -> Vectors:
            if pixels[0, 0, 0, 0] == 13:
                raise MemoryError("13")
            return super().encode(pixels)

    encoder = SharedEncoder(Failing)
    with pytest.raises(MemoryError):
        encoder.encode(pixels(1, 13), urgent=urgent)
    assert len(encoder.encode(pixels(1, 14), urgent=urgent)) == 1
    encoder.close()


def test_closing_ends_everybody_who_waits(stepped: Stepped, pool: ThreadPoolExecutor) -> None:
    encoder = SharedEncoder(lambda: stepped)
    callers: list[Future[Vectors]] = [pool.submit(encoder.encode, pixels(32))]
    assert stepped.begun.acquire(timeout=SECONDS)
    callers += [pool.submit(encoder.encode, pixels(8), urgent=bool(n % 2)) for n in range(6)]
    waiting(encoder, urgent=3, batches=3)
    closing = pool.submit(encoder.close)
    time.sleep(0.05)
    assert not closing.done()
    stepped.may_end.release()
    closing.result(SECONDS)
    for caller in callers:
        with pytest.raises(Closed):
            caller.result(SECONDS)
    assert (len(stepped.calls), stepped.closed) == (1, 1)
    encoder.close()
    assert stepped.closed == 1
    for call in (
        encoder.fingerprint,
        lambda: encoder.encode(pixels(1)),
        lambda: encoder.encode(pixels(1), urgent=True),
    ):
        with pytest.raises(Closed):
            call()


def test_closing_before_a_load_is_done_closes_what_it_brings(pool: ThreadPoolExecutor, stepped: Stepped) -> None:
    may_end = threading.Event()

    def load() -> Stepped:
        assert may_end.wait(SECONDS)
        return stepped

    encoder = SharedEncoder(load)
    caller = pool.submit(encoder.encode, pixels(1))
    time.sleep(0.05)
    encoder.close()
    may_end.set()
    with pytest.raises(Closed):
        caller.result(SECONDS)
    assert stepped.closed == 1


def test_closing_what_was_never_used_loads_nothing() -> None:
    def load() -> StubEncoder:
        raise AssertionError("nobody needs it")

    encoder = SharedEncoder(load)
    encoder.close()
    encoder.close()


def test_a_device_that_hangs_does_not_keep_the_process(stepped: Stepped, pool: ThreadPoolExecutor) -> None:
    encoder = SharedEncoder(lambda: stepped, close_seconds=0.1)
    pool.submit(encoder.encode, pixels(1))
    assert stepped.begun.acquire(timeout=SECONDS)
    behind = [pool.submit(encoder.encode, pixels(1), urgent=urgent) for urgent in (False, True)]
    waiting(encoder, urgent=1, batches=1)
    started = time.monotonic()
    encoder.close()
    for each in behind:
        with pytest.raises(Closed):
            each.result(SECONDS)
    assert time.monotonic() - started < 30
    assert stepped.closed == 0
    stepped.may_end.release()


def test_a_stub_is_as_slow_as_it_is_told(pool: ThreadPoolExecutor) -> None:
    def seconds(encode: Callable[[Pixels], Vectors]) -> float:
        started = time.monotonic()
        encode(pixels(64))
        return time.monotonic() - started

    encoder = SharedEncoder(lambda: StubEncoder(seconds_per_batch=0.4))
    assert 0.4 <= seconds(encoder.encode) < 1.5
    encoder.close()
