"""`lookalike doctor`: what this machine has, and what is missing."""

import os
import platform
import shutil
from contextlib import closing
from importlib.metadata import version
from typing import Any

import click
from rich.table import Table

from api.cli.output import command, data_option, display, json_option, print_json, stdout
from services import bootstrap, settings
from services.encoders.keras.gpus import Gpus
from services.encoders.networks import networks
from services.errors import ServiceUnavailable
from services.settings import Precision, Settings
from services.storage.folder import service_url

PACKAGES = ("lookalike", "tensorflow", "keras", "qdrant-edge-py", "numpy", "pillow", "pyarrow")


@click.command("doctor")
@data_option
@json_option
@command
def doctor_command(data: str | None, as_json: bool) -> None:
    """Say what this machine has and lacks.

    Versions, processor and GPU, weights, data folder, disk, and whether a service runs.
    """
    configured = settings.load(data=data)
    folder = configured.data.absolute()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    disk = shutil.disk_usage(existing)
    gpus = bootstrap.gpus()
    answer: dict[str, Any] = {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "processors": len(os.sched_getaffinity(0)),
        "bfloat16": bootstrap.has_bfloat16(),
        "gpus": list(gpus.names),
        "nvidia_driver": gpus.driver,
        "weights": {name: entry.imagenet_at_hand() for name, entry in networks().items()},
        "data": {
            "folder": str(folder),
            "exists": folder.exists(),
            "writable": os.access(existing, os.W_OK),
            "free_bytes": disk.free,
        },
        "service": _service(configured),
        "problems": [],
    }
    answer["problems"] = _problems(answer, gpus, configured)
    if as_json:
        print_json(answer)
    else:
        _show(answer)


def _service(configured: Settings) -> dict[str, Any] | None:
    """The service that commands go to, and whether it answers."""
    url = configured.service_url or service_url(configured.data)
    if not url:
        return None
    from api.client.connection import Client

    with closing(Client(url)) as client:
        try:
            return {"url": url, "ready": client.send("GET", "/readyz", seconds=5).status_code == 200}
        except ServiceUnavailable:
            return {"url": url, "ready": False}


def _problems(answer: dict[str, Any], gpus: Gpus, configured: Settings) -> list[str]:
    problems = []
    missing = [name for name, at_hand in answer["weights"].items() if not at_hand]
    if missing:
        problems.append(
            f"The ImageNet weights of {', '.join(missing)} are not here: they are fetched at the first use, or give "
            "--weights FILE."
        )
    problems += gpu_problems(gpus, configured.precision)
    if not answer["data"]["writable"]:
        problems.append(f"The data folder {answer['data']['folder']} cannot be written: take another with --data.")
    service = answer["service"]
    if service and not service["ready"]:
        problems.append(f"The service at {service['url']} is not ready: its log says why.")
    if answer["data"]["free_bytes"] < configured.min_free_bytes:
        problems.append("The disk of the data folder is nearly full: make room.")
    return problems


def gpu_problems(gpus: Gpus, precision: Precision) -> list[str]:
    """What is missing, in one sentence each. A machine without NVIDIA's driver lacks nothing."""
    problems = []
    obstacle = gpus.obstacle()
    if obstacle and gpus.driver:
        problems.append(obstacle)
    if precision == "float16" and not gpus.names:
        problems.append("LOOKALIKE_PRECISION=float16 is for GPUs, and TensorFlow finds none: take auto.")
    return problems


def _show(answer: dict[str, Any]) -> None:
    table = Table(show_header=False)
    table.add_row("Python", answer["python"])
    table.add_row("packages", ", ".join(f"{name} {number}" for name, number in answer["packages"].items()))
    table.add_row("processors", f"{answer['processors']}, {'with' if answer['bfloat16'] else 'without'} bfloat16")
    table.add_row("GPUs", ", ".join(answer["gpus"]) or "none that TensorFlow can use")
    table.add_row("NVIDIA driver", answer["nvidia_driver"] or "none")
    for name, at_hand in answer["weights"].items():
        table.add_row(f"weights of {name}", "found" if at_hand else "not found")
    data = answer["data"]
    state = "" if data["exists"] else " (not made yet)"
    table.add_row("data folder", display(f"{data['folder']}{state}, {data['free_bytes'] / 1e9:.1f} GB free"))
    service = answer["service"]
    table.add_row(
        "service", service["url"] + ("" if service["ready"] else ", not ready") if service else "none runs here"
    )
    stdout().print(table)
    for problem in answer["problems"]:
        stdout().print(display(f"! {problem}"), style="yellow")
