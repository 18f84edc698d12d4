"""What does each kind of tasks."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from services.catalog.catalog import Catalog
from workers.graphs import GRAPH
from workers.tasks import Do, TaskRun


def build_graph(catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
    """Builds the search graph of an embedded index. `built` says whether there was anything to build."""
    built = catalog.optimize(canceled=run.stopped)
    run.check()
    return {"built": built}


KINDS: Mapping[str, Do] = MappingProxyType({GRAPH: build_graph})
