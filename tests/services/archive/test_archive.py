"""What every format keeps, and what an import may rely on."""

import base64
import json
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.archive.archive import About, Archive, attributes_of, check_fit, checked, claimed
from services.archive.formats import formats, read
from services.descriptions import CatalogSpec
from services.errors import EncoderMismatch, InvalidProductID, InvalidSource
from services.records import Embedding

FORMATS = ["script", "npz", "parquet"]
DIM = 8

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3),
)
rows = st.lists(
    st.builds(
        Embedding,
        texts.filter(bool),
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=DIM, max_size=DIM).map(
            lambda features: np.array(features, np.float32)
        ),
        st.none() | st.dictionaries(texts, values, max_size=4),
        st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex),
        st.none() | st.binary(min_size=200, max_size=200).map(lambda hash: base64.b64encode(hash).decode()),
    ),
    unique_by=lambda embedding: embedding.product_id,
    max_size=6,
)


def path_of(files: list[Path], format: str) -> Path:
    return files[0].parent if format == "script" else files[0]


def written(format: str, embeddings: list[Embedding], folder: Path, spec: CatalogSpec) -> Archive:
    files = formats()[format].write(embeddings, folder, spec, len(embeddings))
    return read(path_of(files, format))


def assert_same(found: list[Embedding], wanted: list[Embedding], *, features_only: bool = False) -> None:
    known = (
        [replace(each, attributes=None, image=None, perceptual=None, url=None) for each in wanted]
        if features_only
        else wanted
    )
    assert found == known
    # `==` of dicts takes 1, 1.0 and True for the same.
    assert repr([each.attributes for each in found]) == repr([each.attributes for each in known])
    for one, other in zip(found, wanted, strict=True):
        assert one.features.dtype == np.float32
        np.testing.assert_array_equal(one.features, other.features)


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_exported_comes_back_whole(format, embeddings, spec, tmp_path) -> None:
    archive = written(format, embeddings, tmp_path / "new" / "folder", spec)
    assert (archive.format, archive.rows, archive.dim, archive.repaired) == (format, 5, DIM, 0)
    assert_same(list(checked(archive)), embeddings, features_only=format == "script")
    if format == "script":
        assert archive.about == About()
    else:
        expected = About(**{name: getattr(spec, name) for name in About.model_fields})
        # Head features are not named: versions that know no others read these archives, too.
        assert archive.about == expected.model_copy(update={"features": None})


@pytest.mark.parametrize("format", ["npz", "parquet"])
@settings(max_examples=40)
@given(embeddings=rows)
def test_any_product_and_attributes_come_back_or_are_refused(format, embeddings, tmp_path_factory) -> None:
    spec = CatalogSpec("any", "c0", "e", "w", "nearest", DIM, None, "0", "2025-01-01T00:00:00Z")
    folder = tmp_path_factory.mktemp("any")
    if format == "npz" and any(each.product_id.endswith("\0") for each in embeddings):
        with pytest.raises(InvalidProductID):
            written(format, embeddings, folder, spec)
        return
    assert_same(list(checked(written(format, embeddings, folder, spec))), embeddings)


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_catalog_comes_back_empty(format, spec, tmp_path) -> None:
    archive = written(format, [], tmp_path, spec)
    assert list(checked(archive)) == []
    assert archive.dim == (None if format == "script" else DIM)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_export_leaves_the_earlier_one(format, error, embeddings, spec, tmp_path) -> None:
    def interrupted() -> Iterator[Embedding]:
        yield from embeddings[3:]
        raise error

    archive = written(format, embeddings, tmp_path, spec)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(error):
        formats()[format].write(interrupted(), tmp_path, spec, 5)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert_same(list(checked(archive)), embeddings, features_only=format == "script")


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_replaces_the_earlier_one(format, embeddings, spec, tmp_path) -> None:
    written(format, embeddings, tmp_path, spec)
    archive = written(format, embeddings[:2], tmp_path, spec)
    assert_same(list(checked(archive)), embeddings[:2], features_only=format == "script")


@pytest.mark.parametrize(("format", "count"), [("script", 2000), ("npz", 5000), ("parquet", 5000)])
def test_memory_does_not_grow_with_the_rows(format, count, spec, tmp_path) -> None:
    spec = replace(spec, dim=256)
    features = np.random.default_rng(0).random(spec.dim, dtype=np.float32)
    peak = peak_bytes(lambda: formats()[format].write(endless(features, count), tmp_path, spec, count))
    archive = read(path_of(list(tmp_path.iterdir()), format))
    peak = max(peak, peak_bytes(lambda: [None for _ in archive.embeddings()]))
    assert archive.rows == count
    assert peak < count * spec.dim * 4 / 1.5


def endless(features: np.ndarray, count: int) -> Iterator[Embedding]:
    return (Embedding(f"p{row}", features, {"row": row}) for row in range(count))


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("format", ["npz", "parquet"])
def test_a_damaged_archive_is_refused_or_has_the_right_rows(format, embeddings, spec, tmp_path) -> None:
    sound = written(format, embeddings, tmp_path, spec).path.read_bytes()
    damaged = tmp_path / "damaged"
    refused = 0
    for at in range(0, len(sound), 3):
        damaged.write_bytes(sound[:at] + bytes([sound[at] ^ 0x55]) + sound[at + 1 :])
        refused += is_refused(damaged, embeddings)
    assert refused > len(sound) / 6


@pytest.mark.parametrize("format", ["npz", "parquet"])
def test_an_archive_that_is_cut_off_is_refused(format, embeddings, spec, tmp_path) -> None:
    sound = written(format, embeddings, tmp_path, spec).path.read_bytes()
    for length in range(0, len(sound), 7):
        (tmp_path / "damaged").write_bytes(sound[:length])
        assert is_refused(tmp_path / "damaged", embeddings), length


