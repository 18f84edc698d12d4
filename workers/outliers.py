"""Tasks that look for the outliers of a catalog."""

from collections.abc import Mapping
from typing import Any

from services.catalog.catalog import Catalog
from services.catalog.outliers import OUTLIERS as OUTLIERS
from workers.tasks import TaskRun


def look(catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
    """Looks for them. Of isolated products another worker goes on where this one ends; of a label it begins anew."""
    finding = catalog.outliers.look(run.task.parameters["label"], run.report, run.check)
    return {"products": finding.products, "version": finding.version, "found_at": finding.found_at}
