"""Short words for what tests of the ledger put in and look at."""

from collections.abc import Callable
from typing import Any

from services.ledger import Claim
from services.records import Change, Job, RemoteImage, State

CATALOG, OTHER, THIRD = "c" * 32, "d" * 32, "e" * 32
Accept = Callable[..., Job]
Take = Callable[..., Claim]
End = Callable[..., None]
Crash = Callable[[Claim], None]

IMAGE = RemoteImage("http://x.example/1")
NONE_ENDED = dict.fromkeys(State, 0)


def puts(count: int, prefix: str = "p") -> list[Change]:
    return [Change(f"{prefix}{i}", image=IMAGE, attributes={}) for i in range(count)]


def names(claim: Claim) -> list[str]:
    return [change.product_id for change in claim.changes]


def counted(job: Job) -> tuple[Any, ...]:
    return job.state, job.total, job.applied, job.unchanged, job.superseded, job.failed, job.canceled
