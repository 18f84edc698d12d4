"""What the ledger returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.records import Change, State, Task


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line of a feed that is no change: it becomes a failed item."""

    line: int
    product_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Named:
    """A line of a feed that names a product and does not change it."""

    product_id: str


@dataclass(frozen=True, slots=True)
class Removal:
    """What a job removes when its changes, and all that were accepted before it, have ended.

    It is the products with a lower version than `version` that match `filter` (JSON), or, where that is None, that the
    job does not name; but none at all if they are more than `most` (None: any number). `forgone` says why nothing is
    removed, where that is known already. `decided`: that they go has been decided, by a worker that was interrupted.
    """

    version: int
    most: int | None = None
    filter: str | None = None
    forgone: str | None = None
    decided: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """Changes of one catalog that a worker processes until its lease ends; at most one a product.

    `refs` name them for the ledger, `jobs` are their jobs and `requests` the IDs of the requests that brought them, all
    in the order of `changes`. `alone`: they have crashed workers before, so nothing else is processed meanwhile.

    With `removal` it has no changes: what the one job of `jobs` removes is to be found. With `task` neither: the one
    job of `jobs` is that task.
    """

    id: str
    catalog_id: str
    refs: Sequence[str]
    changes: Sequence[Change]
    jobs: Sequence[str]
    requests: Sequence[str] = ()
    alone: bool = False
    removal: Removal | None = None
    task: Task | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """The answer to a request for work: a claim or None, and how many changes wait to run alone.

    `more`: nothing was found, but not everything was looked at.
    """

    claim: Claim | None
    suspects: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """How many changes wait, are in progress, and have ended by state (since the ledger began)."""

    waiting: int
    in_flight: int
    ended: Mapping[State, int]


@dataclass(frozen=True, slots=True)
class Stats:
    """What there is to do, and who does it: of all catalogs and workers.

    `workers` are those that are alive, `slots` the batches that they can process at once, `changes_per_second` how many
    changes workers ended lately (`rate`; those that were canceled do not count).
    """

    counts: Counts
    workers: int
    slots: int
    changes_per_second: float

    @property
    def drain_seconds(self) -> float | None:
        """Seconds until nothing waits or is in progress, at that rate; None where something does and nothing ended."""
        left = self.counts.waiting + self.counts.in_flight
        if not left:
            return 0.0
        return left / self.changes_per_second if self.changes_per_second else None
