"""The import rules hold, and a planted violation of each is found."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

PLANTED = {
    "services imports api": ("services/planted.py", "import api.cli"),
    "services imports workers": ("services/planted.py", "import workers"),
    "workers import api": ("workers/planted.py", "import api.cli"),
    "api imports workers": ("api/planted.py", "import workers"),
    "tensorflow outside encoders": ("services/planted.py", "import tensorflow"),
    "keras outside encoders": ("api/planted.py", "import keras"),
    "pillow outside images": ("services/planted.py", "import PIL.Image"),
    "qdrant outside index": ("services/planted.py", "import qdrant_edge"),
    "redis outside the ledger": ("services/planted.py", "import redis"),
    "fetching elsewhere": ("api/planted.py", "import httpx2"),
    "celery outside workers": ("services/planted.py", "import celery"),
    "concrete class outside bootstrap": ("api/planted.py", "import services.index.edge"),
    "twin in the product": ("api/planted.py", "import services.testing"),
}


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=tree, env={"PYTHONPATH": str(tree)}, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("services", "workers", "api"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_tree_keeps_the_rules(tree: Path) -> None:
    ran = lint(tree)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("violation", PLANTED)
def test_a_planted_violation_is_found(tree: Path, violation: str) -> None:
    file, text = PLANTED[violation]
    (tree / file).write_text(text + "\n")
    ran = lint(tree)
    assert ran.returncode == 1, ran.stdout
    assert Path(file).with_suffix("").as_posix().replace("/", ".") in ran.stdout


def test_the_command_line_may_start_workers(tree: Path) -> None:
    (tree / "api" / "cli" / "planted.py").write_text("import workers\n")
    assert lint(tree).returncode == 0


def test_nothing_heavy_is_imported_for_help() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom api.cli.main import cli\n"
        "CliRunner().invoke(cli, ['index', '--help'], catch_exceptions=False)\n"
        "print([name for name in ('tensorflow', 'keras', 'pyarrow') if name in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
