"""Which catalogs have changes that workers put off, and what for."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.errors import IndexUnavailable, LedgerUnavailable
from services.records import Waiting

if TYPE_CHECKING:
    from services.catalog.catalogs import Catalogs
    from services.ledger import Ledger


def waits(ledger: "Ledger", catalogs: "Catalogs") -> dict[str, Waiting]:
    """What they wait for, by the name of the catalog, in alphabetical order.

    Raises `LedgerUnavailable`, `IndexUnavailable`.
    """
    found = ledger.waits()
    if not found:
        return {}
    names = sorted((spec.name, spec.id) for spec in catalogs.specs())
    return {name: found[id] for name, id in names if id in found}


class WaitsCollector(Collector):
    """A gauge that is 1 for each of them; none where the ledger or the index does not answer."""

    def __init__(self, ledger: "Ledger", catalogs: "Catalogs") -> None:
        self._ledger = ledger
        self._catalogs = catalogs

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Without it the registry would ask the ledger when this is registered."""
        yield self._family()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = self._family()
        try:
            for name, found in waits(self._ledger, self._catalogs).items():
                family.add_metric([name, found.code], 1)
        except (LedgerUnavailable, IndexUnavailable):
            return  # other gauges tell that; this one is not known
        yield family

    def _family(self) -> GaugeMetricFamily:
        told = "1 for a catalog whose changes workers put off, by the code of what they wait for."
        return GaugeMetricFamily("lookalike_catalog_waits", told, labels=["catalog", "code"])
