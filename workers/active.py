"""The claims that a worker is processing."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from services.ledger import Claim


@dataclass
class ActiveClaim:
    """A claim at work. `taken` and `since` are times of `time.monotonic`, `since` None while its encoder is loaded."""

    claim: Claim
    taken: float = field(default_factory=time.monotonic)
    catalog: str = ""
    since: float | None = None
    lost: bool = False


class ActiveClaims:
    """The claims of a worker that are in progress. Any thread may call it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._claims: dict[str, ActiveClaim] = {}

    @contextmanager
    def hold(self, claim: Claim) -> Iterator[ActiveClaim]:
        """The claim is active within the block."""
        held = ActiveClaim(claim)
        with self._changed:
            self._claims[claim.id] = held
        try:
            yield held
        finally:
            with self._changed:
                del self._claims[claim.id]
                self._changed.notify_all()

    def now(self) -> list[ActiveClaim]:
        """Those that are active at this moment."""
        with self._changed:
            return list(self._claims.values())

    def wait_until_none(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._claims)
