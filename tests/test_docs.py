"""The docs are true: the reference pages are the code's, every command runs, every link leads somewhere."""

import fcntl
import importlib.util
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from routes import routes_page
from waiting import until

from api.cli.main import COMMANDS
from api.responses.problems import statuses
from services.settings import Settings

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
NAMES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "bench/README.md"]
PAGES = [*(ROOT / name for name in NAMES), *sorted((ROOT / "docs").glob("*.md"))]


STOPS = "Stop the service."
URL = "http://127.0.0.1:8080"


def blocks_of(page: Path) -> list[str]:
    """A page's sh blocks in order, and where it says so `STOPS`."""
    found = re.findall(rf"^```sh\n(.*?)^```|^({re.escape(STOPS)})", page.read_text(), re.MULTILINE | re.DOTALL)
    return [block or stop for block, stop in found]


def answers_of(page: Path) -> dict[str, Any]:
    """What a page shows as the answer of the last command of a sh block, by block."""
    found = re.findall(
        r"^```sh\n(.*?)^```\n(?:\n[^`]*)?^```json\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL
    )
    return {block: json.loads(answer) for block, answer in found}


def unlike(shown: Any, told: Any, place: str = "") -> Iterator[str]:
    """Where an answer is another one than a page shows.

    Of a list the first is compared: what comes next is nearly as near, and on another processor may change places.
    Numbers may differ by a twentieth, and pages have their own `next`.
    """
    if isinstance(shown, dict) and isinstance(told, dict):
        yield from (f"{place}.{name}" for name in sorted(shown.keys() ^ told.keys()))
        for name in sorted(shown.keys() & told.keys() - {"next"}):
            yield from unlike(shown[name], told[name], f"{place}.{name}")
    elif isinstance(shown, list) and isinstance(told, list) and len(shown) == len(told):
        if shown:
            yield from unlike(shown[0], told[0], f"{place}[0]")
    elif isinstance(shown, float) and isinstance(told, float):
        if abs(shown - told) > 0.05 * abs(shown):
            yield f"{place}: {told}, not {shown}"
    elif shown != told:
        yield f"{place}: {told}, not {shown}"


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_pages_are_what_the_code_says(reference: ModuleType) -> None:
    again = "write them anew with: python docs/reference.py"
    assert (ROOT / "docs" / "cli.md").read_text() == reference.cli_page(), again
    assert (ROOT / "docs" / "configuration.md").read_text() == reference.configuration_page(), again
    document = reference.openapi_document()
    assert (ROOT / "docs" / "openapi.json").read_text() == document, again
    assert (ROOT / "docs" / "routes.md").read_text() == routes_page(json.loads(document)), again


def test_every_command_is_in_the_readme_or_the_quickstart() -> None:
    text = (ROOT / "README.md").read_text() + (ROOT / "docs" / "quickstart.md").read_text()
    assert [name for name in COMMANDS if f"lookalike {name}" not in text] == []


def test_every_setting_that_a_page_names_exists() -> None:
    named = {name for page in PAGES for name in re.findall(r"LOOKALIKE_([A-Z_]+)", page.read_text())}
    assert named <= {name.upper() for name in Settings.model_fields}


