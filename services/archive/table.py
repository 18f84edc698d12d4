"""Columns as a Parquet file that other programs read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from services.archive.staged import staged


def write_table(target: Path, columns: Mapping[str, npt.NDArray[Any] | Sequence[str | None]]) -> None:
    """Writes columns of one length: arrays with their dtype, texts as strings. NaN and what is masked become null.

    Raises `DataFull`, `DataNotWritable`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {
        name: pa.array(column, pa.string()) if isinstance(column, list | tuple) else pa.array(column, from_pandas=True)
        for name, column in columns.items()
    }
    with staged(target) as (file,):
        pq.write_table(pa.table(arrays), file, compression="zstd")
