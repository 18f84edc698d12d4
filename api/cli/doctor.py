"""`lookalike doctor`: what this machine has, and what is missing."""

import os
import platform
import shutil
from importlib.metadata import version
from typing import Any

import click
from rich.table import Table

from api.cli.output import command, data_option, json_option, print_json, shown, stdout
from services import bootstrap, settings

PACKAGES = ("lookalike", "tensorflow", "keras", "qdrant-edge-py", "numpy", "pillow", "pyarrow")


@click.command("doctor")
@data_option
@json_option
@command
def doctor_command(data: str | None, as_json: bool) -> None:
    """Say what this machine has and lacks.

    Versions, processor and GPU, weights, data folder, disk.
    """
    configured = settings.load(data=data)
    folder = configured.data.absolute()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    disk = shutil.disk_usage(existing)
    answer = {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "processors": len(os.sched_getaffinity(0)),
        "bfloat16": bootstrap.has_bfloat16(),
        "gpus": bootstrap.gpus(),
        "weights": {name: entry.imagenet_at_hand() for name, entry in bootstrap.networks().items()},
        "data": {
            "folder": str(folder),
            "exists": folder.exists(),
            "writable": os.access(existing, os.W_OK),
            "free_bytes": disk.free,
        },
        "problems": [],
    }
    answer["problems"] = _problems(answer, configured.min_free_bytes)
    if as_json:
        print_json(answer)
    else:
        _show(answer)


def _problems(answer: dict[str, Any], min_free_bytes: int) -> list[str]:
    problems = [
        f"The ImageNet weights of {name} are not here: they are fetched at the first use, or give --weights FILE."
        for name, at_hand in answer["weights"].items()
        if not at_hand
    ]
    if not answer["data"]["writable"]:
        problems.append(f"The data folder {answer['data']['folder']} cannot be written: take another with --data.")
    if answer["data"]["free_bytes"] < min_free_bytes:
        problems.append("The disk of the data folder is nearly full: make room.")
    return problems


def _show(answer: dict[str, Any]) -> None:
    table = Table(show_header=False)
    table.add_row("Python", answer["python"])
    table.add_row("packages", ", ".join(f"{name} {number}" for name, number in answer["packages"].items()))
    table.add_row("processors", f"{answer['processors']}, {'with' if answer['bfloat16'] else 'without'} bfloat16")
    table.add_row("GPUs", ", ".join(answer["gpus"]) or "none that TensorFlow can use")
    for name, at_hand in answer["weights"].items():
        table.add_row(f"weights of {name}", "found" if at_hand else "not found")
    data = answer["data"]
    state = "" if data["exists"] else " (not made yet)"
    table.add_row("data folder", shown(f"{data['folder']}{state}, {data['free_bytes'] / 1e9:.1f} GB free"))
    stdout().print(table)
    for problem in answer["problems"]:
        stdout().print(shown(f"! {problem}"), style="yellow")
