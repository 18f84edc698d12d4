"""What `lookalike` computes is what the replaced script computes, from the same weights and pictures."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from services.encoders.keras.encoder import has_bfloat16

ROOT = Path(__file__).parents[3]
LOOKALIKE = Path(sys.executable).parent / "lookalike"

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """InceptionV3 with its classifier and He-normal weights of a fixed seed, as Keras saves it."""
    path = tmp_path_factory.mktemp("weights") / "inception_v3.h5"
    code = (
        "from services.encoders.keras import applications, weights\n"
        "model = applications.inception_v3().build(True)\n"
        "weights.randomize(model, 11)\n"
        f"model.save({str(path)!r})\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 pictures: RGB, gray and opaque palette ones in the formats that have them, of many sizes."""
    folder = tmp_path_factory.mktemp("parity")
    random = np.random.default_rng(4)
    kinds = [("RGB", "jpg"), ("L", "jpg"), ("RGB", "png"), ("L", "png"), ("P", "png"), ("P", "gif"), ("RGB", "bmp"),
             ("RGB", "tiff"), ("RGB", "webp"), ("P", "bmp")]  # fmt: skip
    for number in range(50):
        mode, extension = kinds[number % len(kinds)]
        width, height = (int(side) for side in random.integers(40, 900, 2))
        coarse = random.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        image.convert(mode).save(folder / f"p{number:02}.{extension}")
    return folder


@pytest.fixture(scope="module")
def expected(weights: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Features by product of the replaced script."""
    out = tmp_path_factory.mktemp("script")
    script = [sys.executable, str(ROOT / "bench" / "script.py"), str(pictures), str(weights), str(out)]
    subprocess.run(script, check=True, capture_output=True)
    return features(out)


def features(folder: Path) -> dict[str, Any]:
    names = [line.split("\x01")[0].rpartition(".")[0] for line in (folder / "indexes.txt").read_text().splitlines()]
    return dict(zip(names, np.loadtxt(folder / "img_embeddings.txt"), strict=True))


def exported(pictures: Path, weights: Path, precision: str, work: Path) -> dict[str, Any]:
    index = [LOOKALIKE, "index", pictures, "--weights", weights, "--precision", precision]
    ran = subprocess.run([*map(str, index), "--data", work / "data", "--json"], check=True, capture_output=True)
    assert json.loads(ran.stdout)["applied"] == 50
    export = [LOOKALIKE, "export", work / "out", "--format", "script", "--data", work / "data"]
    subprocess.run([*map(str, export)], check=True, capture_output=True)
    return features(work / "out")


def test_float32_equals_the_script(
    expected: dict[str, Any], pictures: Path, weights: Path, tmp_path: Path, record_property: Any
) -> None:
    ours = exported(pictures, weights, "float32", tmp_path)
    assert ours.keys() == expected.keys()
    errors = [np.abs(ours[each] - expected[each]).max() / np.abs(expected[each]).max() for each in expected]
    record_property("largest_relative_error", max(errors))
    assert max(errors) <= 1e-4
    assert len({tuple(np.round(row, 3)) for row in expected.values()}) == 50, "the pictures must differ"


@pytest.mark.skipif(not has_bfloat16(), reason="this processor has no bfloat16")
def test_bfloat16_points_where_the_script_does(
    expected: dict[str, Any], pictures: Path, weights: Path, tmp_path: Path, record_property: Any
) -> None:
    ours = exported(pictures, weights, "bfloat16", tmp_path)
    cosines = [
        ours[each] @ expected[each] / np.linalg.norm(ours[each]) / np.linalg.norm(expected[each]) for each in expected
    ]
    record_property("smallest_cosine", min(cosines))
    assert min(cosines) >= 0.999
