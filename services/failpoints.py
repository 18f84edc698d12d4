"""Failpoints: named points in the code where a test injects a fault (an exception, a pause, the end of the process).

None is active unless a test enables one; otherwise a point costs one look-up in an empty dict. They are global to the
process: the points are passed in threads of many owners, and handing a registry of failpoints to each of them would put
it into every signature for the sake of the tests.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

POINTS = (
    "accept",  # before a chunk of changes is written; the last one commits the job
    "accepted",  # the job is committed, the caller does not know yet
    "claim",  # before changes are claimed
    "claimed",  # the ledger has leased them, the worker has not started
    "fetch",  # before the bytes of an image are read
    "decode",  # before image bytes are decoded to pixels
    "encode",  # before pixels are encoded to vectors
    "upsert",  # before a batch is written to the index
    "upserted",  # the batch is written, its outcomes are not yet reported
    "record",  # before outcomes are reported to the ledger
    "recorded",  # the ledger has recorded them, the worker does not know yet
    "decide",  # before it is recorded that the products of a removal go
    "remove",  # before some of them are accepted as changes
    "removed",  # they are accepted, the worker does not know yet
    "end_removal",  # before it is recorded that all are
    "upkeep",  # before expired leases are requeued
)
"""Those of a change, from being accepted to its outcome, and of a removal, in their order."""

TASK_POINTS = (
    "claim_task",  # before a task is claimed
    "claimed_task",  # the ledger has leased it, the worker has not started
    "end_task",  # before its end is recorded
    "ended_task",  # the ledger has recorded it, the worker does not know yet
)
"""Those of a task."""

GRAPH_POINTS = (
    "graph_copied",  # an index is copied, its graph is not built yet
    "graph_built",  # the graph of the copy is built
    "graph_caught_up",  # the copy has nearly all that was written meanwhile
    "graph_prepared",  # it has all, and the next step makes it the index
    "graph_switched",  # the copy is the index, the one before is still there
)
"""Those of the building of a search graph."""

GENERATION_POINTS = (
    "bring",  # before products are written to another generation than the live one
    "brought",  # they are written
    "switch",  # before another generation is described as the live one
    "switched",  # it is, nobody knows yet
    "drop",  # before a generation is described as dropped
)
"""Those that are passed where a catalog has several generations."""

MAP_POINTS = (
    "map_round",  # before each round of a layout
    "map_laid_out",  # the layout is kept, products are not placed yet
    "map_named",  # at each step of naming its clusters
)
"""Those of the making of a map."""

ALL = POINTS + TASK_POINTS + GRAPH_POINTS + GENERATION_POINTS + MAP_POINTS

Act = Callable[[], None]
_acts: dict[str, Act] = {}


def hit(point: str) -> None:
    """Marks a failpoint in the code: runs the action that a test has enabled there, if any."""
    if _acts and (act := _acts.get(point)):
        act()


def enable(point: str, act: Act) -> None:
    """Runs `act` whenever any thread reaches the point, until it is replaced or disabled.

    Raises:
        ValueError: There is no point of this name.
    """
    if point not in ALL:
        raise ValueError(f"{point!r} is no fault point; there are {', '.join(ALL)}")
    _acts[point] = act


def disable(point: str) -> None:
    """Removes the action at the point; does nothing if there is none."""
    _acts.pop(point, None)


@contextmanager
def enabled(point: str, act: Act) -> Iterator[None]:
    """Enables the action at the point while the block runs."""
    enable(point, act)
    try:
        yield
    finally:
        disable(point)
