"""Arrays by name, as one file: what is learned of pictures, and kept in media, is written so."""

from collections.abc import Collection, Mapping
from io import BytesIO
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt


def packed(**arrays: npt.NDArray[Any]) -> bytes:
    """The file: the same bytes for the same arrays in the same order."""
    out = BytesIO()
    np.savez(out, allow_pickle=False, **arrays)
    return out.getvalue()


def unpacked(data: bytes, names: Collection[str]) -> Mapping[str, npt.NDArray[Any]]:
    """The arrays of these names out of a file. Raises `ValueError` where it is damaged, or has none of a name."""
    try:
        with np.load(BytesIO(data), allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (KeyError, OSError, EOFError, BadZipFile) as error:
        raise ValueError(f"no file of {', '.join(names)}: {error}") from error
