"""`.npz`: open to plain numpy, and taken from others."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest

from services.archive import npz
from services.archive.archive import About, checked
from services.errors import DataCorrupt, InvalidProductID, InvalidSource
from services.records import Embedding


def test_numpy_opens_the_export_without_pickle(embeddings, spec, tmp_path) -> None:
    [path] = npz.write(embeddings, tmp_path, spec, len(embeddings))
    assert path == tmp_path / "shoes.npz"
    with np.load(path, allow_pickle=False) as arrays:
        assert set(arrays) == {"product_id", "features", "attributes", "image", "perceptual", "url", "lookalike"}
        assert arrays["product_id"].tolist() == [embedding.product_id for embedding in embeddings]
        assert arrays["image"].tolist() == [embedding.image or "" for embedding in embeddings]
        assert arrays["features"].dtype == np.float32
        np.testing.assert_array_equal(arrays["features"], [embedding.features for embedding in embeddings])
        assert '"encoder":"inception_v3"' in arrays["lookalike"].item()


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "f2", "f8"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["<", ">"])
def test_an_archive_of_others_is_taken(save, dtype, order, tmp_path) -> None:
    features = np.arange(600).reshape(200, 3).astype(dtype)
    ids = [f"é{i}" for i in range(200)]
    save(tmp_path / "x.npz", features=features, product_id=np.array(ids, f"{order}U4"))
    archive = npz.read(tmp_path / "x.npz")
    found = list(checked(archive))
    assert archive.about == About()
    assert [(each.product_id, each.attributes, each.image) for each in found] == [(each, None, None) for each in ids]
    np.testing.assert_array_equal([each.features for each in found], features.astype(np.float32))


EXPORTED = {"features": [[1.0]], "product_id": ["a"], "attributes": ["{}"], "image": [""]}


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"product_id": ["a"]}, "no array features"),
        ({"features": [[1.0]]}, "no array product_id"),
        ({"features": [[1.0]], "product_id": np.array(["a"], object)}, "array product_id .* not taken"),
        ({"features": np.array([[1.0]], object), "product_id": ["a"]}, "array features .* not taken"),
        ({"features": [[1.0]], "product_id": [1]}, "array product_id .* text"),
        ({"features": [[1.0]], "product_id": ["a", "b"]}, "array product_id .* 1 rows"),
        ({"features": [1.0], "product_id": ["a"]}, "array features"),
        ({"features": [[1]], "product_id": ["a"]}, "array features"),
        ({"features": np.ones((2, 3)).T, "product_id": ["a", "b", "c"]}, "ascontiguousarray"),
        ({"features": np.ones((2, 0)), "product_id": ["a", "b"]}, "array features"),
        ({"features": [[1.0]], "product_id": ["a"], "attributes": ["{"]}, "row 1"),
        ({"features": [[1.0]], "product_id": ["a"], "lookalike": "{}"}, "export without its attributes"),
        ({**EXPORTED, "lookalike": ["{}"]}, "array lookalike"),
        ({**EXPORTED, "lookalike": "{"}, "says of its origin"),
        ({"features": [[1e39]], "product_id": ["a"]}, "not finite"),
    ],
)
def test_arrays_that_are_no_archive_are_refused(arrays, sentence, tmp_path) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InvalidSource, match=sentence) as refusal:
        list(checked(npz.read(tmp_path / "x.npz")))
    assert "\n" not in str(refusal.value)


def test_characters_that_do_not_exist_are_refused(tmp_path) -> None:
    ids = np.frombuffer(np.array([0x110000], "<u4").tobytes(), "<U1")
    np.savez(tmp_path / "x.npz", features=[[1.0]], product_id=ids)
    with pytest.raises(InvalidSource):
        list(checked(npz.read(tmp_path / "x.npz")))


def test_a_header_that_claims_more_than_there_is_is_refused(tmp_path) -> None:
    np.savez(tmp_path / "x.npz", features=np.ones((1, 1)), product_id=["a"])
    with zipfile.ZipFile(tmp_path / "x.npz") as sound, zipfile.ZipFile(tmp_path / "y.npz", "w") as forged:
        for name in sound.namelist():
            forged.writestr(name, sound.read(name).replace(b"(1, 1), }          ", b"(99999999999, 1), }"))
    with pytest.raises(InvalidSource, match="array features"):
        npz.read(tmp_path / "y.npz")


def test_a_product_id_that_ends_with_nul_is_refused(embeddings, spec, tmp_path) -> None:
    embeddings[2] = replace(embeddings[2], product_id="a\0")
    with pytest.raises(InvalidProductID, match="parquet"):
        npz.write(embeddings, tmp_path, spec, len(embeddings))
    assert list(tmp_path.iterdir()) == []


def test_fewer_rows_than_counted_are_no_export(embeddings, spec, tmp_path) -> None:
    with pytest.raises(DataCorrupt):
        npz.write(embeddings, tmp_path, spec, len(embeddings) + 1)
    assert list(tmp_path.iterdir()) == []


def test_metadata_that_damage_hides_is_missed(embeddings, spec, tmp_path) -> None:
    """A name stands twice in a zip file; lost in the directory at the end, it is still at the member."""
    [path] = npz.write(embeddings, tmp_path, spec, len(embeddings))
    start, _, end = path.read_bytes().rpartition(b"lookalike.npy")
    path.write_bytes(start + b"lookaway!.npy" + end)
    with pytest.raises(InvalidSource, match="damaged"):
        npz.read(path)


@pytest.mark.parametrize("name", ["product_id", "features", "attributes", "image", "lookalike"])
def test_a_wrong_checksum_is_seen_in_every_array(name, spec, tmp_path) -> None:
    features = np.arange(spec.dim, dtype=np.float32)
    rows = [Embedding(f"{i:0500}", features, {"n": "x" * 5000}, "0" * 64) for i in range(200)]
    [path] = npz.write(rows, tmp_path, spec, len(rows))
    with zipfile.ZipFile(path) as sound:
        checksum = sound.getinfo(f"{name}.npy").CRC
    start, _, end = path.read_bytes().rpartition(checksum.to_bytes(4, "little"))
    path.write_bytes(start + (checksum ^ 1).to_bytes(4, "little") + end)
    with pytest.raises(InvalidSource, match="CRC"):
        list(checked(npz.read(path)))
