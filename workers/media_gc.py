"""Originals that no product shows and no change needs any more, and objects that no catalog names."""

import time
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import structlog

from services.catalog.catalogs import Catalogs
from services.ledger import Chores
from services.storage.media import short

log = structlog.get_logger("workers")


def collect(chores: Chores, catalogs: Catalogs, *, older: float) -> int:
    """Removes those that were last put at least `older` seconds ago; returns how many.

    Nothing is removed where others keep originals in the same place, because their products are not known here, nor
    where there is no catalog: more likely its index was lost, or it is the wrong one. A catalog that cannot be read
    raises, and then nothing is removed. It takes 8 bytes of memory for each product.
    """
    media = catalogs.intake.media
    if others := media.others():
        log.info("originals stay, because others keep theirs in the same place", others=others)
        return 0
    if not catalogs.specs():
        return 0
    before = datetime.fromtimestamp(time.time() - older, UTC)
    kept = np.unique(np.frombuffer(array("Q", map(short, _needed(chores, catalogs))), np.uint64))
    return media.collect(kept, before)


def collect_retired(catalogs: Catalogs, *, older: float) -> int:
    """Removes objects of findings that were replaced at least `older` seconds ago, and that no catalog names; returns
    how many.

    Nothing is removed where others keep originals in the same place, because their catalogs are not known here. A
    catalog that cannot be read raises, and then nothing is removed.
    """
    media = catalogs.intake.media
    if media.others():
        return 0
    before = datetime.fromtimestamp(time.time() - older, UTC)
    named = {hash for spec in catalogs.specs() for hash in spec.objects}
    return media.collect_retired(named, before)


def _needed(chores: Chores, catalogs: Catalogs) -> Iterator[str]:
    # The ledger first: a change that ends meanwhile is then found in the index.
    yield from chores.images()
    for spec in catalogs.specs():
        yield from spec.objects
        yield from catalogs.get(spec.name).images()
