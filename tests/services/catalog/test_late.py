"""A batch goes on without images that are late, and they end as if it had waited."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from hashlib import sha256

import pytest

from services.catalog.catalog import Catalog
from services.descriptions import Form
from services.errors import FetchTimeout
from services.images.intake import LATE, Intake, Picture, nothing
from services.index.vector_index import VectorIndex
from services.records import Change, ChangeKind, Outcome, RemoteImage, State
from services.testing import picture

RED, GREEN, BLUE = picture((220, 30, 30)), picture((30, 200, 40)), picture((30, 40, 210))
SECONDS = 20.0

pytestmark = pytest.mark.parametrize("index", ["memory"], indirect=True)


class Gate:
    """Fetches at once what its URL names, but nothing of the host "slow" while it is closed."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.asked: list[str] = []

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        host, _, name = url.partition("/")
        assert host != "slow" or self.open.wait(SECONDS)
        if name == "never":
            raise FetchTimeout("slow/never took more than 15 seconds; try again later.")
        return {"red": RED, "green": GREEN, "blue": BLUE}[name]

    def close(self) -> None:
        self.open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.close()


@pytest.fixture
def taking(make_intake: Callable[..., Intake], gate: Gate) -> Intake:
    return make_intake(fetcher=gate, quiet_seconds=0.6)


@pytest.fixture
def catalog(make: Callable[..., Catalog], taking: Intake) -> Catalog:
    """One whose decoder is awake, for what takes long is late."""
    catalog = make(intake=taking)
    some = [put(f"awake{number}", "fast/red") for number in range(12)]
    catalog.apply(some)
    catalog.apply([Change(each.product_id, ChangeKind.DELETE) for each in some])
    return catalog


def put(product_id: str, url: str, version: int | None = None) -> Change:
    return Change(product_id, image=RemoteImage(url), version=version)


def applied(*ids: str) -> list[Outcome]:
    return [Outcome(each, State.APPLIED) for each in ids]


def test_others_do_not_wait_for_what_is_late(catalog: Catalog, index: VectorIndex, gate: Gate) -> None:
    changes = [put("a", "fast/red", 1), put("b", "slow/green", 1), put("c", "slow/never", 1), put("d", "fast/blue", 1)]
    outcomes, finish = catalog.apply_early(changes)
    assert outcomes == applied("a", "d")
    assert index.get(["b", "c"]) == [None, None]
    assert finish
    gate.open.set()
    assert finish() == [
        *applied("b"),
        Outcome("c", State.FAILED, "fetch_timeout", "slow/never took more than 15 seconds; try again later."),
    ]
    assert sorted(gate.asked[12:]) == ["fast/blue", "fast/red", "slow/green", "slow/never"]
    assert catalog.count() == 3


def test_where_nothing_is_late_nothing_is_left(catalog: Catalog) -> None:
    changes = [put("a", "fast/red", 1), Change("b", ChangeKind.DELETE), put("c", "fast/green", 1)]
    outcomes, finish = catalog.apply_early(changes)
    assert [(outcome.product_id, outcome.state) for outcome in outcomes] == [
        ("a", State.APPLIED),
        ("b", State.UNCHANGED),
        ("c", State.APPLIED),
    ]
    assert finish is None


def test_without_early_all_is_waited_for(catalog: Catalog, gate: Gate) -> None:
    threading.Timer(0.5, gate.open.set).start()
    assert catalog.apply([put("a", "fast/red"), put("b", "slow/green")]) == applied("a", "b")


@pytest.mark.parametrize(
    ("meanwhile", "late", "state", "shown"),
    [
        (put("a", "fast/blue", 8), put("a", "slow/green", 7), State.SUPERSEDED, BLUE),
        (put("a", "fast/blue", 6), put("a", "slow/green", 7), State.APPLIED, GREEN),
        (put("a", "fast/green", 6), put("a", "slow/green", 7), State.UNCHANGED, GREEN),
        # What came late is the image that was known, and is not any more.
        (put("a", "fast/blue", 6), put("a", "slow/red", 7), State.APPLIED, RED),
        (Change("a", ChangeKind.DELETE, version=6), put("a", "slow/red", 7), State.APPLIED, RED),
        (Change("a", ChangeKind.DELETE, version=8), put("a", "slow/red", 7), State.SUPERSEDED, None),
    ],
)
def test_what_is_late_meets_what_was_written_meanwhile(
    catalog: Catalog, index: VectorIndex, gate: Gate, meanwhile: Change, late: Change, state: State, shown: bytes | None
) -> None:
    catalog.apply([put("a", "fast/red", 5)])
    outcomes, finish = catalog.apply_early([late])
    assert outcomes == [] and finish
    catalog.apply([meanwhile])
    gate.open.set()
    assert finish() == [Outcome("a", state)]
    [found] = index.get(["a"])
    assert (found and found.image) == (shown and sha256(shown).hexdigest())


def test_no_more_than_so_many_are_late(catalog: Catalog, taking: Intake, gate: Gate) -> None:
    """Given as many as may be late, I expect a batch to wait for one more, until one of them is here."""

    def pictures(count: int) -> list[object]:
        images = [(RemoteImage("slow/red"), None)] * count
        return list(taking.pictures(images, Form(8, "nearest"), nothing, early=True))

    late = pictures(LATE)
    assert {type(each) for each in late} == {Future}
    waiting: list[object] = []
    thread = threading.Thread(target=lambda: waiting.extend(pictures(1)))
    thread.start()
    thread.join(1.0)
    assert thread.is_alive()
    gate.open.set()
    thread.join(SECONDS)
    assert len(waiting) == 1
    for each in late:
        assert isinstance(each, Future) and isinstance(each.result(SECONDS), Picture)
    gate.open.clear()
    assert {type(each) for each in pictures(LATE)} == {Future}


def test_what_is_no_images_fault_concerns_the_rest_of_the_batch(catalog: Catalog, taking: Intake, gate: Gate) -> None:
    def full(planned: int) -> None:
        raise OSError("no space")

    _, finish = catalog.apply_early([put("a", "slow/red")])
    taking.check_space = full
    gate.open.set()
    assert finish
    with pytest.raises(OSError, match="no space"):
        finish()
    assert catalog.count() == 0
