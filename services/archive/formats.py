"""The formats by name, and the detection of the format at a path."""

from pathlib import Path

from services.archive import npz, parquet, script
from services.archive.archive import Archive, Format
from services.errors import InvalidSource

_MAGIC = {b"PK": "npz", b"PAR1": "parquet"}


def formats() -> dict[str, Format]:
    """All formats, by name."""
    return {"script": script, "npz": npz, "parquet": parquet}


def read(path: Path) -> Archive:
    """Opens an archive: a folder with the script's two files, a `.npz` or a Parquet file. Raises `InvalidSource`."""
    return formats()[_format_of(path)].read(path)


def _format_of(path: Path) -> str:
    if path.is_dir():
        return "script"
    if path.exists() and not path.is_file():
        raise InvalidSource(f"{path} is neither a file nor a folder; give an archive.")
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        raise InvalidSource(f"{path} cannot be read ({error.strerror}); check the path and its rights.") from error
    for magic, name in _MAGIC.items():
        if start.startswith(magic):
            return name
    raise InvalidSource(
        f"{path} is not an archive: give a folder with {script.EMBEDDINGS} and {script.INDEXES}, a .npz or "
        "a Parquet file."
    )
