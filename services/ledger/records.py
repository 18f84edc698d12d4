"""What the ledger hands out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.records import Change, State


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line of a feed that is no change: it becomes a failed item."""

    line: int
    product_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Changes of one catalog that a worker has in hand until its lease ends; at most one a product.

    `refs` name them for the ledger, `jobs` are their jobs and `requests` the IDs of the requests that brought them, all
    in the order of `changes`. `alone`: they have ended workers before, so nothing else may be in hand.
    """

    id: str
    catalog_id: str
    refs: Sequence[str]
    changes: Sequence[Change]
    jobs: Sequence[str]
    requests: Sequence[str] = ()
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """The answer to a wish for work: a claim or None, and how many changes wait to run alone.

    `more`: nothing was found yet, but not everything was looked at.
    """

    claim: Claim | None
    suspects: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """How many changes wait, are in hand, and have ended by state (since the ledger began)."""

    waiting: int
    in_flight: int
    ended: Mapping[State, int]


@dataclass(frozen=True, slots=True)
class Stats:
    """What there is to do, and who does it: of all catalogs and workers.

    `workers` are those that live, `slots` the batches that they can have in hand, `changes_per_second` how many changes
    workers ended lately (`rate`; what was canceled is not among them).
    """

    counts: Counts
    workers: int
    slots: int
    changes_per_second: float

    @property
    def drain_seconds(self) -> float | None:
        """Seconds until nothing waits or is in hand, at that rate; None where something does, but none ended lately."""
        left = self.counts.waiting + self.counts.in_flight
        if not left:
            return 0.0
        return left / self.changes_per_second if self.changes_per_second else None
