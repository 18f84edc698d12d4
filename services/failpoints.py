"""Named points of the work where a test makes it fail: by an exception, by a stop, by the end of the process.

None is set unless a test sets one, and then a point costs a look at an empty dict. What is set counts for the process:
the work passes its points in threads of many owners, and a point that had to be handed to all of them would be in every
signature for the sake of the tests.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

POINTS = (
    "accept",  # before a chunk of changes is written; the last one commits the job
    "accepted",  # the job is committed, the caller does not know yet
    "claim",  # before changes are claimed
    "claimed",  # the ledger has given them out, the worker has not begun
    "fetch",  # before the bytes of an image are read
    "decode",  # before bytes become pixels
    "encode",  # before pixels become vectors
    "upsert",  # before a batch is written
    "upserted",  # it is written, its outcomes are not told
    "record",  # before outcomes are told
    "recorded",  # the ledger has them, the worker does not know yet
    "upkeep",  # before leases that are over are given on
)

Act = Callable[[], None]
_acts: dict[str, Act] = {}


def hit(point: str) -> None:
    """Where the work passes a point: does what a test has set there."""
    if _acts and (act := _acts.get(point)):
        act()


def enable(point: str, act: Act) -> None:
    """Has this done whenever the point is reached, by whichever thread, until another is placed or it is removed."""
    if point not in POINTS:
        raise ValueError(f"{point!r} is no fault point; there are {', '.join(POINTS)}")
    _acts[point] = act


def disable(point: str) -> None:
    """Takes away what was placed."""
    _acts.pop(point, None)


@contextmanager
def enabled(point: str, act: Act) -> Iterator[None]:
    """Has this done at the point while the block runs."""
    enable(point, act)
    try:
        yield
    finally:
        disable(point)
