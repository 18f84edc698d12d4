"""Parquet: open to other programs, and taken from them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.archive import parquet
from services.archive.archive import About, checked
from services.errors import InvalidSource


def test_other_programs_see_plain_columns(embeddings, spec, tmp_path) -> None:
    [path] = parquet.write(embeddings, tmp_path, spec, len(embeddings))
    assert path == tmp_path / "shoes.parquet"
    table = pq.read_table(path)
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("product_id", "string"),
        ("features", "fixed_size_list<element: float>[8]"),
        ("attributes", "string"),
        ("image", "string"),
        ("perceptual", "string"),
        ("url", "string"),
    ]
    assert table["product_id"].to_pylist() == [embedding.product_id for embedding in embeddings]
    assert table["image"].to_pylist() == [embedding.image for embedding in embeddings]


FEATURES = pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32()))
IDS = pa.array(["a", "b"])


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float16(), 2)])
@pytest.mark.parametrize("ids", [IDS, IDS.cast(pa.large_string()), IDS.dictionary_encode()])
def test_an_archive_of_others_is_taken(kind, ids, tmp_path) -> None:
    attributes = pa.array([{"color": "red", "price": None, "size": {"eu": 41.5}}, None])
    features = (
        pa.array(np.array([[1, 2], [3, 4]], np.float16).tolist(), kind)
        if kind.value_type != pa.float16()
        else (pa.FixedSizeListArray.from_arrays(pa.array(np.array([1, 2, 3, 4], np.float16)), 2))
    )
    pq.write_table(pa.table({"product_id": ids, "features": features, "attributes": attributes}), tmp_path / "x")
    archive = parquet.read(tmp_path / "x")
    found = list(checked(archive))
    assert (archive.rows, archive.dim, archive.about) == (2, 2, About())
    assert [(each.product_id, each.attributes, each.image) for each in found] == [
        ("a", {"color": "red", "size": {"eu": 41.5}}, None),
        ("b", None, None),
    ]
    assert [each.features.tolist() for each in found] == [[1, 2], [3, 4]]


def lists(*rows: list[float | None] | None) -> pa.Array:
    return pa.array(rows, pa.list_(pa.float32()))


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"product_id": IDS}, "one column features"),
        ({"features": FEATURES}, "one column product_id"),
        ({"product_id": pa.array([1, 2]), "features": FEATURES}, "column product_id .* 'int64'"),
        ({"product_id": IDS, "features": pa.array([1.0, 2.0])}, "column features .* list of floats"),
        ({"product_id": IDS, "features": lists([1, 2], [1])}, "row 2 .* 1 numbers, not 2"),
        ({"product_id": IDS, "features": lists([1, 2], None)}, "row 2 .* 0 numbers, not 2"),
        ({"product_id": IDS, "features": lists([1, 2], [1, None])}, "null"),
        ({"product_id": IDS, "features": pa.array([[1, 2], None], pa.list_(pa.float32(), 2))}, "row 2|null"),
        ({"product_id": pa.array(["a", None]), "features": FEATURES}, "Row 2 .* no product_id"),
        ({"product_id": IDS, "features": FEATURES, "attributes": pa.array(["{}", "{"])}, "row 2"),
        ({"product_id": IDS, "features": FEATURES, "attributes": pa.array([1, 2])}, "column attributes"),
        ({"product_id": IDS, "features": FEATURES, "image": pa.array(["", "x"])}, "row 2 .* SHA-256"),
    ],
)
def test_tables_that_are_no_archive_are_refused(columns, sentence, tmp_path) -> None:
    pq.write_table(pa.table(columns), tmp_path / "x")
    with pytest.raises(InvalidSource, match=sentence) as refusal:
        list(checked(parquet.read(tmp_path / "x")))
    assert "\n" not in str(refusal.value)


def test_rows_are_numbered_across_batches(tmp_path) -> None:
    attributes = ["{}"] * 299 + ["{"]
    table = {"product_id": [str(i) for i in range(300)], "features": [[1.0]] * 300, "attributes": attributes}
    pq.write_table(pa.table(table), tmp_path / "x", row_group_size=70)
    with pytest.raises(InvalidSource, match="row 300 "):
        list(checked(parquet.read(tmp_path / "x")))
