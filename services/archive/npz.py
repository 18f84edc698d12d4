"""The format npz: one file that `numpy.load` opens without pickle, an array for each column, a row for each product.

Texts are stored as numpy's fixed-width strings: where one product's attributes are very long, Parquet is smaller.
"""

import json
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryFile
from tokenize import TokenError
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
import numpy.lib.format as npy

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
from services.errors import DataCorrupt, InvalidProductID, InvalidSource
from services.records import Embedding, Vector

NEEDED = ("product_id", "attributes", "image")
TEXTS = ("url", "perceptual", *NEEDED)
"""In this order: where the end of the list of members is damaged, one is missing that every archive has."""

# What zipfile and numpy raise for files that are damaged, encrypted or compressed by an unknown method.
_DAMAGE = (BadZipFile, zlib.error, TokenError, SyntaxError, EOFError, ValueError, RuntimeError, MemoryError)
_CHUNK = 64
_MAX_ITEM = 4 << 20


@dataclass(frozen=True)
class _Column:
    name: str
    dtype: "np.dtype[Any]"
    shape: tuple[int, ...]

    @property
    def member(self) -> str:
        return f"{self.name}.npy"

    @property
    def row_size(self) -> int:
        return self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=object))


def check(product_id: str) -> None:
    """Raises `InvalidProductID` for an ID that ends in NUL, which numpy's strings drop."""
    if product_id.endswith("\0"):
        raise InvalidProductID(
            f"The product ID {product_id!r} ends with NUL, which numpy's strings cannot keep: export with --format "
            "parquet."
        )


def write(embeddings: Iterable[Embedding], folder: Path, spec: CatalogSpec, count: int) -> list[Path]:
    """Writes texts to a temporary file first: the width of a column is known when its longest text is."""
    target = folder / f"{spec.name}.npz"
    with (
        staged(target) as (file,),
        ZipFile(file, "w") as archive,
        TemporaryFile("w+", dir=folder, encoding="ascii") as texts,
    ):
        # First, so that a file damaged further on is not mistaken for an archive of another program.
        with _member(archive, "lookalike", ZIP_DEFLATED) as stream:
            npy.write_array(stream, np.array(about_json(spec)), allow_pickle=False)
        widths = _write_features(archive, texts, embeddings, (count, spec.dim))
        for column, width in enumerate(widths):
            _write_texts(archive, texts, column, (count, width))
    return [target]


def _write_features(
    archive: ZipFile, texts: IO[str], embeddings: Iterable[Embedding], shape: tuple[int, int]
) -> list[int]:
    widths = [1] * len(TEXTS)
    rows = 0
    with _member(archive, "features", ZIP_STORED) as stream:
        _write_header(stream, "<f4", shape)
        for embedding in embeddings:
            rows += 1
            check(embedding.product_id)
            stream.write(embedding.features.astype("<f4").tobytes())
            row = _texts(embedding)
            widths = [max(width, len(text)) for width, text in zip(widths, row, strict=True)]
            texts.write(json.dumps(row) + "\n")
    if rows != shape[0]:
        raise DataCorrupt(f"The catalog has {shape[0]} products but gave {rows}; index its pictures again.")
    return widths


def _texts(embedding: Embedding) -> tuple[str, ...]:
    attributes = "" if embedding.attributes is None else attributes_json(embedding.attributes)
    return embedding.url or "", embedding.perceptual or "", embedding.product_id, attributes, embedding.image or ""


def _write_texts(archive: ZipFile, texts: IO[str], column: int, shape: tuple[int, int]) -> None:
    count, width = shape
    texts.seek(0)
    with _member(archive, TEXTS[column], ZIP_DEFLATED) as stream:
        _write_header(stream, f"<U{width}", (count,))
        for line in texts:
            stream.write(json.loads(line)[column].encode("utf-32-le").ljust(4 * width, b"\0"))


def _member(archive: ZipFile, name: str, compression: int) -> IO[bytes]:
    info = ZipInfo(f"{name}.npy")
    info.compress_type = compression
    return archive.open(info, "w", force_zip64=True)


def _write_header(stream: IO[bytes], descr: str, shape: tuple[int, ...]) -> None:
    npy.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})


def read(path: Path) -> Archive:
    """Opens any `.npz` with `product_id` and `features`. Raises `InvalidSource`."""
    with _faults(path), ZipFile(path) as archive:
        names = _names(archive)
        features = _features_column(archive, path)
        present = [name for name in TEXTS if name in names or name == "product_id"]
        texts = [_text_column(archive, path, name, features.shape[0]) for name in present]
        about = About()
        if "lookalike" in names:
            check_complete(path, names, NEEDED, ("lookalike", "features", *TEXTS))
            about = _about(archive, path)
    rows, dim = features.shape
    return Archive(path, "npz", rows, dim, partial(_embeddings, path, features, texts), about)


