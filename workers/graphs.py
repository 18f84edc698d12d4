"""Which search graphs are due: upkeep has them built, as tasks."""

from services.catalog.catalog import Catalog
from services.ledger import Chores, begin_task
from services.records import Graph

GRAPH = "graph"
"""The kind of these tasks."""
LACKING = 0.1
"""The share of products outside the graph from which on building it may make slow searches faster."""
OLD = 0.3
"""The share of products outside the graph from which on it is built again, however fast searches are."""
FEWEST = 1000
"""Products outside the graph below which a search compares with them in no time."""
AGAIN_SECONDS = 3600
"""Between two builds of a generation that nobody asked for: if one fails, the next would, too."""


def is_due(graph: Graph, slow_seconds: float) -> bool:
    """Whether the graph of an index is to be built: searches have become slow, or much has changed since it was built.

    `slow_seconds` is what the median search may take; 0: no graph is due.
    """
    outside = graph.vectors - graph.indexed
    if not slow_seconds or outside < FEWEST:
        return False
    is_slow = graph.search_seconds is not None and graph.search_seconds > slow_seconds
    is_old = graph.indexed > 0 and outside >= OLD * graph.vectors
    return is_old or (is_slow and outside >= LACKING * graph.vectors)


def begin_due(catalog: Catalog, chores: Chores, slow_seconds: float) -> bool:
    """Begins the building of a catalog's graph if it is due; returns whether it has. Raises `LedgerUnavailable`."""
    spec = catalog.spec
    if not is_due(catalog.graph(), slow_seconds) or not chores.due(f"graph:{spec.id}:{spec.generation}", AGAIN_SECONDS):
        return False
    begin_task(chores.store, spec.id, spec.name, GRAPH, {}, max_version=catalog.max_version)
    return True
