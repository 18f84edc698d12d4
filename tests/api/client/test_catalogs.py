"""Commands beside a running service: they find it, and say through it what they say without it."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from beside import Beside, beside
from click.testing import CliRunner
from harness import picture

from api.access.keyring import Keyring
from api.access.keys import hashed, new_secret
from api.cli.main import cli
from api.client import uploads
from api.client.catalog import PIXEL
from api.client.catalogs import RemoteCatalogs
from api.client.timings import Timings
from services import settings
from services.descriptions import AttributeKind
from services.errors import CatalogNotFound
from services.query.filters import parse
from services.records import Change, Progress, RemoteImage, State

Run = Callable[..., tuple[int, dict[str, Any]]]
Refused = Callable[..., str]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

HOSTILE_IDS = ["..", ".", "a/b", "%2F", "ü? #&=+", "red-0/neighbors", "a\\b", "a\u202eb", "'\"<>", "x" * 512]


@pytest.fixture
def service(own: Path, tmp_path: Path) -> Iterator[Beside]:
    with beside(Path(shutil.copytree(own, tmp_path / "data"))) as service:
        yield service


@pytest.fixture
def data(service: Beside) -> Path:
    return service.catalogs.registry.path


@pytest.fixture
def catalogs(service: Beside, data: Path) -> Iterator[RemoteCatalogs]:
    with RemoteCatalogs(service.url, settings.load(data=data)) as catalogs:
        yield catalogs


def told(answer: Any) -> Any:
    """Without what differs: times, versions, the wording of a failure, and the job that a service has."""
    if not isinstance(answer, dict):
        return answer
    varying = {"seconds", "images_per_second", "version", "created_at", "message", "job"}
    kept = {name: value for name, value in answer.items() if name not in varying}
    return {name: [told(each) for each in value] if isinstance(value, list) else value for name, value in kept.items()}


def close(answer: Any) -> Any:
    """Equal to an answer whose scores are these but for the last of their six digits: in turns of another size a
    network adds in another order, so the same picture encoded twice may differ in the last bits of its features."""
    if not isinstance(answer, dict):
        return answer
    found = {
        name: [close(each) for each in value] if isinstance(value, list) else value for name, value in answer.items()
    }
    return found | {"score": pytest.approx(answer["score"], abs=1.5e-6)} if "score" in answer else found


BLUE = '{"must": [{"key": "color", "match": {"value": "blue"}}, {"key": "price", "range": {"gte": 0.5, "lt": 3}}]}'
ODD = '{"should": [{"is_empty": {"key": "size"}}], "must_not": {"key": "color", "match": {"except": ["red", "blue"]}}}'

UNKNOWN = '{"must": [{"key": "colour", "match": {"value": "blue"}}]}'


def test_both_ways_tell_the_same(run: Run, own: Path, pictures: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(pictures, mixed)
    (mixed / "red-0.jpg").write_bytes((pictures / "blue-0.jpg").read_bytes())
    (mixed / "cut.jpg").write_bytes((pictures / "red-0.jpg").read_bytes()[:700])
    (mixed / "none.jpg").write_text("no picture")
    listed = tmp_path / "listed"
    listed.mkdir()
    lines: list[dict[str, Any]] = []
    for number, each in enumerate([*HOSTILE_IDS, "", "y" * 513, "\ud800", "x ", "\u202e", "nan"]):
        (listed / f"{number}.jpg").write_bytes(picture(number))
        lines += [{"product_id": each, "image_path": f"{number}.jpg", "attributes": {"n": 1}}]
    lines[-1]["attributes"]["n"] = float("nan")
    lines += [{"product_id": "gone", "image_path": "nowhere.jpg"}]
    (listed / "list.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    commands: list[tuple[object, ...]] = [
        ("catalogs",),
        ("search", "--product", "red-0", "-n", 5),
        ("search", "--product", "red-0", "--filter", BLUE),
        ("search", "--product", "red-0", "--filter", ODD, "--min-score", "-0.5"),
        ("search", "--product", "red-0", "--filter", UNKNOWN),
        ("search", "--product", "red-0", "--filter", '{"must": [{"has_id": ["red-1", "none"]}]}'),
        ("show", "--filter", UNKNOWN),
        ("search", pictures / "blue-2.jpg", "-n", 2),
        ("show", "red-1"),
        ("show",),
        ("show", "-n", 5, "--filter", BLUE),
        ("index", pictures),
        ("optimize",),
        ("optimize",),
        ("index", listed / "list.ndjson"),
        *(("search", "--product", each, "-n", 1) for each in HOSTILE_IDS),
        ("index", mixed, "--attributes", tmp_path / "table.csv"),
        ("show", "-n", 1000),
        ("remove", "red-1", "nothing", *HOSTILE_IDS),
        ("remove", "--filter", BLUE, "--dry-run"),
        ("remove", "--filter", BLUE),
        ("remove", "--filter", "{}"),
        ("catalogs",),
        ("remove", "--all", "--yes"),
        ("show",),
    ]
    (tmp_path / "table.csv").write_text("product_id,stock\nred-0,7\nblue-1,9\n")
    answers: dict[str, list[Any]] = {"library": [], "service": []}
    for way, found in answers.items():
        folder = Path(shutil.copytree(own, tmp_path / way))
        if way == "service":
            with beside(folder):
                found += [run(*command, "--data", folder) for command in commands]
        else:
            found += [run(*command, "--data", folder) for command in commands]
    for command, (status, library), (also, service) in zip(commands, *answers.values(), strict=True):
        assert status == also, (command, service)
        if "error" in library:
            assert library["error"]["code"] == service["error"]["code"], command
            continue
        library, service = told(library), told(service)
        for answer in (library, service):
            answer.get("failures", []).sort(key=str)
        assert service == close(library), command
    last_show = answers["service"][-8][1]
    assert last_show["count"] == 12 + len(HOSTILE_IDS) and {"n": 1} in [
        each["attributes"] for each in last_show["products"]
    ]


def test_what_no_service_does_names_it_and_the_way_out(
    refused: Refused, run: Run, service: Beside, data: Path, pictures: Path, tmp_path: Path
) -> None:
    message = refused("data_locked", "export", tmp_path / "out", "--format", "npz", "--data", data)
    assert service.url in message and "stop it first (Ctrl-C there)" in message
    (tmp_path / "x.npz").write_bytes(b"PK")
    assert service.url in refused("invalid_input", "index", pictures, "--data", data, "--precision", "float32")
    assert not (tmp_path / "out").exists()


def test_an_import_beside_a_service_is_refused(
    refused: Refused, run: Run, service: Beside, data: Path, own: Path, tmp_path: Path
) -> None:
    assert run("export", tmp_path / "out", "--format", "npz", "--data", own)[0] == 0
    [file] = (tmp_path / "out").iterdir()
    assert "stop it first" in refused("data_locked", "import", file, "--catalog", "copy", "--data", data)


def test_doctor_says_where_a_service_is(
    run: Run, service: Beside, data: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("doctor", "--data", own)[1]["service"] is None
    assert run("doctor", "--data", data)[1]["service"] == {"url": service.url, "ready": True}
    shown = CliRunner().invoke(cli, ["doctor", "--data", str(data)], env={"COLUMNS": "100"})
    assert service.url in shown.stdout
    monkeypatch.setenv("LOOKALIKE_SERVICE_URL", service.url)
    assert run("doctor", "--data", own)[1]["service"] == {"url": service.url, "ready": True}


def test_a_service_that_answers_no_more_is_one_sentence(
    refused: Refused, run: Run, service: Beside, data: Path
) -> None:
    service.catalogs.registry.announce("http://127.0.0.1:1")
    for command in (("show",), ("search", "--product", "red-0"), ("catalogs",), ("index", __file__), ("remove", "a")):
        assert "http://127.0.0.1:1" in refused("service_unavailable", *command, "--data", data)
    _, answer = run("doctor", "--data", data)
    assert answer["service"] == {"url": "http://127.0.0.1:1", "ready": False}
    assert any("http://127.0.0.1:1" in problem for problem in answer["problems"])


def test_only_a_known_key_is_let_in_and_none_is_told(
    refused: Refused, run: Run, own: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, wrong = new_secret(), new_secret()
    (tmp_path / "keys").write_text(f"me:{hashed(key)}\n")
    data = Path(shutil.copytree(own, tmp_path / "data"))
    with beside(data, keyring=Keyring.load(tmp_path / "keys")):
        assert "LOOKALIKE_API_KEY" in refused("unauthorized", "show", "--data", data)
        monkeypatch.setenv("LOOKALIKE_API_KEY", wrong)
        assert wrong not in refused("unauthorized", "index", pictures, "--data", data)
        monkeypatch.setenv("LOOKALIKE_API_KEY", key)
        for command in (["show"], ["index", str(pictures)], ["search", "--product", "red-0"], ["doctor"]):
            for form in ([], ["--json"]):
                result = CliRunner().invoke(cli, [*command, "--data", str(data), *form])
                assert result.exit_code == 0, result.output
                assert key not in result.output


def between(app: Any, meet: Callable[[dict[str, Any]], str | None]) -> list[dict[str, Any]]:
    """Puts something between a service and its callers: where `meet` names a status, that is the answer. `lost` has the
    service do its work first. Gives the requests that came."""
    inner, came = app.wsgi_app, []
    lock = threading.Lock()

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with lock:
            came.append(environ)
            status = meet(environ)
        if status is None:
            return list(inner(environ, start_response))
        if status == "lost":
            list(inner(environ, lambda *_: None))
            status = "503 Lost"
        start_response(status, [("Retry-After", "1"), ("Content-Type", "text/plain")])
        return [b""]

    app.wsgi_app = wsgi
    return came


def is_upload(environ: dict[str, Any]) -> bool:
    return environ["REQUEST_METHOD"] == "POST" and environ["REQUEST_URI"].endswith("/images")


def is_feed(environ: dict[str, Any]) -> bool:
    return environ["REQUEST_METHOD"] == "POST" and "/products?" in environ["REQUEST_URI"]


def few(folder: Path, count: int = 6, first: int = 50) -> Path:
    folder.mkdir()
    for number in range(first, first + count):
        (folder / f"new-{number}.jpg").write_bytes(picture(number))
    return folder


def counts(steps: Iterable[Progress]) -> dict[State, int]:
    found = dict.fromkeys(State, 0)
    for step in steps:
        for state, count in step.counts.items():
            found[state] += count
    return {state: count for state, count in found.items() if count}


def test_a_folder_is_one_job_and_only_what_is_new_is_uploaded(
    run: Run, service: Beside, data: Path, tmp_path: Path
) -> None:
    folder = few(tmp_path / "few", 100)
    came = between(service.app, lambda environ: None)
    status, first = run("index", folder, "--data", data)
    assert (status, first["applied"], sum(map(is_upload, came)), sum(map(is_feed, came))) == (0, 100, 100, 1)
    [job], _ = service.ledger.jobs()
    assert (job.id, job.total, job.applied) == (first["job"], 100, 100)
    (folder / "one-more.jpg").write_bytes(picture(1000))
    came.clear()
    status, second = run("index", folder, "--data", data)
    assert (status, second["applied"], second["unchanged"], sum(map(is_upload, came))) == (0, 1, 100, 1)
    assert [each.total for each in service.ledger.jobs()[0]] == [101, 100]


def test_a_lost_answer_counts_once(run: Run, service: Beside, data: Path, tmp_path: Path) -> None:
    seen: set[str] = set()

    def lose_first(environ: dict[str, Any]) -> str | None:
        path = environ["REQUEST_URI"]
        if environ["REQUEST_METHOD"] != "POST" or path in seen:
            return None
        seen.add(path)
        return "lost"

    came = between(service.app, lose_first)
    status, answer = run("index", few(tmp_path / "few"), "--data", data)
    assert (status, answer["applied"], answer["unchanged"], answer["failed"]) == (0, 6, 0, 0)
    feeds = [each for each in came if is_feed(each)]
    assert len(feeds) == 2 and len({each["HTTP_IDEMPOTENCY_KEY"] for each in feeds}) == 1
    assert len({each["CONTENT_LENGTH"] for each in feeds}) == 1
    assert len(service.ledger.jobs()[0]) == 1


def test_a_service_that_asks_for_a_pause_gets_it(run: Run, service: Beside, data: Path, tmp_path: Path) -> None:
    """Whether an upload or the feed is asked to come later."""
    times: dict[str, list[float]] = {"upload": [], "feed": []}

    def full(environ: dict[str, Any]) -> str | None:
        kind = "upload" if is_upload(environ) else "feed" if is_feed(environ) else None
        if kind is None:
            return None
        times[kind].append(time.monotonic())
        return "429 Full" if len(times[kind]) == 1 else None

    between(service.app, full)
    status, answer = run("index", few(tmp_path / "few"), "--data", data)
    assert (status, answer["applied"]) == (0, 6)
    for first, second, *_ in times.values():
        assert second - first > 0.8, "Retry-After says 1 s"


@pytest.mark.long
def test_a_service_that_is_away_for_a_moment_is_waited_for(
    run: Run, service: Beside, data: Path, tmp_path: Path
) -> None:
    """Whatever it is asked at that moment: it restarts."""
    asked: dict[str, int] = {}

    def away(environ: dict[str, Any]) -> str | None:
        path = environ["REQUEST_URI"].partition("?")[0]
        if "/jobs/" not in path and "/images" not in path and not is_feed(environ):
            return None
        asked[path] = asked.get(path, 0) + 1
        return "503 Restarting" if asked[path] <= 2 else None

    between(service.app, away)
    status, answer = run("index", few(tmp_path / "few"), "--data", data)
    assert (status, answer["applied"]) == (0, 6)
    assert len(asked) >= 5 and min(asked.values()) >= 3


def test_more_than_is_under_way_is_not_taken(
    service: Beside, catalogs: RemoteCatalogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "BATCH", 2)
    most = 2 * (uploads.AT_ONCE + 1)
    taken: list[int] = []
    all_taken, may_pass = threading.Event(), threading.Event()

    def changes() -> Iterator[Change]:
        for number in range(most + 20):
            taken.append(number)
            if len(taken) == most:
                all_taken.set()
            yield Change(f"many-{number}", image=picture(100 + number))

    between(service.app, lambda environ: None if not is_upload(environ) or may_pass.wait(60) else "503 Late")
    steps: list[Progress] = []
    thread = threading.Thread(target=lambda: steps.extend(catalogs.get("products").feed(changes())))
    thread.start()
    assert all_taken.wait(60) and not steps
    assert len(taken) == most
    may_pass.set()
    thread.join(60)
    assert (counts(steps), len(taken)) == ({State.APPLIED: most + 20}, most + 20)


def test_changes_of_one_product_keep_their_order(catalogs: RemoteCatalogs) -> None:
    catalog = catalogs.get("products")
    images = [picture(number) for number in range(12)]
    steps = catalog.feed(Change("one", image=image, attributes={"n": n}) for n, image in enumerate(images))
    assert sum(counts(steps).values()) == 12
    assert catalog.get("one").attributes == {"n": 11}


def test_ctrl_c_while_images_are_uploaded_leaves_nothing_accepted(service: Beside, catalogs: RemoteCatalogs) -> None:
    def changes() -> Iterator[Change]:
        for number in range(10):
            yield Change(f"early-{number}", image=picture(200 + number))
        raise KeyboardInterrupt

    catalog = catalogs.get("products")
    with pytest.raises(KeyboardInterrupt):
        list(catalog.feed(changes()))
    assert (catalogs.get("products").count(), service.ledger.jobs()) == (12, ([], None))


def interrupted(steps: Generator[Progress, None, None], service: Beside) -> list[Progress]:
    """What is told of a job that is interrupted when it waits."""
    found: list[Progress] = []
    for step in steps:
        found.append(step)
        if step.job:
            break
    with pytest.raises(KeyboardInterrupt):
        found.append(steps.throw(KeyboardInterrupt()))
        found.extend(steps)
    return found


def test_ctrl_c_cancels_what_waits_and_tells_what_is_done(service: Beside, catalogs: RemoteCatalogs) -> None:
    service.working.clear()
    steps = catalogs.get("products").feed(Change(f"late-{n}", image=picture(200 + n)) for n in range(10))
    told = interrupted(steps, service)
    assert counts(told) == {State.CANCELED: 10}
    [job], _ = service.ledger.jobs()
    assert (job.canceled, job.state, told[-1].failures) == (10, "canceled", ())


def test_whoever_stops_following_cancels_what_waits(service: Beside, catalogs: RemoteCatalogs) -> None:
    service.working.clear()
    steps = catalogs.get("products").feed(Change(f"late-{n}", image=picture(200 + n)) for n in range(10))
    next(step for step in steps if step.job)
    steps.close()
    [job], _ = service.ledger.jobs()
    assert job.canceled == 10


def test_a_job_that_somebody_cancels_is_no_success(run: Run, service: Beside, data: Path, pictures: Path) -> None:
    service.working.clear()

    def cancel(environ: dict[str, Any]) -> str | None:
        if environ["REQUEST_METHOD"] == "GET" and "/jobs/" in environ["REQUEST_URI"]:
            service.ledger.cancel("1")
        return None

    between(service.app, cancel)
    status, answer = run("index", pictures, "--data", data)
    assert (status, answer["canceled"], answer["applied"]) == (1, 12, 0)


def test_a_picture_that_is_refused_fails_with_its_file_and_without_the_others(
    run: Run, service: Beside, data: Path, tmp_path: Path
) -> None:
    folder = few(tmp_path / "few")
    (folder / "note.jpg").write_text("no picture")
    (folder / "cut.jpg").write_bytes(picture(1)[:700])
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    status, answer = run("index", folder, "--data", data)
    assert (status, answer["applied"], answer["failed"]) == (1, 6, 3)
    failures = {each["product_id"]: (each["path"], each["code"]) for each in answer["failures"]}
    assert failures == {
        "note": (str(folder / "note.jpg"), "image_unsupported"),
        "cut": (str(folder / "cut.jpg"), "image_corrupt"),
        "gone": (str(folder / "gone.jpg"), "image_not_readable"),
    }
    assert all(each["message"].startswith(each["path"]) for each in answer["failures"])
    [job], _ = service.ledger.jobs()
    assert job.total == 7, "only what can be read and is an image is part of the feed"


def test_images_of_urls_are_part_of_the_same_job(service: Beside, catalogs: RemoteCatalogs) -> None:
    changes = [Change("here", image=picture(7)), Change("there", image=RemoteImage("http://127.0.0.1:9/1.jpg"))]
    steps = list(catalogs.get("products").feed(changes))
    assert counts(steps) == {State.APPLIED: 1, State.FAILED: 1}
    assert [(each.product_id, each.code) for each in steps[-1].failures] == [("there", "fetch_refused")]
    assert [job.total for job in service.ledger.jobs()[0]] == [2]


def test_a_service_that_keeps_no_originals_takes_no_uploads(
    own: Path, refused: Refused, pictures: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(own, tmp_path / "data"))
    with beside(data, media_keep="none") as service:
        assert "LOOKALIKE_MEDIA_KEEP=none" in refused("change_invalid", "index", pictures, "--data", data)
        assert service.ledger.jobs()[0] == []


def test_a_key_that_may_only_ingest_indexes_into_a_catalog_that_is_there(
    run: Run, refused: Refused, own: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_secret()
    (tmp_path / "keys").write_text(f"me:ingest:*:{hashed(key)}\n")
    data = Path(shutil.copytree(own, tmp_path / "data"))
    monkeypatch.setenv("LOOKALIKE_API_KEY", key)
    with beside(data, keyring=Keyring.load(tmp_path / "keys")):
        status, answer = run("index", pictures, "--data", data)
        assert (status, answer["unchanged"]) == (0, 12)
        refused("forbidden", "index", pictures, "--data", data, "--catalog", "new")
        refused("forbidden", "index", pictures, "--data", data, "--encoder", "efficientnet_lite0")


def test_what_concerns_all_ends_the_run(service: Beside, catalogs: RemoteCatalogs) -> None:
    catalog = catalogs.get("products")
    catalogs.remove("products")
    with pytest.raises(CatalogNotFound):
        list(catalog.feed(Change(f"late-{number}", image=picture(number)) for number in range(40)))


def test_an_encoder_that_cannot_be_loaded_ends_the_run_that_waits_for_it(
    service: Beside, data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The worker tries for an hour; the command must not be silent for so long."""
    from services.errors import WeightsUnreachable

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    service.app.test_client().put("/v1/catalogs/far", json={"encoder": "inception_v3"})
    with (
        RemoteCatalogs(service.url, settings.load(data=data), Timings(silence=1.0)) as catalogs,
        pytest.raises(WeightsUnreachable),
    ):
        list(catalogs.get("far").feed([Change("a", image=picture(1))]))
    [job], _ = service.ledger.jobs()
    assert job.canceled + service.ledger.counts().in_flight == 1, "what waits is not left behind by what is refused"


