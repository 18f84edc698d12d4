"""The import rules hold, and a planted violation of each is found by the contract that forbids it."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

STAND_ON = "api and workers stand on services, never the other way round"
SERVICES = "The rooms of services form layers"
API = "The rooms of api form layers"
CIRCLES = "Modules of one package do not import each other in circles"
PICTURES = "Pillow, libvips and libheif live in services.images; demo and testing draw, too"
CONCRETE = "Only bootstrap names concrete classes"
CLIENT = "The client stands alone; numpy comes where vectors are asked for"

PLANTED = {
    "services.query.imports_api": (STAND_ON, "import api.cli"),
    "services.query.imports_workers": (STAND_ON, "import workers"),
    "workers.imports_api": (STAND_ON, "import api.cli"),
    "api.routes.imports_workers": (STAND_ON, "import workers"),
    "services.query.imports_a_room_above": (SERVICES, "import services.catalog.catalog"),
    "services.storage.imports_a_room_beside": (SERVICES, "import services.feeds.sources"),
    "services.catalog.imports_a_room_above_for_types": (
        SERVICES,
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import services.bootstrap",
    ),
    "api.access.imports_a_room_above": (API, "import api.routes.jobs"),
    "api.openapi.imports_a_room_beside": (API, "import api.ingest"),
    "services.query.imports_tensorflow": ("TensorFlow and Keras live in services.encoders.keras", "import tensorflow"),
    "api.routes.imports_keras": ("TensorFlow and Keras live in services.encoders.keras", "import keras"),
    "services.query.imports_pillow": (PICTURES, "import PIL.Image"),
    "services.catalog.imports_libvips": (PICTURES, "import pyvips"),
    "services.query.imports_qdrant": ("The vector index lives in services.index", "import qdrant_edge"),
    "services.query.imports_redis": ("Redis lives in services.ledger", "import redis"),
    "api.routes.imports_httpx2": (
        "What the service opens URLs of strangers with lives in services.outbound",
        "import httpx2",
    ),
    "services.query.imports_celery": ("Celery lives in workers; the API sends its messages", "import celery"),
    "api.routes.imports_a_concrete_class": (CONCRETE, "import services.index.edge"),
    "api.routes.imports_a_test_twin": (CONCRETE, "import services.testing"),
    "lookalike.imports_numpy": (CLIENT, "import numpy"),
    "lookalike.imports_tensorflow_late": (CLIENT, "def planted() -> None:\n    import tensorflow"),
    "lookalike.imports_services": (CLIENT, "import services.records"),
}
"""By module: the contract that forbids it, and its source text."""

CIRCLE = {
    "services.query.planted_one": "import services.query.planted_two",
    "services.query.planted_two": "import services.query.planted_one",
}
STRAY = "services.planted"
"""A module of services that no layer lists."""


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    environment = {"PYTHONPATH": str(tree), "COLUMNS": "200"}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def contracts() -> list[str]:
    """The names of all contracts."""
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [contract["name"] for contract in configured["tool"]["importlinter"]["contracts"]]


def reports(tree: Path) -> dict[str, str]:
    """The broken contracts of a tree, by name, and what the linter says about each."""
    ran = lint(tree)
    assert ran.returncode == 1, ran.stdout
    _, _, broken = ran.stdout.partition("\nBroken contracts\n")
    found: dict[str, str] = {}
    names, name = contracts(), ""
    for line in broken.splitlines():
        name = line if line in names else name
        found[name] = found.get(name, "") + line + "\n"
    return found


def plant(tree: Path, modules: dict[str, str]) -> None:
    for module, text in modules.items():
        (tree / module.replace(".", "/")).with_suffix(".py").write_text(text + "\n")


def copy_to(tree: Path) -> Path:
    for name in ("services", "workers", "api"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    client = ROOT / "client" / "lookalike"
    shutil.copytree(client, tree / "lookalike", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return copy_to(tmp_path)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the linter says about a tree with all planted violations at once, each in a module of its own."""
    tree = copy_to(tmp_path_factory.mktemp("planted"))
    plant(tree, {module: text for module, (_, text) in PLANTED.items()} | CIRCLE | {STRAY: ""})
    return reports(tree)


def test_the_tree_keeps_the_rules(tree: Path) -> None:
    ran = lint(tree)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("module", PLANTED)
def test_a_planted_violation_is_found(found: dict[str, str], module: str) -> None:
    contract, _ = PLANTED[module]
    assert f"{module} -> " in found[contract]


def test_a_planted_circle_is_found(found: dict[str, str]) -> None:
    assert "No cycles are allowed in services.query." in found[CIRCLES]


def test_a_module_that_no_layer_lists_is_found(found: dict[str, str]) -> None:
    assert f"- {STRAY}\n" in found[SERVICES]


def test_every_contract_has_a_planted_violation() -> None:
    assert {contract for contract, _ in PLANTED.values()} | {CIRCLES} == set(contracts())


def test_the_command_line_may_start_workers(tree: Path) -> None:
    plant(tree, {"api.cli.planted": "import workers"})
    assert lint(tree).returncode == 0


def test_nothing_heavy_is_imported_for_help() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom api.cli.main import cli\n"
        "CliRunner().invoke(cli, ['index', '--help'], catch_exceptions=False)\n"
        "print([name for name in ('tensorflow', 'keras', 'pyarrow') if name in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def heavy_of(client: Path) -> str:
    """What of numpy, TensorFlow and a service is there once the client in a folder has been imported."""
    code = (
        "import sys\nimport lookalike\n"
        f"assert lookalike.__file__ == {str(client / 'lookalike' / '__init__.py')!r}, lookalike.__file__\n"
        "heavy = ('numpy', 'tensorflow', 'keras', 'flask', 'services', 'api')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    environment = {"PYTHONPATH": str(client)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_importing_the_client_imports_neither_numpy_nor_anything_of_a_service(tree: Path) -> None:
    assert heavy_of(tree) == "[]"
    plant(tree, {"lookalike.planted": "import numpy"})
    with (tree / "lookalike" / "__init__.py").open("a") as package:
        package.write("import lookalike.planted\n")
    assert heavy_of(tree) == "['numpy']"
