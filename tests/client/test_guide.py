"""The guide of the client is true: its Python is run, in order, against a real service, and what it installs works."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Service, picture
from waiting import until

from lookalike import Client, Put

ROOT = Path(__file__).parent.parent.parent
GUIDE = (ROOT / "docs" / "client.md").read_text()
URL = "http://127.0.0.1:8080"
"""The one that the guide names."""


def blocks_of(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(["SKU-17", *(f"SKU-{number}" for number in range(20, 25))]):
        (tmp_path / "photos" / f"{name}.jpg").write_bytes(picture(number))
    return tmp_path


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path / "service") as service:
        yield service


@pytest.mark.long
def test_the_guide_is_run_as_it_is_written(folder: Path, service: Service) -> None:
    service.start(deadline=600)
    with Client(service.url) as client:
        shop = client.create_catalog("shop", encoder="efficientnet_lite0")
        client.wait(shop.put_many(Put(path.stem, path) for path in (folder / "photos").iterdir()))
    code = "\n".join(blocks_of("python")).replace(URL, service.url)
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}\n{service.log[-2000:]}"
    said = ran.stdout.splitlines()
    assert said[0].startswith("Neighbor(product_id='SKU-2") and said[1] == "succeeded 1"
    assert "8 of 8, 0 failed" in said and "product_not_found " in ran.stdout
    assert "SKU-24 applied" in said and any(each.startswith("5 (5, 1280) float32") for each in said)


@pytest.mark.long
def test_five_lines_lead_from_two_files_to_the_first_answer(folder: Path, tmp_path: Path) -> None:
    """Packages that both stand on come out of this environment, since no index can be asked."""
    dist = tmp_path / "dist"
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", dist]
    subprocess.run([*build, ROOT, ROOT / "client"], cwd=tmp_path, check=True, capture_output=True)
    venv.create(tmp_path / "fresh", with_pip=True)
    binaries = tmp_path / "fresh" / "bin"
    paths = sysconfig.get_paths(vars={"base": str(tmp_path / "fresh"), "platbase": str(tmp_path / "fresh")})
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONPATH": ""}
    environment = os.environ | offline | {"PATH": f"{binaries}:{os.environ['PATH']}"}
    install, index, up = blocks_of("sh")[0].splitlines()
    asked = blocks_of("python")[0]
    lines = [install, index, up, *filter(None, asked.splitlines())]
    assert up == "lookalike up &" and len(lines) == 5
    subprocess.run(["bash", "-ec", install], cwd=folder, env=environment, check=True, capture_output=True)
    (Path(paths["purelib"]) / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    subprocess.run(["bash", "-ec", index], cwd=folder, env=environment, check=True, capture_output=True)
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            ["lookalike", "up", "--port", "0"], cwd=folder, env=environment, stdout=log, stderr=log, text=True
        ) as process,
    ):
        try:

            def said() -> str:
                return (tmp_path / "log").read_text()

            until(lambda: bool(re.search(r"ready: http://\S+", said())) or process.poll() is not None, 900, said)
            found = re.search(r"ready: (http://\S+)", said())
            assert found, said()
            code = asked.replace(URL, found[1]) + "import lookalike, api; print(lookalike.__file__, api.__file__)"
            ran = subprocess.run(
                ["python", "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
            )
            answer, places = ran.stdout.splitlines()
            assert answer.startswith("Neighbor(product_id='SKU-2")
            assert places.split() == [f"{paths['purelib']}/{name}/__init__.py" for name in ("lookalike", "api")]
        finally:
            process.terminate()
