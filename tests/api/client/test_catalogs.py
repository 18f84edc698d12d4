"""Commands beside a running service: they find it, and say through it what they say without it."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from beside import Beside, beside
from click.testing import CliRunner
from harness import picture

from api.access.keyring import Keyring
from api.access.keys import hashed, new_secret
from api.cli.main import cli
from api.client.catalog import PIXEL
from api.client.catalogs import RemoteCatalogs
from api.client.changes import AT_ONCE, Timings
from services import settings
from services.errors import CatalogNotFound
from services.query.filters import parse
from services.records import AttributeKind, Change, Outcome, State

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
    """Without what differs: times, versions (uploads arrive in any order), and the wording of a failure."""
    if not isinstance(answer, dict):
        return answer
    varying = {"seconds", "images_per_second", "version", "created_at", "message"}
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
    for command in (("export", tmp_path / "out", "--format", "npz"), ("optimize",)):
        message = refused("data_locked", *command, "--data", data)
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


def puts(came: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in came if each["REQUEST_METHOD"] == "PUT" and "/products/" in each["REQUEST_URI"]]


def test_a_lost_answer_counts_once(run: Run, service: Beside, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for number in range(6):
        (folder / f"new-{number}.jpg").write_bytes(picture(50 + number))
    seen: set[str] = set()

    def lose_first(environ: dict[str, Any]) -> str | None:
        path = environ["REQUEST_URI"]
        if environ["REQUEST_METHOD"] != "PUT" or "/products/" not in path or path in seen:
            return None
        seen.add(path)
        return "lost"

    came = between(service.app, lose_first)
    status, answer = run("index", folder, "--data", data)
    assert (status, answer["applied"], answer["unchanged"], answer["failed"]) == (0, 6, 0, 0)
    sent = puts(came)
    assert len(sent) == 12
    keys = {each["REQUEST_URI"]: set() for each in sent}
    for each in sent:
        keys[each["REQUEST_URI"]].add(each["HTTP_IDEMPOTENCY_KEY"])
    assert all(len(each) == 1 for each in keys.values()) and len(set.union(*keys.values())) == 6
    assert len(service.ledger.jobs()[0]) == 6


def test_a_service_that_asks_for_a_pause_gets_it(run: Run, service: Beside, data: Path, pictures: Path) -> None:
    times: list[float] = []

    def full(environ: dict[str, Any]) -> str | None:
        if environ["REQUEST_METHOD"] != "PUT" or "/products/" not in environ["REQUEST_URI"]:
            return None
        times.append(time.monotonic())
        return "429 Full" if len(times) <= 12 else None

    between(service.app, full)
    status, answer = run("index", pictures, "--data", data)
    assert (status, answer["unchanged"]) == (0, 12)
    assert min(times[12:]) - max(times[:12]) > 0.8, "Retry-After says 1 s"


def test_more_than_is_under_way_is_not_taken(service: Beside, catalogs: RemoteCatalogs) -> None:
    taken: list[int] = []

    def changes() -> Iterator[Change]:
        for number in range(AT_ONCE + 20):
            taken.append(number)
            yield Change(f"many-{number}", image=picture(100 + number))

    service.working.clear()
    outcomes: list[Outcome] = []
    catalog = catalogs.get("products")
    thread = threading.Thread(target=lambda: outcomes.extend(catalog.put(changes())))
    thread.start()
    time.sleep(2)
    assert len(taken) == AT_ONCE + 1 and not outcomes
    service.working.set()
    thread.join(60)
    assert sorted(each.product_id for each in outcomes) == sorted(f"many-{number}" for number in taken)
    assert {each.state for each in outcomes} == {State.APPLIED} and len(taken) == AT_ONCE + 20


def test_changes_of_one_product_keep_their_order(catalogs: RemoteCatalogs) -> None:
    catalog = catalogs.get("products")
    images = [picture(number) for number in range(12)]
    outcomes = list(catalog.put(Change("one", image=image, attributes={"n": n}) for n, image in enumerate(images)))
    assert [each.state for each in outcomes] == [State.APPLIED] * 12
    assert catalog.get("one").attributes == {"n": 11}


def test_ctrl_c_tells_what_is_under_way(service: Beside, catalogs: RemoteCatalogs) -> None:
    def changes() -> Iterator[Change]:
        for number in range(10):
            yield Change(f"early-{number}", image=picture(200 + number))
        raise KeyboardInterrupt

    catalog = catalogs.get("products")
    outcomes = []
    with pytest.raises(KeyboardInterrupt):
        for outcome in catalog.put(changes()):
            outcomes.append(outcome)
    assert sorted(each.product_id for each in outcomes) == sorted(f"early-{number}" for number in range(10))
    assert catalog.count() == 22


def test_what_concerns_all_ends_the_run(service: Beside, catalogs: RemoteCatalogs) -> None:
    catalog = catalogs.get("products")
    catalogs.remove("products")
    with pytest.raises(CatalogNotFound):
        list(catalog.put(Change(f"late-{number}", image=picture(number)) for number in range(40)))


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
        list(catalogs.get("far").put([Change("a", image=picture(1))]))


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
