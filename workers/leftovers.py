"""Originals that no product shows and no change needs any more."""

import time
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from services.catalogs import Catalogs
from services.ledger import Ledger
from services.media import short


def collect(ledger: Ledger, catalogs: Catalogs, *, older: float) -> int:
    """Removes those that were last put so many seconds ago; gives how many.

    It takes 8 bytes of memory for each product. A catalog that cannot be read raises, and then nothing is removed.
    """
    before = datetime.fromtimestamp(time.time() - older, UTC)
    kept = np.unique(np.frombuffer(array("Q", map(short, _needed(ledger, catalogs))), np.uint64))
    return catalogs.intake.media.collect(kept, before)


def _needed(ledger: Ledger, catalogs: Catalogs) -> Iterator[str]:
    # The ledger first: what ends meanwhile is found in the index then.
    yield from ledger.images()
    for spec in catalogs.specs():
        yield from catalogs.get(spec.name).images()
