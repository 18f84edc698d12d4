"""Metrics of a process, in the format of Prometheus."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from services.errors import InvalidSetting, LedgerUnavailable
from services.ledger import Ledger

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """A metrics registry for this process, with the metrics of workers and API."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._stages = Histogram(
            "lookalike_stage_seconds",
            "Seconds a batch spent in a stage: fetch, decode, encode, duplicates, write.",
            ["stage"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._batches = Histogram(
            "lookalike_batch_changes", "Changes in a batch.", registry=self.registry, buckets=_SIZES
        )
        self._images = Counter("lookalike_images_encoded", "Images encoded.", registry=self.registry)

    def observe(self, what: str, value: float) -> None:
        """Records a measurement of `Catalog`.

        Args:
            what: `batch`, `images`, or the name of a stage.
            value: Changes in the batch, images encoded, or seconds that the stage took.
        """
        if what == "batch":
            self._batches.observe(value)
        elif what == "images":
            self._images.inc(value)
        else:
            self._stages.labels(what).observe(value)

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Serves /metrics on its own port; returns a function that stops it. Raises `InvalidSetting`."""
        try:
            server, thread = start_http_server(port, host, self.registry)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InvalidSetting(
                f"{host}:{port} cannot be listened on ({reason}); change LOOKALIKE_METRICS_HOST or "
                "LOOKALIKE_METRICS_PORT."
            ) from error

        def close() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return close

    def watch(self, ledger: Ledger) -> None:
        """Adds metrics of the ledger, which are read from it at every scrape."""
        self.registry.register(_LedgerCollector(ledger))


class _LedgerCollector(Collector):
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("lookalike_ledger_up", "1 if Redis answers, else 0.")
        try:
            stats = self._ledger.stats()
        except LedgerUnavailable:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        counts = stats.counts
        yield GaugeMetricFamily("lookalike_changes_waiting", "Changes waiting.", value=counts.waiting)
        yield GaugeMetricFamily("lookalike_changes_in_flight", "Changes in progress.", value=counts.in_flight)
        if stats.drain_seconds is not None:
            # Omitted if unknown, so that the series ends: NaN would make every average over time NaN.
            yield GaugeMetricFamily(
                "lookalike_drain_seconds",
                "Seconds until nothing is waiting or in progress, at the rate of the last minute.",
                value=stats.drain_seconds,
            )
        yield GaugeMetricFamily("lookalike_workers", "Live workers.", value=stats.workers)
        yield GaugeMetricFamily(
            "lookalike_slots", "Batches that live workers can process at the same time.", value=stats.slots
        )
        ended = CounterMetricFamily("lookalike_changes", "Changes that have ended, by state.", labels=["state"])
        for state, count in counts.ended.items():
            ended.add_metric([state.value], count)
        yield ended