def test_every_log_line_that_operators_look_for_is_logged() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    lines = re.findall("`([^`]+)`", page.partition("Lines to look for:")[2].partition("\n\n")[0])
    assert len(lines) > 3
    packages = ("services", "workers", "api")
    source = "\n".join(path.read_text() for package in packages for path in (ROOT / package).rglob("*.py"))
    assert [line for line in lines if f'"{line}"' not in source] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in target]
    assert [target for target in targets if not (page.parent / target.partition("#")[0]).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"\btests/[\w/]+\.py\b", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_codes_of_the_api_page_have_their_statuses() -> None:
    known = statuses()
    rows = re.findall(r"^\| (\d{3})[^|]*\| (`.*) \|$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    named = [(code, int(status)) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)]
    assert len(named) > 40
    assert [(code, status) for code, status in named if known.get(code) != status] == []


@pytest.mark.parametrize(
    "target",
    [
        "help",
        "setup",
        "run",
        "quick",
        "test",
        "test-long",
        "chaos",
        "nightly",
        "test-server",
        "stack",
        "check",
        "format",
        "bench",
        "bench-full",
        "lock",
    ],
)
def test_make_knows_its_targets(target: str) -> None:
    ran = subprocess.run(
        ["make", "--no-print-directory", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"make {target} " in listed


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """What the pages speak of: photos, attributes, and what the script left, with weights where Keras keeps them."""
    (tmp_path / "photos").mkdir()
    random = np.random.default_rng(8)
    names = ["SKU-17", *(f"SKU-{number}" for number in range(20, 25))]
    for name in names:
        coarse = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC).save(tmp_path / "photos" / f"{name}.jpg")
    rows = [f"{name},blue,{number}" for number, name in enumerate(names)]
    (tmp_path / "attributes.csv").write_text("\n".join(["product_id,color,price", *rows]) + "\n")
    (tmp_path / "script-output").mkdir()
    np.savetxt(tmp_path / "script-output" / "img_embeddings.txt", random.random((6, 2048)))
    lines = [f"{name}.jpg\x01{number + (number > 2)}\n" for number, name in enumerate(names)]
    (tmp_path / "script-output" / "indexes.txt").write_text("".join(lines))
    keras_models = tmp_path / "keras" / "models"
    keras_models.mkdir(parents=True)
    code = (
        "from services.encoders.keras import applications, weights\n"
        "model = applications.inception_v3().build(True)\nweights.randomize(model, 1)\n"
        f"model.save({str(keras_models / 'inception_v3_weights_tf_dim_ordering_tf_kernels.h5')!r})\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return tmp_path


class Terminal:
    """What a person has who follows a page: a folder, a shell, and in another terminal the service."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".venv").symlink_to(BIN.parent)
        # Curl says nothing of a refusal by itself.
        (folder / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\n")
        self._environment = os.environ | {"KERAS_HOME": str(folder / "keras"), "CURL_HOME": str(folder)}
        self._environment["PATH"] = f"{BIN}:{os.environ['PATH']}"
        self._service: subprocess.Popen[str] | None = None

    def run(self, block: str) -> str:
        ran = subprocess.run(
            ["bash", "-ec", block], cwd=self.folder, env=self._environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, f"{block}\n{ran.stdout}{ran.stderr}"
        return ran.stdout

    def make_run(self, **environment: str) -> None:
        """Does what `make run` does, but for the environment, which is there."""
        told = subprocess.run(
            ["make", "--no-print-directory", "-n", "run"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        line = told.splitlines()[-1]
        assert line == ".venv/bin/lookalike up --demo --port 8080"
        with (self.folder / "service.log").open("a") as log:
            self._service = subprocess.Popen(
                shlex.split(line),
                cwd=self.folder,
                env=self._environment | environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._service.stdout
        watch = threading.Timer(600, self._service.kill)
        watch.start()
        said = ""
        for line in self._service.stdout:
            said += line
            if line.strip().endswith("/docs"):
                break
        watch.cancel()
        assert f"ready: {URL} " in said and "432 products" in said, said + (self.folder / "service.log").read_text()

    def stop(self) -> None:
        if self._service:
            self._service.send_signal(signal.SIGINT)
            out, _ = self._service.communicate(timeout=60)
            assert (self._service.returncode, out) == (0, "")
            self._service = None

    def kill(self) -> None:
        if self._service and self._service.poll() is None:
            self._service.kill()
            self._service.communicate()


@pytest.fixture
def the_port() -> Iterator[None]:
    """One test at a time uses the port that the pages name, also among processes that run tests in parallel."""
    with (Path(tempfile.gettempdir()) / "lookalike-docs.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture
def terminal(workspace: Path, the_port: None) -> Iterator[Terminal]:
    with socket.socket() as port:
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            port.bind(("127.0.0.1", 8080))
        except OSError as error:
            why = f"port 8080, which the pages name, is taken by something else here ({error})"
            if os.environ.get("CI"):
                pytest.fail(why)
            pytest.skip(why)
    terminal = Terminal(workspace)
    yield terminal
    terminal.kill()


def follow(page: str, terminal: Terminal) -> Iterator[tuple[str, str]]:
    """Does what a page says; gives each block and what came of it."""
    answers = answers_of(ROOT / page)
    for block in blocks_of(ROOT / page):
        if block == STOPS:
            terminal.stop()
        elif block.startswith("make run\n"):
            assert set(block.splitlines()) <= {"make run", "make test"}, "the tests are what this is"
            terminal.make_run()
        else:
            out = terminal.run(block)
            if block in answers:
                assert [*unlike(answers[block], json.loads(out.splitlines()[-1]))] == []
            yield block, out
    terminal.stop()


def test_an_answer_that_is_not_as_shown_is_seen() -> None:
    shown = {"found": [{"id": "a", "score": 0.7}, {"id": "b", "score": 0.6}], "good": 2, "next": "x"}
    nearly = {"found": [{"id": "a", "score": 0.71}, {"id": "c", "score": 0.6}], "good": 2, "next": "y"}
    assert [*unlike(shown, nearly)] == []
    for change in ({"good": 1}, {"found": nearly["found"][1:]}, {"found": nearly["found"][::-1]}, {"more": 1}):
        assert [*unlike(shown, nearly | change)] != []
    assert len(answers_of(ROOT / "README.md")) == 1 and len(answers_of(ROOT / "docs" / "quickstart.md")) == 3


@pytest.mark.long
def test_every_command_of_the_readme_works_as_written(terminal: Terminal) -> None:
    done = list(follow("README.md", terminal))
    assert any("lookalike search" in block and "curl" in block for block, _ in done)


@pytest.mark.long
def test_every_command_of_the_quickstart_works_as_written(terminal: Terminal) -> None:
    blocks = []
    for block, out in follow("docs/quickstart.md", terminal):
        blocks.append(block)
        if "directions learn" in block:
            # The page that says more of it asks the same catalog.
            shown = [terminal.run(each) for each in blocks_of(ROOT / "docs" / "navigation.md")]
            assert len(shown) == 5 and all(
                (terminal.folder / f"{name}.html").exists() for name in ("axis", "path", "map", "duplicates")
            )
        if "feed.ndjson" in block:
            job = _finished(json.loads(out.splitlines()[0].partition("}")[0] + "}")["id"])
            check_the_feed_is_what_the_page_says(job)
            terminal.stop()
            terminal.make_run(LOOKALIKE_FETCH_ALLOW="127.0.0.1")
            again = httpx2.post(f"{URL}/v1/jobs/{job['id']}/retry", trust_env=False)
            assert again.status_code == 202
            assert _finished(again.json()["id"])["applied"] == 1
    assert len(blocks) > 10 and any("lookalike import" in block for block in blocks)


@pytest.mark.long
def test_every_command_of_the_page_of_encoders_works_as_written(terminal: Terminal) -> None:
    blocks = [block for block, _ in follow("docs/models.md", terminal)]
    assert len(blocks) == 8 and (terminal.folder / "compared.html").exists()
    assert (terminal.folder / "evaluation.html").exists() and (terminal.folder / "difference.svg").exists()


def check_the_feed_is_what_the_page_says(job: dict[str, Any]) -> None:
    assert (job["state"], job["errors"], job["total"], job["failed"]) == ("succeeded", True, 3, 1)
    [item] = httpx2.get(f"{URL}/v1/jobs/{job['id']}/items", trust_env=False).json()["items"]
    assert (item["product_id"], item["code"]) == ("SKU-2", "fetch_refused")


def _finished(job: str) -> dict[str, Any]:
    def told() -> dict[str, Any]:
        return dict(httpx2.get(f"{URL}/v1/jobs/{job}", trust_env=False).json())

    until(lambda: bool(told()["finished_at"]), 300, told)
    return told()


def test_only_pages_that_are_run_have_commands() -> None:
    pages = ("quickstart", "models", "navigation", "client")  # the last one: tests/client/test_guide.py
    runs = {ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in pages)}
    assert [page for page in PAGES if page not in runs and blocks_of(page)] == []
