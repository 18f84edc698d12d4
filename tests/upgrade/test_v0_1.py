"""What v0.1 wrote, opened by the code as it is: a data folder, the queue in it, and a backup."""

import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from harness import Service
from harness import picture as draw

from services import bootstrap, settings
from services.backup import restore, verified
from services.catalog.catalogs import Catalogs
from services.catalog.generations import Generations
from services.errors import FormatTooNew
from services.ledger import Claims, Ledger
from services.queue.valkey import ValkeyServer
from services.records import JobState, RemoteImage
from services.settings import Settings
from services.storage.format import write_format

Run = Callable[..., tuple[int, dict[str, Any]]]

KEPT = Path(__file__).parent / "v0.1"
EXPECTED: dict[str, Any] = json.loads((KEPT / "expected.json").read_text())
CATALOG = "shoes"
HASHES = "Products may have a perceptual hash and a URL, and catalogs several generations."


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A copy of the data folder."""
    with tarfile.open(KEPT / "data.tar.xz") as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path / "data"


@contextmanager
def opened(data: Path) -> Iterator[tuple[Catalogs, Ledger]]:
    """Catalogs and ledger of a data folder with a queue of its own."""
    given = configured(data)
    with (
        bootstrap.data_folder(given) as folder,
        ValkeyServer(data / "queue") as server,
        bootstrap.catalogs(given, folder=folder) as catalogs,
    ):
        yield catalogs, bootstrap.ledger(given, server.url)


def configured(data: Path) -> Settings:
    return settings.load(data=data, precision="float32", decode_processes=1)


def stored(catalogs: Catalogs) -> dict[str, Any]:
    """The catalog in the words of expected.json, but for its generation, which names a folder."""
    catalog = catalogs.get(CATALOG)
    points = {point.product_id: point for point in catalog.points()}
    for name, vector in np.load(KEPT / "vectors.npz").items():
        assert np.array_equal(points[name].vector, vector), name
    found: dict[str, Any] = {
        "spec": {field.name: getattr(catalog.spec, field.name) for field in fields(catalog.spec)},
        "products": stored_points(catalogs),
        "tombstones": [[each.product_id, each.version, each.removed_at] for each in catalog.tombstones()],
    }
    del found["spec"]["generation"]
    # What a catalog of v0.1 has none of.
    assert found["spec"].pop("generations") == () and found["spec"].pop("generation_created_at") is None
    assert (found["spec"].pop("features"), found["spec"].pop("learned")) == ("head", None)
    assert (found["spec"].pop("space"), found["spec"].pop("directions")) == (None, ())
    assert (found["spec"].pop("findings"), found["spec"].pop("decisions")) == ((), None)
    return found


def stored_points(catalogs: Catalogs) -> dict[str, Any]:
    return {
        point.product_id: {field: getattr(point, field) for field in ("version", "norm", "attributes", "image")}
        for point in catalogs.get(CATALOG).points()
    }


def expected() -> dict[str, Any]:
    found = {name: EXPECTED[name] for name in ("spec", "products", "tombstones")}
    return found | {"spec": {name: value for name, value in found["spec"].items() if name != "generation"}}


def unfinished(catalogs: Catalogs, ledger: Ledger) -> list[Any]:
    """The changes that wait, in the words of expected.json, without their jobs."""
    found = [
        [lane, {field.name: _told(getattr(change, field.name)) for field in fields(change)}]
        for _, lane, change in ledger.unfinished(catalogs.get(CATALOG).spec.id)
    ]
    # A change of v0.1 refuses none.
    assert [change.pop("refuse_duplicates") for _, change in found] == [False] * len(found)
    return found


def _told(value: Any) -> Any:
    return repr(value) if type(value).__name__ in ("RemoteImage", "StoredImage") else value


def test_all_of_the_data_folder_is_there(data: Path) -> None:
    with bootstrap.catalogs(configured(data)) as catalogs:
        assert [spec.generation for spec in catalogs.specs()] == [EXPECTED["spec"]["generation"]]
        assert stored(catalogs) == expected()
        catalog = catalogs.get(CATALOG)
        assert len(EXPECTED["neighbors"]) == 8
        for name, neighbors in EXPECTED["neighbors"].items():
            found = catalog.neighbors(name)
            assert [each.product_id for each in found] == [each for each, _ in neighbors]
            assert [each.score for each in found] == pytest.approx([score for _, score in neighbors], abs=1e-6)
        assert {facet.value: facet.count for facet in catalog.facets("color")} == {"red": 3, "green": 3, "blue": 2}
        for product in EXPECTED["products"].values():
            assert catalogs.intake.media.get(product["image"])
    assert (data / "format").read_text() == "2\n"


def test_a_graph_is_built_of_it(data: Path) -> None:
    """Its vectors are in the folder that v0.1 made until then, and in a copy afterwards."""
    with bootstrap.catalogs(configured(data)) as catalogs:
        assert catalogs.get(CATALOG).optimize()
        assert stored(catalogs) == expected()
    [vectors] = data.glob(f"catalogs/{CATALOG}/*/")
    assert sorted(each.name for each in vectors.iterdir()) == ["current.json", "shard-1"]
    with bootstrap.catalogs(configured(data)) as catalogs:
        assert stored(catalogs) == expected()
        for name, neighbors in EXPECTED["neighbors"].items():
            assert [each.product_id for each in catalogs.get(CATALOG).neighbors(name)] == [
                each for each, _ in neighbors
            ]


@pytest.mark.long
def test_the_encoder_finds_the_product_of_each_original(data: Path) -> None:
    """The vectors that it makes now are compared with those that v0.1 made."""
    with bootstrap.catalogs(configured(data)) as catalogs:
        catalog = catalogs.get(CATALOG)
        for name, product in EXPECTED["products"].items():
            [best] = catalog.search_image(catalogs.intake.media.get(product["image"]), limit=1)
            assert (best.product_id, best.score) == (name, pytest.approx(1.0, abs=1e-4))


def test_the_catalog_is_reindexed_and_can_go_back(data: Path) -> None:
    with bootstrap.catalogs(configured(data)) as catalogs:
        generations = Generations(catalogs, CATALOG)
        first = catalogs.get(CATALOG).spec
        generations.begin({"resample": "bilinear"})
        assert generations.promote().missing == 0
    with bootstrap.catalogs(configured(data)) as catalogs:
        catalog = catalogs.get(CATALOG)
        assert (catalog.spec.resample, catalog.spec.id, catalog.spec.created_at) == (
            *("bilinear", first.id, first.created_at),
        )
        for name, product in EXPECTED["products"].items():
            found = catalog.get(name)
            assert (found.version, found.attributes) == (product["version"], product["attributes"])
            [best] = catalog.search_image(catalogs.intake.media.get(product["image"]), limit=1)
            assert (best.product_id, best.score) == (name, pytest.approx(1.0, abs=1e-4))
        assert [[each.product_id, each.version] for each in catalog.tombstones()] == [
            each[:2] for each in EXPECTED["tombstones"]
        ]
        Generations(catalogs, CATALOG).rollback()
        back = stored_points(catalogs)
        assert back == expected()["products"]


def test_jobs_failures_and_waiting_changes_are_there(data: Path) -> None:
    with opened(data) as (catalogs, ledger):
        found, _ = ledger.jobs()
        assert not any(each.said for each in found)
        expected = EXPECTED["jobs"]
        assert {each.id: {name: getattr(each, name) for name in expected[each.id]} for each in found} == expected
        for each in found:
            items = [[item.product_id, item.code, item.message, item.image] for item in ledger.items(each.id)[0]]
            assert items == EXPECTED["failed"][each.id]
        assert unfinished(catalogs, ledger) == [each[1:] for each in EXPECTED["unfinished"]]
        assert ledger.counts().waiting == 6


def test_what_waits_is_worked_on_and_what_failed_is_retried(data: Path) -> None:
    retried = EXPECTED["key_job"]
    with opened(data) as (catalogs, ledger):
        again = ledger.retry(retried)
        assert (again.total, again.finished_at) == (2, None)
        work(catalogs, ledger)
        for id in (again.id, *EXPECTED["waiting_jobs"]):
            job = ledger.job(id)
            assert (job.state, job.failed) == (JobState.SUCCEEDED, 0)
        catalog = catalogs.get(CATALOG)
        assert {name: catalog.get(name).attributes for name in ("lost-0", "lost-1", "red-0", "late")} == {
            "lost-0": {"n": 0},
            "lost-1": {"n": 1},
            "red-0": {"color": "crimson"},
            "late": {"n": 1},
        }
        # Retried changes keep their versions; what is accepted from now on is newer than all.
        assert [catalog.get(name).version for name in ("lost-0", "lost-1", "red-0", "late")] == [12, 13, 18, 20]
        assert catalog.count() == len(EXPECTED["products"]) - 1 + 3
        assert {each.product_id for each in catalog.tombstones()} == {"blue-0", "blue-2"}


def work(catalogs: Catalogs, ledger: Ledger) -> None:
    """Does what waits; the images of URLs are drawn."""
    claims = Claims(ledger.store)
    while claim := claims.claim("test", 64).claim:
        changes = [
            replace(change, image=draw(number)) if isinstance(change.image, RemoteImage) else change
            for number, change in enumerate(claim.changes)
        ]
        outcomes = catalogs.by_id(claim.catalog_id).apply(changes)
        assert claims.record(claim, list(zip(claim.refs, outcomes, strict=True)))


@pytest.mark.long
def test_a_service_goes_on_where_v0_1_was_stopped(data: Path) -> None:
    service = Service(data)
    service.start()
    try:
        client = service.client()
        repeated = client.post(
            f"/catalogs/{CATALOG}/products",
            content=EXPECTED["feed"].encode(),
            headers={"Content-Type": "application/json", "Idempotency-Key": EXPECTED["key"]},
        )
        assert (repeated.status_code, repeated.json()["id"]) == (202, EXPECTED["key_job"])
        assert repeated.headers["Idempotent-Replayed"] == "true"
        first, second, third = (service.finished(id) for id in EXPECTED["waiting_jobs"])
        # Nobody listens where their images were to come from; what did not need these is done.
        assert (first["failed"] + first["superseded"], second["applied"], third["applied"]) == (3, 2, 1)
        image = client.get(f"/catalogs/{CATALOG}/products/green-0/image")
        assert (image.status_code, image.headers["Content-Type"]) == (200, "image/jpeg")
        assert found_by(client, "crimson") == ["red-0"]
        client.close()
    finally:
        assert service.end() == 0


def found_by(client: httpx2.Client, color: str) -> list[str]:
    filter = json.dumps({"must": [{"key": "color", "match": {"value": color}}]})
    answer = client.get(f"/catalogs/{CATALOG}/products", params={"filter": filter})
    return [each["product_id"] for each in answer.json()["products"]]


def test_the_backup_restores_into_an_empty_folder(tmp_path: Path) -> None:
    file = Path(shutil.copy(KEPT / "backup.tar", tmp_path))
    with opened(tmp_path / "restored") as (catalogs, ledger):
        restore(file, verified(file), catalogs, ledger)
        assert stored(catalogs) == expected()
        assert unfinished(catalogs, ledger) == [each[1:] for each in EXPECTED["unfinished"]]
        for product in EXPECTED["products"].values():
            assert catalogs.intake.media.get(product["image"])
    assert (tmp_path / "restored" / "format").read_text() == "2\n"


def test_the_backup_restores_into_the_folder_it_was_taken_of(data: Path) -> None:
    with opened(data) as (catalogs, ledger):
        restore(KEPT / "backup.tar", verified(KEPT / "backup.tar"), catalogs, ledger)
        assert stored(catalogs) == expected()


def test_a_dry_run_says_what_is_to_be_done_and_writes_nothing(run: Run, data: Path) -> None:
    before = contents(data)
    status, told = run("upgrade", "--dry-run", "--data", data)
    places = [
        {"place": f"The data folder {data}", "steps": ["Store the format number in the file `format`.", HASHES]},
        {"place": "The ledger in Redis", "steps": ["Store the format number in the key `la:format`."]},
    ]
    assert (status, told) == (
        0,
        {"dry_run": True, "places": [each | {"found": 0, "current": len(each["steps"])} for each in places]},
    )
    assert contents(data) == before


def test_an_upgrade_by_hand_is_the_one_that_a_start_does(run: Run, data: Path) -> None:
    status, told = run("upgrade", "--data", data)
    assert (status, [len(place["steps"]) for place in told["places"]]) == (0, [2, 1])
    assert (data / "format").read_text() == "2\n"
    for arguments in ((), ("--dry-run",)):
        status, told = run("upgrade", *arguments, "--data", data)
        assert [(place["found"], place["steps"]) for place in told["places"]] == [(2, []), (1, [])]
    with opened(data) as (catalogs, ledger):
        assert stored(catalogs) == expected()
        assert ledger.store.pending_upgrade().steps == []


def test_a_service_does_not_start_on_a_newer_folder(refused: Callable[..., str], data: Path) -> None:
    write_format(data, 3)
    before = contents(data)
    for arguments in (("upgrade",), ("upgrade", "--dry-run"), ("catalogs",)):
        assert "written by a newer Lookalike (format 3, " in refused("format_newer", *arguments, "--data", data)
    service = Service(data)
    with pytest.raises(AssertionError, match="format_newer"):
        service.start()
    assert ended(service) == 2
    assert contents(data) == before


def test_a_service_does_not_start_on_a_newer_queue(data: Path) -> None:
    with opened(data) as (_, ledger):
        ledger.store.upgrade()
    with ValkeyServer(data / "queue") as server:
        from redis import Redis

        with Redis.from_url(server.url) as client:
            client.set("la:format", 2)
        with pytest.raises(FormatTooNew):
            bootstrap.upgrade(configured(data), bootstrap.ledger(configured(data), server.url))
    service = Service(data)
    with pytest.raises(AssertionError, match="The ledger in Redis was written by a newer Lookalike"):
        service.start()
    assert ended(service) == 2


def ended(service: Service) -> int:
    """The status of a service that did not start."""
    assert service.process and service.process.stdout
    service.process.stdout.close()
    return service.process.wait(30)


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file; what is written at the same time of the clock as before is seen by its bytes."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }
