"""Telling the ledger what became of a claim, also where Redis is away for a while."""

from collections.abc import Callable

import stamina

from services.errors import LedgerUnavailable

REPORT_SECONDS = 60.0


def report(tell: Callable[[], bool]) -> bool:
    """Calls `tell` until the ledger answers, and returns what it does: whether the claim was still ours.

    Raises `LedgerUnavailable` where that takes longer than a minute.
    """
    for attempt in stamina.retry_context(on=LedgerUnavailable, attempts=None, timeout=REPORT_SECONDS, wait_max=2.0):
        with attempt:
            return tell()
    raise AssertionError("a retry ends with an answer or an error")
