"""The format of the replaced script: two files, features by `numpy.savetxt`, and a line for each product.

A line is the file name with extension, the byte 0x01 and a number. The script numbers files by position in its folder
but skips unreadable ones, so after such a file its numbers are greater than the rows. It never changes their order,
so the row of a product is the rank of its number. Our own export numbers the rows.
"""

from collections.abc import Generator, Iterable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from services.archive.archive import Archive
from services.archive.staged import staged
from services.descriptions import CatalogSpec
from services.errors import InvalidProductID, InvalidSource
from services.records import Embedding, Vector

EMBEDDINGS = "img_embeddings.txt"
INDEXES = "indexes.txt"

_MAX_LINE = 4 << 20
_MAX_DIGITS = 18


class _Entry(NamedTuple):
    number: int
    line: int
    file: str

    @property
    def product_id(self) -> str:
        return self.file.rpartition(".")[0] or self.file


def check(product_id: str) -> None:
    """Raises `InvalidProductID` for an ID with a character that would end a line or a name."""
    if product_id.splitlines() != [product_id] or "\x01" in product_id:
        raise InvalidProductID(
            f"The product ID {product_id!r} holds a line break or the byte 0x01, which the script's files cannot "
            "keep: export with --format npz or parquet."
        )


def write(embeddings: Iterable[Embedding], folder: Path, spec: CatalogSpec, count: int) -> list[Path]:
    """Writes features that `numpy.loadtxt` reads back exactly as float32, and the products."""
    targets = [folder / EMBEDDINGS, folder / INDEXES]
    row = " ".join(["%.18e"] * spec.dim) + "\n"
    with staged(*targets) as (features, indexes):
        for number, embedding in enumerate(embeddings):
            check(embedding.product_id)
            features.write((row % tuple(embedding.features.tolist())).encode())
            indexes.write(f"{embedding.product_id}.jpg\x01{number}\n".encode())
    return targets


def read(folder: Path) -> Archive:
    """Opens the two files in a folder. Raises `InvalidSource` for a line without a valid product or row."""
    entries = _ranked(folder / INDEXES)
    product_ids = [entry.product_id for entry in entries]
    repaired = sum(entry.number != rank for rank, entry in enumerate(entries))
    dim = _dim(folder / EMBEDDINGS)
    rows = partial(_embeddings, folder / EMBEDDINGS, product_ids, dim)
    return Archive(folder, "script", len(entries), dim, rows, repaired=repaired)


def _ranked(path: Path) -> list[_Entry]:
    entries = sorted(_entry(path, line, text) for line, text in _lines(path))
    for one, other in pairwise(entries):
        if one.number == other.number:
            raise InvalidSource(
                f"Lines {one.line} and {other.line} of {path} both have the number {one.number}, so their rows "
                "cannot be told apart; restore the file."
            )
    _check_product_ids(path, entries)
    return entries


def _check_product_ids(path: Path, entries: list[_Entry]) -> None:
    seen: dict[str, _Entry] = {}
    for entry in entries:
        first = seen.setdefault(entry.product_id, entry)
        if first is not entry:
            raise InvalidSource(
                f"{first.file!r} and {entry.file!r} in lines {first.line} and {entry.line} of {path} are both product "
                f"{entry.product_id!r}; rename one of the two there."
            )


def _entry(path: Path, line: int, text: str) -> _Entry:
    file, _, number = text.rpartition("\x01")
    if not file or not number.isascii() or not number.isdigit() or len(number) > _MAX_DIGITS:
        raise InvalidSource(f"Line {line} of {path} is not a file name, the byte 0x01 and a number; restore the file.")
    return _Entry(int(number), line, file)


def _dim(path: Path) -> int | None:
    for line, text in _lines(path):
        return _features(path, line, text).size
    return None


def _embeddings(path: Path, product_ids: list[str], dim: int | None) -> Generator[Embedding, None, None]:
    rows = 0
    for rows, text in _lines(path):
        if rows > len(product_ids):
            continue
        features = _features(path, rows, text)
        if features.size != dim:
            raise InvalidSource(f"Row {rows} of {path} has {features.size} numbers, row 1 has {dim}; restore the file.")
        yield Embedding(product_ids[rows - 1], features)
    if rows != len(product_ids):
        raise InvalidSource(
            f"{path} has {rows} rows and {INDEXES} has {len(product_ids)} lines, so it is unclear whose rows "
            "they are; restore the one that is cut off."
        )


def _features(path: Path, line: int, text: str) -> Vector:
    try:
        if text.strip():
            return np.loadtxt([text], np.float32, comments=None, ndmin=1)
        reason = "it is empty"
    except ValueError as error:
        reason = str(error).partition(" at row")[0]
    raise InvalidSource(f"Row {line} of {path} does not hold numbers with spaces between ({reason}); restore the file.")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines with their numbers, from 1. Only line feeds end a line: names may contain anything else."""
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(iter(partial(stream.readline, _MAX_LINE), b""), 1):
                if len(line) == _MAX_LINE:
                    raise InvalidSource(
                        f"Line {number} of {path} is longer than {_MAX_LINE:,} bytes; restore the file."
                    )
                text = line.removesuffix(b"\n").removesuffix(b"\r")
                yield number, text.decode("utf-8-sig" if number == 1 else "utf-8")
    except FileNotFoundError:
        raise InvalidSource(f"{path} is not there; give the folder that holds {EMBEDDINGS} and {INDEXES}.") from None
    except OSError as error:
        raise InvalidSource(f"{path} cannot be read ({error.strerror}); check its rights.") from error
    except UnicodeDecodeError as error:
        raise InvalidSource(f"{path} is not text in UTF-8 ({error}); save it as UTF-8.") from error
