"""What Prometheus is told."""

import socket
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from services import bootstrap, settings
from services.catalog.opening import new_spec
from services.errors import InvalidSetting
from services.ledger import Claims, Ledger, Store, connect
from services.records import Change, ChangeKind, Lane, Outcome, State
from services.telemetry.metrics import Metrics
from services.testing import load_stub, picture


def samples(text: str) -> dict[str, float]:
    """Values by name and labels."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def scraped(metrics: Metrics) -> dict[str, float]:
    return samples(generate_latest(metrics.registry).decode())


@pytest.fixture
def ledger(redis: Redis) -> Ledger:
    return Ledger(Store(redis))


@pytest.fixture
def claims(ledger: Ledger) -> Claims:
    return Claims(ledger.store)


def test_the_ledgers_counts(ledger: Ledger, claims: Claims) -> None:
    metrics = Metrics()
    metrics.watch(ledger)
    changes = [Change(f"p{n}", ChangeKind.DELETE) for n in range(5)]
    ledger.accept("c" * 32, "shoes", changes, lane=Lane.BULK, max_version=lambda: 0)
    claim = claims.claim("drain", 2).claim
    assert claim
    claims.record(claim, [(claim.refs[0], Outcome("p0", State.APPLIED))])
    found = scraped(metrics)
    assert found["lookalike_ledger_up"] == 1
    assert (found["lookalike_changes_waiting"], found["lookalike_changes_in_flight"]) == (3, 1)
    ended = {state: found[f"lookalike_changes_total{{state={state}}}"] for state in State}
    assert ended == {state: float(state is State.APPLIED) for state in State}


def test_how_much_there_is_to_do_and_who_does_it(ledger: Ledger, claims: Claims) -> None:
    metrics = Metrics()
    metrics.watch(ledger)
    names = ("lookalike_workers", "lookalike_slots", "lookalike_drain_seconds")
    assert [scraped(metrics).get(name) for name in names] == [0, 0, 0]
    changes = [Change(f"p{n}", ChangeKind.DELETE) for n in range(5)]
    ledger.accept("c" * 32, "shoes", changes, lane=Lane.BULK, max_version=lambda: 0)
    claims.register("one", 3, 60)
    assert [scraped(metrics).get(name) for name in names] == [1, 3, None], "how long it takes is not known yet"
    claim = claims.claim("one/1", 2).claim
    assert claim
    claims.record(claim, [(claim.refs[0], Outcome("p0", State.APPLIED))])
    assert scraped(metrics)["lookalike_drain_seconds"] >= 4


def test_a_redis_that_is_away_is_told_and_costs_nothing_else() -> None:
    metrics = Metrics()
    metrics.watch(Ledger(connect("unix:///nowhere/valkey.sock")))
    metrics.observe("images", 3)
    found = scraped(metrics)
    assert (found["lookalike_ledger_up"], found["lookalike_images_encoded_total"]) == (0, 3)
    assert "lookalike_changes_waiting" not in found


@pytest.fixture
def worked(tmp_path: Path) -> dict[str, float]:
    """What is told when five pictures have been put, one of them again, and one product has been removed."""
    metrics = Metrics()
    given = settings.load(data=tmp_path / "data", decode_processes=1)
    with bootstrap.catalogs(given, load=load_stub, observe=metrics.observe) as catalogs:
        catalog = catalogs.create(new_spec("shoes", "efficientnet_lite0", "random:1", "nearest"))
        catalog.apply([Change(f"p{n}", image=picture((n, 90, 90), size=8)) for n in range(5)])
        catalog.apply([Change("p0", image=picture((0, 90, 90), size=8)), Change("p1", ChangeKind.DELETE)])
    return scraped(metrics)


def test_batches_and_stages(worked: dict[str, float]) -> None:
    assert (worked["lookalike_batch_changes_count"], worked["lookalike_batch_changes_sum"]) == (2, 7)
    for stage in ("fetch", "decode", "encode", "write"):
        assert worked[f"lookalike_stage_seconds_sum{{stage={stage}}}"] > 0


def test_encoded_images(worked: dict[str, float]) -> None:
    assert worked["lookalike_images_encoded_total"] == 5


def test_a_port_of_its_own() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    metrics = Metrics()
    metrics.observe("encode", 0.5)
    close = metrics.serve("127.0.0.1", port)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert samples(answer.read().decode())["lookalike_stage_seconds_count{stage=encode}"] == 1
        with pytest.raises(InvalidSetting, match=f"127.0.0.1:{port} cannot be listened on"):
            metrics.serve("127.0.0.1", port)
    finally:
        close()
    metrics.serve("127.0.0.1", port)()


def test_a_host_that_is_none() -> None:
    with pytest.raises(InvalidSetting, match="LOOKALIKE_METRICS_HOST"):
        Metrics().serve("no such host", 9000)
