"""Tasks that look through a catalog for duplicates, and which of them are due: upkeep has them done."""

from collections.abc import Mapping
from typing import Any

from services.catalog.catalog import Catalog
from services.ledger import Chores, begin_task
from workers.tasks import TaskRun

DUPLICATES = "duplicates"
"""The kind of these tasks."""
AGAIN_SECONDS = 600
"""Between two scans that nobody asked for."""


def look(catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
    """Looks through it; what was found by others before, or by another worker that has died, is gone on from.

    Returns how many `products` were looked at, and how many `groups` are open, `placeholders` among them.
    """
    finding = catalog.duplicates.look(run.report, run.check)
    groups, placeholders = catalog.duplicates.count()
    return {"products": finding.products, "groups": groups, "placeholders": placeholders}


def begin_due(catalog: Catalog, chores: Chores) -> bool:
    """Has a catalog that was looked through before, and has changed since, looked through for what is new; returns
    whether it has begun that. Raises `LedgerUnavailable`."""
    spec, finding = catalog.spec, catalog.findings.described(DUPLICATES)
    if finding is None or finding.cursor is not None or not catalog.duplicates.is_stale(finding):
        return False
    if not chores.due(f"duplicates:{spec.id}", AGAIN_SECONDS):
        return False
    begin_task(chores.store, spec.id, spec.name, DUPLICATES, {}, max_version=catalog.max_version)
    return True
