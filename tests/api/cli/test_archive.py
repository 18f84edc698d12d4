"""`lookalike export` and `import`: a catalog goes out and comes back searchable, without an encoder."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from api.cli.main import cli
from services import bootstrap, settings
from services.catalog.opening import new_spec
from services.descriptions import AttributeKind, CatalogSpec
from services.records import Embedding

DIM = 1280
FORMATS = ["script", "npz", "parquet"]
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    monkeypatch.setenv("LOOKALIKE_DATA", str(tmp_path / "data"))
    return lambda *args: CliRunner().invoke(cli, [str(arg) for arg in args], catch_exceptions=False)


@pytest.fixture
def rows() -> list[Embedding]:
    features = np.random.default_rng(2).gamma(0.5, 3, (70, DIM)).astype(np.float32)
    features[1] = features[0] * 1.01
    return [
        Embedding(f"p/{i}.x", row, {"n": i, "name": f"ü{i}", "price": i / 3}, "ab" * 32 if i % 2 else None)
        for i, row in enumerate(features)
    ]


@pytest.fixture
def source(run, rows, tmp_path) -> CatalogSpec:
    """A catalog `shoes`, whose fingerprint is known, with an indexed attribute."""
    return made_catalog("shoes", rows, fingerprint="efficientnet_lite0-77")


def made_catalog(name: str, rows: list[Embedding], *, fingerprint: str | None, **described: Any) -> CatalogSpec:
    configured = settings.load()
    spec = replace(new_spec(name, "efficientnet_lite0", "random:1", "bicubic", fingerprint), **described)
    with bootstrap.catalogs(configured) as catalogs:
        catalog = catalogs.create(spec)
        catalog.declare({"n": AttributeKind.INTEGER})
        assert all(outcome.state == "applied" for outcome in catalog.put_embeddings(rows))
        return catalog.spec


def content(name: str) -> dict[str, Embedding]:
    configured = settings.load()
    with bootstrap.catalogs(configured) as catalogs:
        catalog = catalogs.get(name)
        return {embedding.product_id: embedding for embedding in catalog.embeddings()}


def nearest(name: str, product_id: str) -> str:
    configured = settings.load()
    with bootstrap.catalogs(configured) as catalogs:
        return catalogs.get(name).neighbors(product_id, limit=1)[0].product_id


def names() -> list[str]:
    with bootstrap.catalogs(settings.load()) as catalogs:
        return [spec.name for spec in catalogs.specs()]


def spec_of(name: str) -> CatalogSpec:
    with bootstrap.catalogs(settings.load()) as catalogs:
        return catalogs.get(name).spec


def exported(run: Run, format: str, folder: Path) -> Path:
    result = run("export", folder, "--format", format, "--catalog", "shoes", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer.pop("seconds") >= 0
    files = [Path(file) for file in answer.pop("files")]
    assert answer == {"catalog": "shoes", "format": format, "products": 70}
    assert sorted(files) == sorted(folder.iterdir())
    return folder if format == "script" else files[0]


def answer_of(result: Result, *, status: int = 0) -> dict[str, Any]:
    assert result.exit_code == status, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def error_of(result: Result) -> str:
    answer = answer_of(result, status=2)
    return f"{answer['error']['code']}: {answer['error']['message']}"


@pytest.mark.parametrize("format", FORMATS)
def test_a_catalog_goes_out_and_comes_back_searchable(format, run, source, rows, tmp_path) -> None:
    path = exported(run, format, tmp_path / "out")
    options = ["--encoder", "efficientnet_lite0", "--resample", "bicubic", "--weights", "random:1"]
    answer = answer_of(run("import", path, "--catalog", "copy", "--json", *(options if format == "script" else [])))
    assert answer.pop("seconds") >= 0
    assert answer == {
        "catalog": "copy",
        "format": format,
        "total": 70,
        "applied": 70,
        "failed": 0,
        "failures": [],
        "repaired": 0,
        "encoder": "efficientnet_lite0",
        "features": "head",
        "fingerprint": None if format == "script" else source.fingerprint,
    }
    copy = content("copy")
    assert len(copy) == 70
    for row in rows:
        found = copy[row.product_id]
        # Raw features: the length that cosine takes away is back.
        np.testing.assert_allclose(found.features, row.features, rtol=1e-6)
        if format != "script":
            assert found == row
    spec = spec_of("copy")
    assert (spec.encoder, spec.weights, spec.resample) == (source.encoder, source.weights, source.resample)
    assert spec.indexed_attributes == ({} if format == "script" else {"n": AttributeKind.INTEGER})
    assert nearest("copy", "p/0.x") == "p/1.x"


def test_numbers_that_ran_ahead_are_repaired_and_it_says_so(run, tmp_path) -> None:
    features = np.random.default_rng(0).random((4, 2048), dtype=np.float32)
    np.savetxt(tmp_path / "img_embeddings.txt", features)
    (tmp_path / "indexes.txt").write_text("a.jpg\x010\nb.png\x012\nc.jpg\x013\nd.jpg\x016\n")
    result = run("import", tmp_path)
    assert result.exit_code == 0, result.output
    assert "Repaired: 3 of 4 numbers" in result.stdout
    assert "on your word they are taken to come from inception_v3 (imagenet weights, nearest)" in result.stdout
    found = content("products")
    for product_id, row in zip("abcd", features, strict=True):
        np.testing.assert_allclose(found[product_id].features, row, rtol=1e-6)
    assert answer_of(run("import", tmp_path, "--json"))["repaired"] == 3
    assert len(content("products")) == 4


def test_an_import_into_the_same_encoders_catalog_keeps_the_rest(run, source, rows, tmp_path) -> None:
    path = exported(run, "npz", tmp_path / "out")
    extra = Embedding("extra", rows[5].features, {"n": -1})
    made_catalog("other", [extra, Embedding("p/0.x", rows[7].features, {})], fingerprint=source.fingerprint)
    assert answer_of(run("import", path, "--catalog", "other", "--json"))["applied"] == 70
    found = content("other")
    assert len(found) == 71
    assert found["extra"] == extra
    assert found["p/0.x"] == rows[0]


def test_the_scripts_files_leave_attributes_as_they_are(run, source, rows, tmp_path) -> None:
    path = exported(run, "script", tmp_path / "out")
    options = ["--encoder", "efficientnet_lite0", "--resample", "bicubic", "--weights", "random:1"]
    assert answer_of(run("import", path, "--catalog", "shoes", "--json", *options))["applied"] == 70
    assert content("shoes")["p/3.x"].attributes == rows[3].attributes


@pytest.mark.parametrize("format", ["npz", "parquet"])
def test_tuned_features_go_into_the_catalog_alone_that_has_learned_the_same(run, rows, tmp_path, format) -> None:
    """They are archived with all others, and nothing else can search them."""
    spec = {"features": "tuned", "dim": 128, "learned": "5" * 64}
    tuned = [replace(row, features=row.features[:128] + 1) for row in rows[:9]]
    made_catalog("mine", tuned, fingerprint="lite0/tuned-555", **spec)
    made_catalog("same", [], fingerprint="lite0/tuned-555", **spec)
    made_catalog("other", [], fingerprint="lite0/tuned-666", **spec)
    made_catalog("head", [], fingerprint="lite0")
    result = run("export", tmp_path / "out", "--catalog", "mine", "--format", format)
    assert result.exit_code == 0, result.output
    path = next((tmp_path / "out").iterdir())
    assert answer_of(run("import", path, "--catalog", "same", "--json"))["applied"] == 9
    assert content("same") == content("mine")
    for catalog, said in (
        ("new", "only the catalog can search that has learned"),
        ("other", "lite0/tuned-666"),
        ("head", "have 128 numbers"),
    ):
        refused = run("import", path, "--catalog", catalog, "--json")
        assert refused.exit_code and said in refused.output and "encoder_mismatch" in refused.output, refused.output


@pytest.mark.parametrize(("fingerprint", "weights"), [("another", []), (None, ["--weights", "random:2"])])
def test_features_of_another_encoder_are_refused(fingerprint, weights, run, source, rows, tmp_path) -> None:
    path = exported(run, "npz", tmp_path / "out")
    made_catalog("other", rows[:1], fingerprint=fingerprint)
    assert "encoder_mismatch" in error_of(run("import", path, "--catalog", "other", "--json", *weights))
    assert len(content("other")) == 1


def without_metadata(path: Path) -> Path:
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata(None), path)
    return path


def test_a_refused_import_leaves_no_catalog(run, source, tmp_path) -> None:
    path = without_metadata(exported(run, "parquet", tmp_path / "out"))
    script = exported(run, "script", tmp_path / "script")
    (script / "indexes.txt").write_text((script / "indexes.txt").read_text().replace("p/9.x", "p/8.x"))
    lite0 = ["--encoder", "efficientnet_lite0"]
    refused = {
        "1280 numbers, those of inception_v3 head have 2048": [path],
        "encoder_unknown": [path, "--encoder", "resnet"],
        "weights_not_found": [path, *lite0, "--weights", "nowhere.h5"],
        "both product 'p/8.x'": [script, *lite0],
        "catalog_invalid": [path, *lite0, "--catalog", "No Name"],
        "not an archive": [Path(__file__)],
        "img_embeddings.txt": [tmp_path],
        "cannot be read": [tmp_path / "nowhere"],
    }
    for sentence, args in refused.items():
        assert sentence in error_of(run("import", "--catalog", "new", "--json", *args)), sentence
    # The last row is at fault: everything before it was sound.
    features = np.loadtxt(script / "img_embeddings.txt")
    features[-1, -1] = np.nan
    np.savez(tmp_path / "x.npz", features=features, product_id=[f"{i}" for i in range(70)])
    assert "not finite" in error_of(run("import", tmp_path / "x.npz", "--catalog", "new", "--json", *lite0))
    assert names() == ["shoes"]


def test_an_encoder_that_the_archive_names_and_we_lack_is_refused(run, source, tmp_path) -> None:
    path = exported(run, "parquet", tmp_path / "out")
    table = pq.read_table(path)
    about = table.schema.metadata[b"lookalike"].replace(b"efficientnet_lite0", b"resnet")
    pq.write_table(table.replace_schema_metadata({"lookalike": about}), path)
    assert "encoder_unknown" in error_of(run("import", path, "--catalog", "new", "--json"))
    assert "made with encoder resnet" in error_of(
        run("import", path, "--catalog", "new", "--json", "--encoder", "inception_v3")
    )
    assert names() == ["shoes"]


def test_rows_that_a_catalog_cannot_hold_fail_alone(run, tmp_path) -> None:
    features = np.ones((3, 2048), np.float32)
    features[1] = 0
    np.savez(tmp_path / "x.npz", features=features, product_id=["a", "zero", "b" * 600])
    answer = answer_of(run("import", tmp_path / "x.npz", "--json"), status=1)
    assert (answer["total"], answer["applied"], answer["failed"]) == (3, 1, 2)
    codes = {failure["product_id"]: failure["code"] for failure in answer["failures"]}
    assert codes == {"zero": "image_featureless", "b" * 600: "product_id_invalid"}
    assert "2 failed" in run("import", tmp_path / "x.npz").stdout


def test_a_product_id_that_the_format_cannot_hold_is_refused_before_anything_is_written(run, rows, tmp_path) -> None:
    made_catalog("shoes", [*rows, Embedding("new\nline", rows[0].features)], fingerprint=None)
    answer = error_of(run("export", tmp_path / "out", "--format", "script", "--catalog", "shoes", "--json"))
    assert answer.startswith("product_id_invalid: The product ID 'new\\nline'")
    assert not (tmp_path / "out").exists()


def test_an_export_to_where_nothing_can_be_written_is_refused(run, source, tmp_path) -> None:
    (tmp_path / "file").touch()
    for format in FORMATS:
        answer = error_of(run("export", tmp_path / "file", "--format", format, "--catalog", "shoes", "--json"))
        assert answer.startswith("data_not_writable")
    assert "catalog_not_found" in error_of(run("export", tmp_path / "out", "--format", "npz", "--json"))


def test_the_installed_command_says_what_it_did(run, source, tmp_path) -> None:
    """Neither direction loads TensorFlow, which takes seconds."""
    lookalike = Path(sys.executable).with_name("lookalike")
    out = tmp_path / "out"
    for args in (["export", out, "--format", "npz", "--catalog", "shoes"], ["import", out / "shoes.npz"]):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", lookalike, *args], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert "70" in done.stdout
        imported = set(re.findall(r"\| +([a-z_]+)$", done.stderr, re.MULTILINE))
        assert "click" in imported
        assert not imported & {"tensorflow", "keras"}
    assert len(content("products")) == 70