def test_a_service_that_is_away_when_its_encoder_is_looked_for_ends_no_run(service: Beside, data: Path) -> None:
    """It may have been killed just then; the next question waits for it."""
    service.working.clear()
    looked = between(service.app, lambda environ: away() if environ["PATH_INFO"].endswith("/search") else None)

    def away() -> str:
        service.working.set()
        return "503 Restarting"

    with RemoteCatalogs(service.url, settings.load(data=data), Timings(silence=0.1)) as catalogs:
        steps = list(catalogs.get("products").feed([Change("a", image=picture(1))]))
    assert counts(steps)[State.APPLIED] == 1
    assert any(environ["PATH_INFO"].endswith("/search") for environ in looked)


def test_the_pixel_is_a_picture(catalogs: RemoteCatalogs) -> None:
    assert len(catalogs.get("products").search_image(PIXEL, limit=3)) == 3


def test_pages_are_counted_to_the_end(catalogs: RemoteCatalogs, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = catalogs.get("products")
    pages = catalog.scroll
    monkeypatch.setattr(catalog, "scroll", lambda **options: pages(**{**options, "limit": 3}))
    assert catalog.count(parse(BLUE)) == 3 and catalog.count(parse("{}")) == 12


def test_a_column_of_another_kind_changes_no_declaration(run: Run, data: Path, pictures: Path, tmp_path: Path) -> None:
    """The catalog's kind counts, and what does not fit it fails alone."""
    (tmp_path / "table.csv").write_text("product_id,price\nred-0,ask\n")
    before = run("show", "red-0", "--data", data), run("catalogs", "--data", data)
    status, answer = run("index", pictures, "--attributes", tmp_path / "table.csv", "--data", data)
    assert (status, [(each["product_id"], each["code"]) for each in answer["failures"]]) == (
        1, [("red-0", "attributes_invalid")]
    )  # fmt: skip
    assert "price is declared as float" in answer["failures"][0]["message"]
    assert (run("show", "red-0", "--data", data), run("catalogs", "--data", data)) == before


def test_a_catalog_in_use_tells_its_spec(catalogs: RemoteCatalogs, service: Beside) -> None:
    ours, theirs = catalogs.get("products").spec, service.catalogs.get("products").spec
    assert (ours.name, ours.encoder, ours.weights, ours.fingerprint) == (
        theirs.name, theirs.encoder, theirs.weights, theirs.fingerprint,
    )  # fmt: skip
    assert ours.indexed_attributes == {"color": AttributeKind.KEYWORD, "price": AttributeKind.FLOAT}
    assert (ours.id, ours.generation) == ("", "")


def test_weights_of_a_catalog_may_be_named_again(run: Run, data: Path, pictures: Path) -> None:
    assert run("index", pictures, "--data", data, "--weights", "imagenet", "--resample", "nearest")[0] == 0
