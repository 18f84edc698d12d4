"""Clients that are generated from the OpenAPI document use a real service."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from harness import Pictures, Service, answer, picture, serving

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
DOCUMENT = ROOT / "docs" / "openapi.json"
BIN = Path(sys.executable).parent
SEEN: dict[str, Any] = {
    "put": 1,
    "put_by_url": 1,
    "attributes": {"color": "red", "price": 10, "size": {"width": 3}},
    "fed": ["succeeded", 4, 3, 1, True],
    "search": ["blue/3", "blue/4", "red/2"],
    "filtered": ["red/1"],
    "neighbors": ["blue/3", "blue/4"],
    "query": ["blue/4"],
    "colors": [["blue", 2], ["red", 2]],
    "prices": [10, 30],
    "listed": ["blue/3", "blue/4", "red/1", "red/2"],
    "deleted": 1,
    "problem": [404, "product_not_found", "/problems/product_not_found"],
    "jobs": 4,
}
"""What the scenario of every language sees, beside its catalog and which two of three products a page has."""

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def pictures() -> Iterator[Pictures]:
    with serving() as served:
        for number in range(1, 5):
            served.answers[f"/{number}.png"] = answer(picture(number, format="PNG"), Content_Type="image/png")
        yield served


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service") / "data") as service:
        service.start(600)
        yield service


def run(*command: object, folder: Path, **environment: str) -> str:
    """What a command says. Node and npm come out of the environment of the tests."""
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    ran = subprocess.run(
        [str(each) for each in command],
        cwd=folder,
        env=os.environ | {"PATH": path} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout[-5000:]}\n{ran.stderr[-5000:]}"
    return ran.stdout


def saw(told: str, catalog: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(told)
    assert (found.pop("catalog"), len(found.pop("url"))) == (catalog, 2)
    return found


def test_the_document_is_that_of_a_running_service(service: Service) -> None:
    told = httpx2.get(f"{service.url}/openapi.json").json()
    assert told == json.loads(DOCUMENT.read_text())


def test_openapi_python_client_makes_a_client_that_works(service: Service, pictures: Pictures, tmp_path: Path) -> None:
    config = HERE / "python" / "openapi-python-client.yml"
    generate = ("generate", "--path", DOCUMENT, "--config", config, "--meta", "none", "--output-path", "generated")
    told = run(BIN / "openapi-python-client", *generate, folder=tmp_path)
    # It knows few media types, and leaves out what has others only; nothing else may be missing.
    warnings = re.split(r"^WARNING parsing ", told, flags=re.MULTILINE)[1:]
    assert [each for each in warnings if not re.search("Unsupported content[ _]type", each)] == []
    assert "Unable to process schema" not in told and "Unable to parse" not in told
    scenario = shutil.copy(HERE / "python" / "scenario.py", tmp_path)
    found = run(sys.executable, scenario, service.url, pictures.url, "python", folder=tmp_path)
    assert saw(found, "python") == SEEN


def test_openapi_typescript_makes_types_that_work(service: Service, pictures: Pictures, tmp_path: Path) -> None:
    folder = tmp_path / "typescript"
    shutil.copytree(HERE / "typescript", folder, ignore=shutil.ignore_patterns("node_modules", "generated*"))
    run("npm", "ci", "--no-audit", "--no-fund", folder=folder)
    tools = folder / "node_modules" / ".bin"
    run(tools / "openapi-typescript", DOCUMENT, "--output", "generated.d.ts", folder=folder)
    run(tools / "tsc", folder=folder)
    found = run("node", "scenario.ts", service.url, pictures.url, "typescript", folder=folder)
    assert saw(found, "typescript") == SEEN


def test_the_lock_of_npm_names_no_hosts() -> None:
    lock = (HERE / "typescript" / "package-lock.json").read_text()
    packages = json.loads(lock)["packages"]
    assert "resolved" not in lock and "registry" not in lock
    assert all("integrity" in each for name, each in packages.items() if name)
