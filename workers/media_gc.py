"""Originals that no product shows and no change needs any more."""

import time
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import structlog

from services.catalog.catalogs import Catalogs
from services.ledger import Ledger
from services.storage.media import short

log = structlog.get_logger("workers")


def collect(ledger: Ledger, catalogs: Catalogs, *, older: float) -> int:
    """Removes those that were last put so many seconds ago; gives how many.

    None where others keep originals in the same place, for theirs are not known here, and none where there is no
    catalog: rather has its index been lost, or is it another one. It takes 8 bytes of memory for each product. A
    catalog that cannot be read raises, and then nothing is removed.
    """
    media = catalogs.intake.media
    if others := media.others():
        log.info("originals stay, because others keep theirs in the same place", others=others)
        return 0
    if not catalogs.specs():
        return 0
    before = datetime.fromtimestamp(time.time() - older, UTC)
    kept = np.unique(np.frombuffer(array("Q", map(short, _needed(ledger, catalogs))), np.uint64))
    return media.collect(kept, before)


def _needed(ledger: Ledger, catalogs: Catalogs) -> Iterator[str]:
    # The ledger first: what ends meanwhile is found in the index then.
    yield from ledger.images()
    for spec in catalogs.specs():
        yield from catalogs.get(spec.name).images()