def is_refused(path: Path, embeddings: list[Embedding]) -> bool:
    """False where what was damaged does not matter: then the rows are the right ones all the same."""
    try:
        found = list(checked(read(path)))
    except InvalidSource as error:
        assert "\n" not in str(error)
        return True
    assert_same(found, embeddings)
    return False


@pytest.mark.parametrize("content", [b"", b"PK", b"PAR1", b"PAR1" * 5, b"hello", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_is_refused(content, tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InvalidSource, match="file"):
        read(path)


def test_what_is_not_there_is_refused(tmp_path) -> None:
    with pytest.raises(InvalidSource, match="nowhere"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("format", FORMATS)
def test_numbers_that_are_not_finite_are_refused(format, number, embeddings, spec, tmp_path) -> None:
    embeddings[2].features[3] = number
    with pytest.raises(InvalidSource, match=r"Row 3 .* not finite"):
        list(checked(written(format, embeddings, tmp_path, spec)))


@pytest.mark.parametrize("format", ["npz", "parquet"])
def test_a_product_that_is_there_twice_is_refused(format, embeddings, spec, tmp_path) -> None:
    embeddings[4] = replace(embeddings[4], product_id="shoe")
    with pytest.raises(InvalidSource, match=r"Rows 1 and 5 .* both product 'shoe'"):
        list(checked(written(format, embeddings, tmp_path, spec)))


@pytest.mark.parametrize("format", ["npz", "parquet"])
def test_an_image_that_is_no_hash_is_refused(format, embeddings, spec, tmp_path) -> None:
    embeddings[4] = replace(embeddings[4], image="../../secret")
    with pytest.raises(InvalidSource, match=r"row 5 .* no SHA-256"):
        list(checked(written(format, embeddings, tmp_path, spec)))


@pytest.mark.parametrize("format", ["npz", "parquet"])
def test_a_perceptual_hash_that_is_none_is_refused(format, embeddings, spec, tmp_path) -> None:
    embeddings[4] = replace(embeddings[4], perceptual="A" * 267)
    with pytest.raises(InvalidSource, match=r"row 5 .* not 200 bytes in base64"):
        list(checked(written(format, embeddings, tmp_path, spec)))


@pytest.mark.parametrize("format", ["npz", "parquet"])
def test_a_url_that_is_none_is_refused(format, embeddings, spec, tmp_path) -> None:
    embeddings[4] = replace(embeddings[4], url="file:///etc/passwd")
    with pytest.raises(InvalidSource, match=r"URL in row 5 .* is none \(http://"):
        list(checked(written(format, embeddings, tmp_path, spec)))


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000, "1" * 5000, "null", '{"a": 1} x'])
def test_attributes_that_are_no_json_object_are_refused(text) -> None:
    with pytest.raises(InvalidSource, match="row 3 of file"):
        attributes_of(text, Path("file"), 3)


@pytest.mark.parametrize(
    "about",
    [
        {"resample": "cubic"},
        {"encoder": 3},
        {"fingerprinu": "x"},
        {"fingerprint": []},
        {"indexed_attributes": {"a": "text"}},
        {"indexed_attributes": {"a..b": "keyword"}},
    ],
)
def test_metadata_that_says_nonsense_is_refused(about, embeddings, spec, tmp_path) -> None:
    path = written("parquet", embeddings, tmp_path, spec).path
    pq.write_table(pq.read_table(path).replace_schema_metadata({"lookalike": json.dumps(about)}), path)
    with pytest.raises(InvalidSource, match="says of its origin"):
        read(path)


def archive_of(about: About, dim: int | None = DIM) -> Archive:
    return Archive(Path("file"), "npz", 1, dim, lambda: iter(()), about)


def test_features_of_the_same_fingerprint_fit_whatever_the_weights_are_called(spec) -> None:
    about = claimed(About(fingerprint=spec.fingerprint, encoder=spec.encoder), encoder=None, weights="b", resample=None)
    check_fit(archive_of(about), about, spec)


@pytest.mark.parametrize(
    "about",
    [
        About(encoder="inception_v3", weights="w", resample="nearest", fingerprint="other"),
        About(encoder="efficientnet_lite0", weights="w", resample="nearest"),
        About(encoder="inception_v3", weights="v", resample="nearest"),
        About(encoder="inception_v3", weights="w", resample="bicubic"),
    ],
)
def test_features_of_another_origin_do_not_fit(about, spec) -> None:
    spec = replace(spec, encoder="inception_v3", weights="w", resample="nearest")
    check_fit(archive_of(about), About(encoder="inception_v3", weights="w", resample="nearest"), spec)
    with pytest.raises(EncoderMismatch, match="give another --catalog"):
        check_fit(archive_of(about), about, spec)


def test_features_of_another_dimension_do_not_fit(spec) -> None:
    about = About(fingerprint=spec.fingerprint)
    with pytest.raises(EncoderMismatch, match="have 7 numbers"):
        check_fit(archive_of(about, 7), about, spec)


def test_an_archive_without_origin_is_taken_to_be_the_scripts() -> None:
    about = claimed(About(), encoder=None, weights=None, resample=None)
    assert about == About(encoder="inception_v3", weights="imagenet", resample="nearest")


def test_options_do_not_contradict_what_the_archive_says() -> None:
    with pytest.raises(EncoderMismatch, match="made with encoder a, not b"):
        claimed(About(encoder="a"), encoder="b", weights=None, resample=None)
