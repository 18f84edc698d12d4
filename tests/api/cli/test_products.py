"""`lookalike show`, `remove`, `catalogs`, `optimize` and `doctor`."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from api.cli.doctor import gpu_problems
from api.cli.main import cli
from services import bootstrap
from services.encoders.keras.gpus import Gpus
from services.encoders.networks import networks

Run = Callable[..., tuple[int, dict[str, Any]]]
Refused = Callable[..., str]


def test_show_tells_a_product(run: Run, indexed: Path) -> None:
    status, product = run("show", "red-1", "--data", indexed)
    assert status == 0
    assert list(product) == ["product_id", "attributes", "image", "image_url", "version"]
    assert product["image_url"] is None
    assert product["attributes"] == {"color": "red", "price": 1.5}
    assert len(product["image"]) == 64


def test_show_lists_page_by_page(run: Run, indexed: Path) -> None:
    seen: list[str] = []
    after: list[object] = []
    for _ in range(3):
        _, page = run("show", "-n", 5, *after, "--data", indexed)
        assert page["count"] == 12
        seen += [product["product_id"] for product in page["products"]]
        after = ["--after", page["next"]]
    assert page["next"] is None
    assert len(set(seen)) == len(seen) == 12


def test_show_filters(run: Run, indexed: Path) -> None:
    _, page = run("show", "--filter", '{"must": [{"key": "color", "match": {"value": "red"}}]}', "--data", indexed)
    assert (page["count"], len(page["products"])) == (4, 4)


def test_a_removed_product_is_gone(run: Run, refused: Refused, data: Path) -> None:
    status, answer = run("remove", "red-1", "nothing", "--data", data)
    assert (status, answer["removed"]) == (1, 1)
    assert [failure["code"] for failure in answer["failures"]] == ["product_not_found"]
    refused("product_not_found", "show", "red-1", "--data", data)
    assert run("show", "--data", data)[1]["count"] == 11


def test_what_matches_a_filter_is_removed(run: Run, refused: Refused, data: Path) -> None:
    red = '{"must": [{"key": "color", "match": {"value": "red"}}]}'
    status, answer = run("remove", "--filter", red, "--dry-run", "--data", data)
    assert (status, answer["products"], len(answer["examples"])) == (0, 4, 4)
    assert run("show", "--data", data)[1]["count"] == 12
    assert run("remove", "--filter", red, "--data", data) == (
        0,
        {"catalog": "products", "removed": 4, "not_removed": None},
    )
    assert run("show", "--data", data)[1]["count"] == 8
    assert "remove the catalog instead" in refused("filter_invalid", "remove", "--filter", "{}", "--data", data)
    refused("invalid_input", "remove", "--filter", red, "red-1", "--data", data)
    refused("invalid_input", "remove", "red-1", "--dry-run", "--data", data)
    assert run("show", "--data", data)[1]["count"] == 8


def test_a_catalog_is_removed_only_when_meant(run: Run, refused: Refused, data: Path) -> None:
    refused("invalid_input", "remove", "--data", data)
    refused("invalid_input", "remove", "red-1", "--all", "--data", data)
    asked = CliRunner().invoke(cli, ["remove", "--all", "--data", str(data)], input="n\n")
    assert asked.exit_code == 2
    nobody = CliRunner().invoke(cli, ["remove", "--all", "--data", str(data)])
    assert (nobody.exit_code, "give --yes" in nobody.stderr, "Traceback" in nobody.stderr) == (2, True, False)
    assert run("show", "--data", data)[1]["count"] == 12
    assert run("remove", "--all", "--yes", "--data", data) == (0, {"catalog": "products", "removed": True})
    refused("catalog_not_found", "show", "--data", data)


def test_catalogs_are_listed(run: Run, indexed: Path) -> None:
    _, answer = run("catalogs", "--data", indexed)
    [catalog] = answer["catalogs"]
    assert (catalog["name"], catalog["products"], catalog["dim"], catalog["trained"]) == ("products", 12, 1280, True)
    assert catalog["indexed_attributes"] == {"color": "keyword", "price": "float"}


def test_optimize_keeps_the_answers(run: Run, own: Path, tmp_path: Path) -> None:
    data = shutil.copytree(own, tmp_path / "data")
    before = run("search", "--product", "red-0", "--data", data)
    status, answer = run("optimize", "--data", data)
    assert (status, answer["products"]) == (0, 12)
    assert run("search", "--product", "red-0", "--data", data) == before


def test_doctor_names_what_is_here_and_what_is_missing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    status, answer = run("doctor", "--data", tmp_path / "new")
    assert status == 0
    assert answer["weights"] == {name: name == "efficientnet_lite0" for name in networks()}
    assert "inception_v3" in answer["problems"][0]
    assert answer["data"]["exists"] is False and answer["data"]["free_bytes"] > 0
    assert not (tmp_path / "new").exists()
    facts = bootstrap.gpus()
    assert (answer["gpus"], answer["nvidia_driver"]) == (list(facts.names), facts.driver)
    told = [problem for problem in answer["problems"] if "GPU" in problem]
    assert told == gpu_problems(facts, "float32")


def test_doctor_shows_no_header_of_a_host(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "headers").write_text('{"images.example.com": {"X-Api-Key": "s3cr3t"}}')
    monkeypatch.setenv("LOOKALIKE_FETCH_HEADERS_FILE", str(tmp_path / "headers"))
    status, answer = run("doctor", "--data", tmp_path / "new")
    assert (status, "s3cr3t" in str(answer)) == (0, False)


def test_doctor_misses_gpus_only_where_somebody_wants_them() -> None:
    bare = Gpus(cuda="12.5.1", absent=("nvidia-cudnn-cu12",))
    driven = replace(bare, driver="550.54.14")
    ready = replace(driven, names=("NVIDIA L4",))
    assert gpu_problems(bare, "auto") == gpu_problems(ready, "auto") == gpu_problems(ready, "float16") == []
    assert gpu_problems(driven, "auto") == [driven.obstacle()]
    for facts in (bare, driven):
        assert "LOOKALIKE_PRECISION=float16 is for GPUs" in gpu_problems(facts, "float16")[-1]


@pytest.mark.parametrize(
    "command",
    ["index", "search", "show", "remove", "catalogs", "optimize", "export", "import", "doctor", "demo"]
    + [f"keys {each}" for each in ("create", "list", "rotate", "revoke")],
)
def test_every_command_has_help_and_json(command: str) -> None:
    result = CliRunner().invoke(cli, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "--json" in result.stdout
