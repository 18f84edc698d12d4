"""The arrays of a map as bytes, for whoever reads them over HTTP.

All numbers are little-endian, and arrays begin at multiples of their size, so that JavaScript reads them in place:
`new Uint16Array(buffer, 16, 2 * n)`. docs/api.md describes both files.
"""

import json
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from services.catalog.map_columns import Column
from services.explore.regions import Labels, Points

HEADER = struct.Struct("<4sHHII")
"""What it is, the number of its format, the kind, how many products, and one more number: 16 bytes."""
POINTS, COLUMN = b"LKMP", b"LKMC"
FORMAT = 1
KEYWORD, NUMBER = 0, 1


def points_bytes(points: Points, labels: Labels, version: int) -> bytes:
    """The header, whose last number is the version of the map; then x and y of each product as uint16; then the
    cluster of each as uint16."""
    return HEADER.pack(POINTS, FORMAT, 0, len(points), version) + _little(points) + _little(labels)


def points_of(data: bytes) -> tuple[Points, Labels]:
    """What `points_bytes` was made of. Raises `ValueError`."""
    _, count, _ = _header(data, POINTS)
    points = np.frombuffer(data, "<u2", 2 * count, HEADER.size).reshape(count, 2)
    return points.astype(np.uint16), np.frombuffer(data, "<u2", count, HEADER.size + 4 * count).astype(np.uint16)


def column_bytes(column: Column) -> bytes:
    """The header, then numbers as float32; or codes as uint16, and the texts that they stand for as a JSON array in
    UTF-8, whose length in bytes is the last number of the header."""
    if column.kind == "number":
        return HEADER.pack(COLUMN, FORMAT, NUMBER, len(column.numbers), 0) + _little(column.numbers)
    values = json.dumps(column.values, ensure_ascii=False).encode()
    return HEADER.pack(COLUMN, FORMAT, KEYWORD, len(column.codes), len(values)) + _little(column.codes) + values


def column_of(data: bytes) -> Column:
    """What `column_bytes` was made of. Raises `ValueError`."""
    kind, count, length = _header(data, COLUMN)
    if kind == NUMBER:
        numbers = np.frombuffer(data, "<f4", count, HEADER.size).astype(np.float32)
        return Column("number", np.zeros(0, np.uint16), numbers)
    codes = np.frombuffer(data, "<u2", count, HEADER.size).astype(np.uint16)
    values = data[HEADER.size + 2 * count :]
    if len(values) != length:
        raise ValueError(f"the values have {len(values)} bytes, not {length}")
    return Column("keyword", codes, np.zeros(0, np.float32), tuple(json.loads(values)))


def _header(data: bytes, wanted: bytes) -> tuple[int, int, int]:
    try:
        what, format, kind, count, more = HEADER.unpack_from(data)
    except struct.error as error:
        raise ValueError(str(error)) from error
    if (what, format) != (wanted, FORMAT):
        raise ValueError(f"it begins with {what!r}, format {format}")
    return kind, count, more


def _little(array: npt.NDArray[Any]) -> bytes:
    return array.astype(array.dtype.newbyteorder("<")).tobytes()
