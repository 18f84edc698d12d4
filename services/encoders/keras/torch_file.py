"""Reads the arrays in a legacy torch.save file, without torch and without trusting the file.

Such a file is a sequence of pickles (a magic number, a protocol version, facts about the machine, the named tensors,
the keys of their storages) followed by the storages: each an int64 count and that many numbers. A pickle may name
any callable, so this reader accepts four names and rejects all others.
"""

import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from services.errors import WeightsInvalid

Array = npt.NDArray[Any]

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
DTYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def read(path: Path) -> dict[str, Array]:
    """Reads the named arrays of a file, in the order of the file."""
    try:
        return _arrays(io.BytesIO(path.read_bytes()))
    except WeightsInvalid as error:
        raise WeightsInvalid(f"{path.name} is not a weights file that can be read: {error}") from error
    except OSError as error:
        raise WeightsInvalid(f"{path.name} cannot be read: {error.strerror}.") from error


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., object] | str:
        """Returns stand-ins that a pickle cannot modify: a built-in type, a new function, a string."""
        match module, name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                return lambda *args: args
            case "torch", "FloatStorage" | "LongStorage":
                return name
        raise WeightsInvalid(f"it asks for {module}.{name}, which no weights file needs.")

    def persistent_load(self, pid: object) -> object:
        return pid


def _arrays(stream: io.BytesIO) -> dict[str, Array]:
    if _load(stream) != MAGIC or _load(stream) != PROTOCOL:
        raise WeightsInvalid("it does not begin like a legacy torch.save file.")
    _load(stream)
    tensors, keys = _load(stream), _load(stream)
    if not isinstance(tensors, dict) or not isinstance(keys, list):
        raise WeightsInvalid("it holds no named tensors.")
    try:
        storages = dict(_storages(stream, keys, _dtypes(tensors)))
        return {str(name): _tensor(storages, *args) for name, args in tensors.items()}
    except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise WeightsInvalid("its tensors are cut off or do not fit their storages.") from error


def _load(stream: io.BytesIO) -> Any:
    # A damaged pickle may raise any exception.
    try:
        return _Unpickler(stream).load()
    except WeightsInvalid:
        raise
    except Exception as error:
        raise WeightsInvalid("it is cut off or damaged.") from error


def _dtypes(tensors: dict[str, Any]) -> dict[str, np.dtype[Any]]:
    """The dtype of each storage, by its key."""
    pids = [args[0] for args in tensors.values()]
    return {key: DTYPES[kind] for _, kind, key, _, _, _ in pids}


def _storages(stream: io.BytesIO, keys: list[str], dtypes: dict[str, np.dtype[Any]]) -> Iterator[tuple[str, Array]]:
    buffer = stream.getbuffer()
    offset = stream.tell()
    for key in keys:
        count = int(np.frombuffer(buffer, "<i8", 1, offset)[0])
        if count < 0:
            raise ValueError(count)
        yield key, np.frombuffer(buffer, dtypes[key], count, offset + 8)
        offset += 8 + count * dtypes[key].itemsize


def _tensor(storages: dict[str, Array], pid: Any, start: int, shape: Any, strides: Any, *_: object) -> Array:
    """A copy of a tensor's view of its storage; `strides` are in elements."""
    _, _, key, _, count, _ = pid
    storage = storages[key]
    if len(storage) != count or len(shape) != len(strides) or min((start, *shape, *strides)) < 0:
        raise ValueError(key)
    last = start + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if last >= count or math.prod(shape) > count:
        raise IndexError(key)
    bytes_apart = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[start:], shape, bytes_apart).copy()
