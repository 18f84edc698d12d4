"""Tasks that learn a direction of a catalog."""

from collections.abc import Mapping
from typing import Any

from services.catalog.catalog import Catalog
from services.catalog.definition import Definition
from services.catalog.directions import told
from workers.tasks import TaskRun

DIRECTION = "direction"


def learn(catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
    """Learns it. It has no checkpoint: another worker begins anew."""
    name = run.task.parameters["name"]
    definition = Definition.of(run.task.parameters["definition"])
    return told(catalog.directions.learn(name, definition, run.check))
