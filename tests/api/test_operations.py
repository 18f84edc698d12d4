"""The page for operators and the example for KEDA speak of what there is."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from api.access.keyring import Keyring
from api.access.keys import hashed
from api.responses import schemas
from services.settings import Settings
from services.telemetry.metrics import Metrics

ROOT = Path(__file__).parent.parent.parent
URL = "https://images.example.com/1.jpg"
PARAMETERS = {"url", "valueLocation", "targetValue", "activationTargetValue", "authMode", "unsafeSsl", "format"}
"""What KEDA's metrics-api trigger takes, as far as it is of use here."""


@pytest.fixture
def keda() -> dict[str, Any]:
    """The objects of the example by kind."""
    objects = list(yaml.safe_load_all((ROOT / "deploy" / "keda.yaml").read_text()))
    assert all(each["apiVersion"] == "keda.sh/v1alpha1" for each in objects)
    return {each["kind"]: each for each in objects}


@pytest.fixture
def triggers(keda: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = keda["ScaledObject"]["spec"]["triggers"]
    return found


def test_kedas_triggers_find_what_they_ask_for(
    make_service: Any, tmp_path: Path, keda: dict[str, Any], triggers: list[dict[str, Any]]
) -> None:
    """Asks as KEDA does: GET with a bearer token, and a number at the place."""
    (tmp_path / "keys").write_text(f"keda:{hashed('a')}\n")
    service = make_service(keyring=Keyring.load(tmp_path / "keys"))
    [secret] = keda["TriggerAuthentication"]["spec"]["secretTargetRef"]
    assert secret["parameter"] == "token"
    for trigger in triggers:
        told = trigger["metadata"]
        assert trigger["type"] == "metrics-api" and told["authMode"] == "bearer" and told.keys() <= PARAMETERS
        assert trigger["authenticationRef"] == {"name": keda["TriggerAuthentication"]["metadata"]["name"]}
        url = urlsplit(told["url"])
        assert url.path in {rule.rule for rule in service.app.url_map.iter_rules()}
        answer = service.client.get(url.path, headers={"Host": url.netloc, "Authorization": "Bearer a"})
        assert answer.status_code == 200 and type(answer.json[told["valueLocation"]]) is int
        assert told["valueLocation"] in schemas.Stats.model_fields


def test_keda_takes_a_worker_for_what_it_can_have_in_hand(triggers: list[dict[str, Any]]) -> None:
    targets = {each["metadata"]["valueLocation"]: each["metadata"]["targetValue"] for each in triggers}
    in_hand = Settings.model_fields["concurrency"].default * Settings.model_fields["batch_size"].default
    assert targets == {"waiting": "6000", "in_flight": str(in_hand)}


def test_every_metric_that_operators_are_told_of_is_there_and_every_one_is_told(service: Any) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    named = set(re.findall(r"(?<!secrets/)\blookalike_[a-z_]+[a-z]", page))  # a secret's file is no metric
    named |= {f"lookalike_changes{end}" for end in re.findall(r"`(_[a-z_]+)`", page)}
    service.client.delete("/v1/catalogs/shoes/products/none")
    metrics = Metrics()
    metrics.watch(service.ledger)
    answered = {line.split()[2] for line in service.client.get("/metrics").text.splitlines() if line[:6] == "# TYPE"}
    families = {family.name for family in metrics.registry.collect()} | {
        re.sub("_total$", "", name) for name in answered
    }
    families = {name.removesuffix("_created") for name in families}
    assert {re.sub("_(total|count|sum|bucket)$", "", name) for name in named} == families


def test_the_stats_on_the_page_are_those_of_the_api(service: Any) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    [example] = re.findall(r"^\{.*\}$", page, re.MULTILINE)
    shown = schemas.Stats.model_validate_json(example)
    assert list(re.findall(r'"(\w+)":', example)) == list(schemas.Stats.model_fields)
    assert shown.drain_seconds == pytest.approx((shown.waiting + shown.in_flight) / shown.changes_per_second, abs=0.1)
    rows = re.findall(r"^\| `(\w+)` \| .*\|", page.split("## Scaling")[1].split("## Restarts")[0], re.MULTILINE)
    assert rows == list(schemas.Stats.model_fields)


def test_what_is_never_to_be_done_is_as_bad_as_the_page_says(service: Any, redis: Any) -> None:
    """An older Redis beside a newer index."""
    service.put("a", "red", color="red")
    service.put("a", "blue", color="blue")
    [key] = redis.keys("la:version:*")
    redis.set(key, 0)
    service.web[URL] = service.picture("green")
    service.client.put("/v1/catalogs/shoes/products/a", json={"image_url": URL})
    job = service.client.get("/v1/jobs/3").json
    assert (job["state"], job["superseded"], job["failed"]) == ("succeeded", 1, 0)
    redis.flushall()
    service.put("a", "green", color="green")
    assert service.client.get("/v1/catalogs/shoes/products/a").json["attributes"] == {"color": "green"}
