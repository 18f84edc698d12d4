import os
import pickle
import subprocess
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.encoders.keras import torch_file
from services.errors import WeightsInvalid

Array = np.ndarray[Any, Any]
GLOBALS = {np.dtype("<f4"): b"ctorch\nFloatStorage\n", np.dtype("<i8"): b"ctorch\nLongStorage\n"}
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def pushed(value: object) -> bytes:
    """The part of a pickle that makes a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(key: str, storage: Array, start: int = 0, shape: Any = None, strides: Any = None) -> bytes:
    pid = b"(" + pushed("storage") + GLOBALS[storage.dtype] + pushed(key) + pushed("cpu")
    pid += pushed(len(storage)) + b"NtQ"
    seen = (
        pushed(start) + pushed(storage.shape if shape is None else shape) + pushed((1,) if strides is None else strides)
    )
    return REBUILD + b"(" + pid + seen + pushed(False) + pushed(OrderedDict()) + b"tR"


def named(tensors: dict[str, bytes]) -> bytes:
    items = b"".join(pushed(name) + made for name, made in tensors.items())
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u."


def saved(path: Path, tensors: dict[str, bytes], storages: dict[str, Array]) -> Path:
    """A file as torch.save wrote it before it took to zip archives."""
    head = (torch_file.MAGIC, torch_file.PROTOCOL, {"little_endian": True})
    parts = [pickle.dumps(value, 2) for value in head] + [named(tensors), pickle.dumps(list(storages), 2)]
    for storage in storages.values():
        parts += [len(storage).to_bytes(8, "little"), storage.tobytes()]
    path.write_bytes(b"".join(parts))
    return path


SIX = np.arange(6, dtype="<f4")


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    steps = np.array([40], dtype="<i8")
    tensors = {
        "rows": tensor("a", SIX, 0, (2, 3), (3, 1)),
        "columns": tensor("a", SIX, 0, (2, 3), (1, 2)),
        "tail": tensor("a", SIX, 4, (2,), (1,)),
        "steps": tensor("b", steps, 0, (), ()),
    }
    return saved(tmp_path / "sound.pth", tensors, {"a": SIX, "b": steps})


def test_tensors_come_with_their_names_shapes_and_strides(sound: Path) -> None:
    arrays = torch_file.read(sound)
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "rows": [[0, 1, 2], [3, 4, 5]],
        "columns": [[0, 2, 4], [1, 3, 5]],
        "tail": [4, 5],
        "steps": 40,
    }
    assert {name: array.dtype.str for name, array in arrays.items()} == {
        "rows": "<f4", "columns": "<f4", "tail": "<f4", "steps": "<i8",
    }  # fmt: skip


def test_arrays_are_copies_of_their_own(sound: Path) -> None:
    arrays = torch_file.read(sound)
    arrays["rows"][:] = 9
    assert arrays["columns"].tolist() == [[0, 2, 4], [1, 3, 5]]


def test_a_file_cut_off_anywhere_is_refused(sound: Path, tmp_path: Path) -> None:
    whole = sound.read_bytes()
    cut = tmp_path / "cut.pth"
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        with pytest.raises(WeightsInvalid, match=r"^cut\.pth "):
            torch_file.read(cut)


def test_a_flipped_byte_is_refused_or_read_but_never_anything_else(sound: Path, tmp_path: Path) -> None:
    whole = sound.read_bytes()
    flipped = tmp_path / "flipped.pth"
    for position in range(len(whole)):
        flipped.write_bytes(whole[:position] + bytes([whole[position] ^ 0x15]) + whole[position + 1 :])
        try:
            assert all(array.nbytes <= 48 for array in torch_file.read(flipped).values())
        except WeightsInvalid:
            continue


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsInvalid, match="No such file"):
        torch_file.read(tmp_path / "none.pth")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", pickle.dumps(7), b"N." * 5])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsInvalid):
        torch_file.read(path)


@pytest.mark.parametrize(
    ("start", "shape", "strides"),
    [
        (0, (7,), (1,)),
        (1, (6,), (1,)),
        (-1, (2,), (1,)),
        (0, (2, 3), (4, 1)),
        (0, (2, 3), (1,)),
        (0, (-2,), (1,)),
        (5, (2,), (-1,)),
        (0, (10**13,), (0,)),
        (2**70, (1,), (1,)),
        (0, ("six",), (1,)),
        (0, 6, 1),
    ],
)
def test_a_tensor_may_not_look_beyond_its_storage(start: int, shape: Any, strides: Any, tmp_path: Path) -> None:
    path = saved(tmp_path / "beyond.pth", {"x": tensor("a", SIX, start, shape, strides)}, {"a": SIX})
    with pytest.raises(WeightsInvalid):
        torch_file.read(path)


@pytest.mark.parametrize("count", [-1, 5, 7, 2**62])
def test_a_storage_of_another_length_than_said_is_refused(count: int, tmp_path: Path) -> None:
    path = saved(tmp_path / "length.pth", {"x": tensor("a", SIX)}, {"a": SIX})
    body = path.read_bytes()[: -SIX.nbytes - 8]
    path.write_bytes(body + count.to_bytes(8, "little", signed=True) + SIX.tobytes())
    with pytest.raises(WeightsInvalid):
        torch_file.read(path)


class Call:
    """Pickles as a call of whatever it is given."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("place", range(5))
