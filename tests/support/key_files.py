"""Keys files as tests write them."""

import os
from pathlib import Path


def write(file: Path, *lines: str) -> Path:
    """Writes it so that it is seen to have changed, however coarse the clock of the disk is."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text("".join(f"{line}\n" for line in lines))
    os.utime(file, ns=(before + 1_000_000_000, before + 1_000_000_000))
    return file


def bearer(key: str) -> dict[str, str]:
    """The header that sends a key."""
    return {"Authorization": f"Bearer {key}"}
