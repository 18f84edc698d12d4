"""What does each kind of tasks."""

from collections.abc import Mapping
from typing import Any

from services.catalog.catalog import Catalog
from workers import directions, duplicates, evaluations, generations, maps, outliers
from workers.graphs import GRAPH
from workers.tasks import Do, TaskRun


def build_graph(catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
    """Builds the search graph of an embedded index. `built` says whether there was anything to build."""
    built = catalog.optimize(canceled=run.stopped)
    run.check()
    return {"built": built}


def kinds(keep_seconds: float) -> Mapping[str, Do]:
    """All kinds; a generation that was live is kept for so many seconds."""
    return {
        GRAPH: build_graph,
        generations.REINDEX: generations.reindex(keep_seconds),
        generations.PROMOTE: generations.promote(keep_seconds),
        evaluations.EVALUATE: evaluations.evaluate,
        directions.DIRECTION: directions.learn,
        outliers.OUTLIERS: outliers.look,
        maps.MAP: maps.make,
        duplicates.DUPLICATES: duplicates.look,
    }