def test_a_pickle_that_calls_something_is_refused_and_not_run(place: int, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    hostile = pickle.dumps(Call(os.system, f"touch {trace}"))
    sound = [torch_file.MAGIC, torch_file.PROTOCOL, {}, OrderedDict(), []]
    parts = [pickle.dumps(value) for value in sound]
    path = tmp_path / "hostile.pth"
    path.write_bytes(b"".join([*parts[:place], hostile, *parts[place + 1 :]]))
    with pytest.raises(WeightsInvalid, match=r"asks for posix\.system"):
        torch_file.read(path)
    assert not trace.exists()
    pickle.loads(hostile)  # noqa: S301 - the negative control: what the reader keeps from happening
    assert trace.exists(), "the pickle was harmless, so this test showed nothing"


@pytest.mark.parametrize(
    "hostile",
    [
        pickle.dumps(Call(eval, "1 + 1")),
        pickle.dumps(Call(getattr, OrderedDict, "fromkeys")),
        pickle.dumps(Call(subprocess.Popen, ["true"])),
        pickle.dumps(OrderedDict.fromkeys, 4),
        b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93.",
        b"ctorch._utils\n_rebuild_tensor\n.",
        b"ctorch\nload\n.",
        b"cservices.encoders.torch_file\nread\n.",
        b"i" + b"os\nsystem\n.",
        b"\x82\x01.",
    ],
)
def test_only_the_names_of_a_weights_file_are_known(hostile: bytes, tmp_path: Path) -> None:
    path = tmp_path / "names.pth"
    path.write_bytes(hostile)
    with pytest.raises(WeightsInvalid):
        torch_file.read(path)


@pytest.mark.parametrize("victim", [REBUILD, b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n"])
def test_what_stands_in_for_torch_cannot_be_bent(victim: bytes, sound: Path, tmp_path: Path) -> None:
    """BUILD may set attributes on anything that a pickle can name; the next file must not notice."""
    bent = pushed((None, {"__defaults__": (1,), "__init__": None, "items": None}))
    path = tmp_path / "bent.pth"
    path.write_bytes(victim + bent + b"b.")
    before = torch_file.read(sound)
    with pytest.raises(WeightsInvalid):
        torch_file.read(path)
    after = torch_file.read(sound)
    assert {name: array.tolist() for name, array in after.items()} == {
        name: array.tolist() for name, array in before.items()
    }
