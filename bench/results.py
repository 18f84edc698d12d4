"""What a bench writes down: its figures, and on what machine and with which versions they were seen."""

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("tensorflow", "numpy", "pillow", "qdrant-edge-py", "qdrant-client")
FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def keep(result: dict[str, Any], out: Path | None) -> None:
    """Writes a result as JSON, where that was asked for."""
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result | {"machine": machine()}, indent=2) + "\n")


def progress(what: str) -> None:
    """Tells what is being done, beside what is found."""
    print(f"{what} ...", file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """The processors, what they can do that matters here, and the packages that do the work."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    names = [line.partition(": ")[2] for line in cpuinfo.splitlines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else "unknown",
        "processors": len(os.sched_getaffinity(0)),
        "features": [each for each in FEATURES if each in cpuinfo],
        "packages": {name: version(name) for name in PACKAGES},
    }
