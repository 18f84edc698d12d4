"""The format Parquet, which most programs read: one file, a row for each product, attributes as JSON text."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from services.archive.archive import (
    About,
    Archive,
    about_json,
    about_of,
    attributes_json,
    attributes_of,
    check_complete,
    checked_origin,
    reason,
)
from services.archive.staged import staged
from services.descriptions import CatalogSpec
from services.errors import InvalidSource
from services.records import Attributes, Embedding, Vectors

if TYPE_CHECKING:
    import pyarrow as pa

NEEDED = ("product_id", "features", "attributes", "image")
COLUMNS = (*NEEDED, "perceptual", "url")

_GROUP = 1024
_CHUNK = 128


def check(product_id: str) -> None:
    """Accepts every product ID: Parquet can store them all."""


def write(embeddings: Iterable[Embedding], folder: Path, spec: CatalogSpec, count: int) -> list[Path]:
    """Writes a row group for each 1,024 products; pages have checksums."""
    import pyarrow.parquet as pq

    target = folder / f"{spec.name}.parquet"
    schema = _schema(spec)
    stream = iter(embeddings)
    with (
        staged(target) as (file,),
        pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            use_dictionary=False,
            write_page_checksum=True,
            # Nobody looks for rows by a range of hashes.
            write_statistics=["product_id", "attributes"],
        ) as writer,
    ):
        while rows := list(islice(stream, _GROUP)):
            writer.write_table(_table(rows, schema))
    return [target]


def _schema(spec: CatalogSpec) -> "pa.Schema":
    import pyarrow as pa

    fields = [
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("features", pa.list_(pa.float32(), spec.dim), nullable=False),
        pa.field("attributes", pa.string()),
        pa.field("image", pa.string()),
        pa.field("perceptual", pa.string()),
        pa.field("url", pa.string()),
    ]
    return pa.schema(fields, metadata={"lookalike": about_json(spec)})


def _table(rows: list[Embedding], schema: "pa.Schema") -> "pa.Table":
    import pyarrow as pa

    features = pa.array(np.concatenate([row.features for row in rows]), pa.float32())
    attributes = [None if row.attributes is None else attributes_json(row.attributes) for row in rows]
    columns = [
        pa.array([row.product_id for row in rows], pa.string()),
        pa.FixedSizeListArray.from_arrays(features, schema.field("features").type.list_size),
        pa.array(attributes, pa.string()),
        pa.array([row.image for row in rows], pa.string()),
        pa.array([row.perceptual for row in rows], pa.string()),
        pa.array([row.url for row in rows], pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def read(path: Path) -> Archive:
    """Opens any Parquet file with `product_id` and `features`; `attributes` may be JSON text or a struct.

    Raises `InvalidSource`.
    """
    with _opened(path) as file:
        schema = file.schema_arrow
        _check_schema(schema, path)
        about = _about(schema, path)
        dim = _dim(file)
        return Archive(path, "parquet", file.metadata.num_rows, dim, partial(_embeddings, path, dim), about)


def _about(schema: "pa.Schema", path: Path) -> About:
    text = (schema.metadata or {}).get(b"lookalike")
    if text is None:
        return About()
    check_complete(path, schema.names, NEEDED, COLUMNS)
    return about_of(text, path)


def _check_schema(schema: "pa.Schema", path: Path) -> None:
    import pyarrow.types as is_

    kinds = {
        "product_id": ("text", _is_text),
        "features": ("a list of floats", _is_vector),
        "attributes": ("JSON text or a struct", lambda kind: _is_text(kind) or is_.is_struct(kind)),
        "image": ("text", _is_text),
        "perceptual": ("text", _is_text),
        "url": ("text", _is_text),
    }
    for name, (wanted, fits) in kinds.items():
        found = schema.get_all_field_indices(name)
        if len(found) > 1 or (not found and name in ("product_id", "features")):
            raise InvalidSource(f"{path} must have one column {name}; it has {schema.names[:20]}.")
        if found and not fits(schema.field(name).type):
            raise InvalidSource(
                f"The column {name} of {path} must be {wanted}, not {str(schema.field(name).type)[:100]!r}."
            )


def _is_text(kind: Any) -> bool:
    import pyarrow.types as is_

    value = kind.value_type if is_.is_dictionary(kind) else kind
    return bool(is_.is_string(value) or is_.is_large_string(value))


def _is_vector(kind: Any) -> bool:
    import pyarrow.types as is_

    is_list = is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind)
    return bool(is_list and is_.is_floating(kind.value_type))


def _dim(file: Any) -> int | None:
    import pyarrow.types as is_

    kind = file.schema_arrow.field("features").type
    if is_.is_fixed_size_list(kind):
        return int(kind.list_size)
    for batch in file.iter_batches(1, columns=["features"]):
        return len(batch.column("features")[0].values or ())
    return None


def _embeddings(path: Path, dim: int | None) -> Generator[Embedding, None, None]:
    start = 1
    with _opened(path) as file:
        columns = [name for name in COLUMNS if name in file.schema_arrow.names]
        for batch in file.iter_batches(_CHUNK, columns=columns, use_threads=False):
            yield from _batch(batch, dim, path, start)
            start += batch.num_rows


def _batch(batch: "pa.RecordBatch", dim: int | None, path: Path, start: int) -> Iterator[Embedding]:
    texts = [_texts(batch, name) for name in ("product_id", "attributes", "image", "perceptual", "url")]
    features = _features(batch.column("features"), dim, path, start)
    for row, (vector, product_id, attributes, image, perceptual, url) in enumerate(
        zip(features, *texts, strict=True), start
    ):
        if product_id is None:
            raise InvalidSource(f"Row {row} of {path} has no product_id; leave it out.")
        known = _attributes(attributes, path, row)
        yield Embedding(product_id, vector, known, *checked_origin(image, perceptual, url, path, row))


def _texts(batch: "pa.RecordBatch", name: str) -> list[Any]:
    return batch.column(name).to_pylist() if name in batch.schema.names else [None] * batch.num_rows


def _features(column: "pa.Array", dim: int | None, path: Path, start: int) -> Vectors:
    import pyarrow.compute as pc

    lengths = pc.list_value_length(column).to_pylist()
    for row, length in enumerate(lengths, start):
        if length != dim:
            raise InvalidSource(f"The features in row {row} of {path} have {length or 0} numbers, not {dim} as others.")
    values = column.flatten()
    if values.null_count:
        raise InvalidSource(f"The features of {path} hold null in or after row {start}; leave out such rows.")
    with np.errstate(over="ignore"):
        flat: Vectors = values.to_numpy(zero_copy_only=False).astype(np.float32)
    return flat.reshape(len(lengths), dim or 0)


def _attributes(attributes: Any, path: Path, row: int) -> Attributes | None:
    """Parses the attributes of a row. In a struct every row has every name, so null means that the row lacks it."""
    if isinstance(attributes, dict):
        return {name: value for name, value in attributes.items() if value is not None}
    return attributes_of(attributes, path, row) if attributes else None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    # Arrow's own errors have several bases: ValueError, OSError, NotImplementedError, KeyError.
    except (pa.lib.ArrowException, OSError, ValueError, OverflowError) as error:
        raise InvalidSource(
            f"{path} is not a Parquet file, or it is damaged ({reason(error)}); export it again."
        ) from error
