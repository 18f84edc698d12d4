"""Tasks that make the map of a catalog, and which maps are due: upkeep has them brought up to date."""

from collections.abc import Mapping
from typing import Any

from services.catalog import map_reader
from services.catalog.catalog import Catalog
from services.ledger import Chores, begin_task
from workers.tasks import TaskRun

MAP = "map"
"""The kind of these tasks; `map:anew` lays it out anew."""
AGAIN_SECONDS = 900
"""Between two updates that nobody asked for: a catalog that changes all the time would be read all the time."""


def make(catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
    """Makes it. It has no checkpoint: the layout is kept as soon as it is there, and the rest takes little."""
    return catalog.map.make(anew=run.task.parameters["anew"], report=run.report, check=run.check)


def begin_due(catalog: Catalog, chores: Chores) -> bool:
    """Begins an update of a catalog's map, if it has one and has changed since; returns whether it has.

    Where the catalog has other vectors now, nothing is begun: somebody has to ask for a map that has nothing in common
    with the one that they know.

    Raises `LedgerUnavailable`, `Conflict`.
    """
    spec = catalog.spec
    found = catalog.findings.described(map_reader.MAP)
    if found is None or found.fingerprint != spec.fingerprint or not catalog.map.is_stale(found):
        return False
    if not chores.due(f"map:{spec.id}", AGAIN_SECONDS):
        return False
    begin_task(chores.store, spec.id, spec.name, MAP, {"anew": False}, max_version=catalog.max_version)
    return True
