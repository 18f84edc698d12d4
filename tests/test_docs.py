"""The docs are true: the reference pages are the code's, every command runs, every link leads somewhere."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from api.cli.main import COMMANDS
from services.settings import Settings

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "bench" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands_of(page: Path) -> list[str]:
    """The lines of a page's sh blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


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


def test_every_command_is_in_the_readme_or_the_quickstart() -> None:
    text = (ROOT / "README.md").read_text() + (ROOT / "docs" / "quickstart.md").read_text()
    assert [name for name in COMMANDS if f"lookalike {name}" not in text] == []


def test_every_setting_that_a_page_names_exists() -> None:
    named = {name for page in PAGES for name in re.findall(r"LOOKALIKE_([A-Z_]+)", page.read_text())}
    assert named <= {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", page.read_text()) if "://" not in target]
    assert [target for target in targets if not (page.parent / target.partition("#")[0]).exists()] == []


@pytest.mark.parametrize("target", ["help", "setup", "run", "test", "test-long", "check", "bench"])
def test_make_knows_its_targets(target: str) -> None:
    ran = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
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
        "from services.encoders import inception_v3, weights\n"
        "model = inception_v3.network().build(True)\nweights._randomize(model, 1)\n"
        f"model.save({str(keras_models / 'inception_v3_weights_tf_dim_ordering_tf_kernels.h5')!r})\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return tmp_path


def run(line: str, workspace: Path) -> None:
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "KERAS_HOME": str(workspace / "keras")}
    ran = subprocess.run(
        ["bash", "-ec", line], cwd=workspace, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"{line}\n{ran.stdout}{ran.stderr}"


@pytest.mark.long
@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_every_command_of_the_page_works_as_written(page: str, workspace: Path) -> None:
    lines = commands_of(ROOT / page)
    assert any(line.startswith("lookalike search") for line in lines)
    for line in lines:
        if line.startswith("make "):
            continue  # the two commands are what runs this; test_make_knows_its_targets
        if line == ". .venv/bin/activate":
            assert (BIN / "activate").exists()
            continue
        run(line, workspace)


def test_only_pages_that_are_run_have_commands() -> None:
    runs = {ROOT / "README.md", ROOT / "docs" / "quickstart.md"}
    assert [page for page in PAGES if page not in runs and commands_of(page)] == []


@pytest.mark.long
def test_the_bench_runs_on_a_few_pictures(tmp_path: Path) -> None:
    line = "bench/ingest.py --small 3 --large 6 --rounds 1 --side 100 --precision float32 --out"
    command = [sys.executable, *shlex.split(line), str(tmp_path / "result.json")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "marginal" in ran.stdout
    assert '"marginal_ratio"' in (tmp_path / "result.json").read_text()
