"""Running commands and making folders of pictures."""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from beside import beside
from click.testing import CliRunner
from PIL import Image

from api.cli.main import cli

Run = Callable[..., tuple[int, dict[str, Any]]]

COLORS = {"red": (215, 40, 40), "green": (40, 190, 60), "blue": (40, 60, 215)}


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs a command with --json: its status and its one JSON object."""

    def run(*arguments: object) -> tuple[int, dict[str, Any]]:
        # One precision a process, and tests of the encoder itself compare in float32.
        runner = CliRunner(env={"LOOKALIKE_PRECISION": "float32"})
        result = runner.invoke(cli, [*map(str, arguments), "--json"], catch_exceptions=False)
        assert result.stdout.count("\n") == 1, result.stdout
        return result.exit_code, json.loads(result.stdout)

    return run


@pytest.fixture(scope="session")
def refused(run: Run) -> Callable[..., str]:
    """Runs a command that must be refused with this code: its sentence."""

    def refused(code: str, *arguments: object) -> str:
        status, answer = run(*arguments)
        assert (status, list(answer), answer["error"]["code"]) == (2, ["error"], code), answer
        message: str = answer["error"]["message"]
        assert "\n" not in message and message.endswith((".", "?")), message
        return message

    return refused


def picture(color: str, number: int, side: int = 96) -> bytes:
    """A JPEG: circles of a color on gray, so that a trained encoder sees something."""
    random = np.random.default_rng([number, len(color)])
    y, x = np.mgrid[:side, :side]
    pixels = np.full((side, side, 3), 200.0) + random.normal(0, 4, (side, side, 1))
    for _ in range(3):
        cx, cy, r = random.integers(side // 5, side * 4 // 5), random.integers(side // 5, side * 4 // 5), side // 6
        pixels[(x - cx) ** 2 + (y - cy) ** 2 < r**2] = COLORS[color]
    out = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


def write_pictures(folder: Path, count: int = 4) -> Path:
    """`count` pictures of each color, named red-0.jpg and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for color in COLORS:
        for number in range(count):
            (folder / f"{color}-{number}.jpg").write_bytes(picture(color, number))
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def attributes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("attributes") / "attributes.csv"
    rows = [f"{color}-{number},{color},{number}.5" for color in COLORS for number in range(4)]
    path.write_text("\n".join(["product_id,color,price", *rows, "unknown,red,1"]) + "\n")
    return path


@pytest.fixture(scope="session")
def own(run: Run, pictures: Path, attributes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a catalog of the pictures, which nothing works on, for tests that only read."""
    data = tmp_path_factory.mktemp("own")
    status, _ = run(
        "index", pictures, "--data", data, "--encoder", "efficientnet_lite0", "--attributes", attributes,
    )  # fmt: skip
    assert status == 0
    return data


@pytest.fixture(scope="session", params=["library", "service"])
def way(request: pytest.FixtureRequest) -> str:
    """Whether commands work on the data folder themselves, or ask the service that does."""
    return str(request.param)


@contextmanager
def worked_on(data: Path, way: str) -> Iterator[Path]:
    """The data folder, and beside it a service, if that is the way."""
    with beside(data) if way == "service" else nullcontext():
        yield data


@pytest.fixture(scope="session")
def indexed(own: Path, way: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder with a catalog of the pictures, for tests that only read; either way."""
    with worked_on(Path(shutil.copytree(own, tmp_path_factory.mktemp("indexed") / "data")), way) as data:
        yield data


@pytest.fixture
def data(own: Path, way: str, tmp_path: Path) -> Iterator[Path]:
    """The same, for one test, which may change it; either way."""
    with worked_on(Path(shutil.copytree(own, tmp_path / "data")), way) as data:
        yield data


@pytest.fixture
def new(way: str, tmp_path: Path) -> Iterator[Path]:
    """A data folder that has nothing yet; either way."""
    with worked_on(tmp_path / "data", way) as data:
        yield data