def _names(archive: ZipFile) -> set[str]:
    for name in archive.namelist():
        # Opening a member checks that the two places where a zip file stores its name agree.
        archive.open(name).close()
    return {name.removesuffix(".npy") for name in archive.namelist()}


def _embeddings(path: Path, features: _Column, texts: list[_Column]) -> Generator[Embedding, None, None]:
    with _faults(path), ZipFile(path) as archive, ExitStack() as stack:
        members = {column.name: stack.enter_context(archive.open(column.member)) for column in [features, *texts]}
        columns = {column.name: _texts_of(members[column.name], column) for column in texts}
        rows = zip(
            columns["product_id"],
            _vectors_of(members["features"], features),
            columns.get("attributes", repeat("")),
            columns.get("image", repeat("")),
            columns.get("perceptual", repeat("")),
            columns.get("url", repeat("")),
            strict=False,
        )
        for row, (product_id, vector, attributes, image, perceptual, url) in enumerate(rows, 1):
            known = attributes_of(attributes, path, row) if attributes else None
            yield Embedding(product_id, vector, known, *checked_origin(image, perceptual, url, path, row))


def _features_column(archive: ZipFile, path: Path) -> _Column:
    column, is_fortran = _column(archive, path, "features")
    if column.dtype.kind != "f" or len(column.shape) != 2 or column.shape[1] < 1 or is_fortran:
        raise InvalidSource(
            f"The array features of {path} must be numpy.ascontiguousarray of floats with a row for each product."
        )
    return column


def _text_column(archive: ZipFile, path: Path, name: str, rows: int) -> _Column:
    column, _ = _column(archive, path, name)
    if column.dtype.kind != "U" or column.shape != (rows,):
        raise InvalidSource(
            f"The array {name} of {path} must hold a text (numpy.str_) for each of the {rows} rows of features."
        )
    return column


def _about(archive: ZipFile, path: Path) -> About:
    column, _ = _column(archive, path, "lookalike")
    if column.dtype.kind != "U" or column.shape != ():
        raise InvalidSource(f"The array lookalike of {path} is not the text that an export writes; remove it.")
    with archive.open(column.member) as stream:
        [text] = _texts_of(stream, replace(column, shape=(1,)))
    return about_of(text, path)


def _column(archive: ZipFile, path: Path, name: str) -> tuple[_Column, bool]:
    """Reads the header of an array, which must agree with the size of the member."""
    if f"{name}.npy" not in archive.namelist():
        raise InvalidSource(f"{path} has no array {name}; an archive has product_id and features.")
    with archive.open(f"{name}.npy") as stream:
        shape, is_fortran, dtype = _header(stream)
        column = _Column(name, dtype, shape)
        size = stream.tell() + column.row_size * (shape[0] if shape else 1)
    if dtype.hasobject or column.row_size > _MAX_ITEM or size != archive.getinfo(column.member).file_size:
        raise InvalidSource(
            f"The array {name} of {path} is cut off, damaged or of a type that is not taken; restore it."
        )
    return column, is_fortran and len(shape) > 1 and shape[0] > 1


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, "np.dtype[Any]"]:
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"arrays of version {version} are not taken")
    return npy.read_array_header_1_0(stream) if version == (1, 0) else npy.read_array_header_2_0(stream)


def _vectors_of(stream: IO[bytes], column: _Column) -> Iterator[Vector]:
    for count, data in _chunks(stream, column):
        vectors = np.frombuffer(data, column.dtype).reshape(count, *column.shape[1:])
        with np.errstate(over="ignore"):
            converted = vectors.astype(np.float32)
        # Outside of that block: it belongs to a context, and a generator may be closed in another one.
        yield from converted


def _texts_of(stream: IO[bytes], column: _Column) -> Iterator[str]:
    codec = "utf-32-be" if column.dtype.byteorder == ">" else "utf-32-le"
    for count, data in _chunks(stream, column):
        for row in range(count):
            text = data[row * column.row_size : (row + 1) * column.row_size]
            yield text.decode(codec).rstrip("\0")


def _chunks(stream: IO[bytes], column: _Column) -> Iterator[tuple[int, bytes]]:
    rows = column.shape[0]
    _header(stream)
    for start in range(0, rows, _CHUNK):
        count = min(_CHUNK, rows - start)
        data = stream.read(count * column.row_size)
        if len(data) != count * column.row_size:
            raise BadZipFile("cut off")
        yield count, data


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidSource(
            f"{path} cannot be read ({error.strerror or reason(error)}); check it and its rights."
        ) from error
    except _DAMAGE as error:
        raise InvalidSource(f"{path} is no .npz or a damaged one ({reason(error)}); export it again.") from error
