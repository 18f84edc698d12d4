"""The GPUs of this machine, and why TensorFlow cannot use them."""

import os
import re
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from services.encoders.keras.starting import starting

VISIBLE = "CUDA_VISIBLE_DEVICES"
DRIVER = Path("/proc/driver/nvidia")


@dataclass(frozen=True)
class Gpus:
    """What TensorFlow and NVIDIA's driver report.

    Attributes:
        names: The GPUs that TensorFlow can use.
        driver: The version of the driver; None if it is not loaded.
        cards: The GPUs that the driver lists.
        cuda: The version of CUDA that TensorFlow is built for; None if it is built without.
        absent: The packages of tensorflow[and-cuda] that are not installed.
        visible: The value of CUDA_VISIBLE_DEVICES; None if it is not set.
    """

    names: tuple[str, ...] = ()
    driver: str | None = None
    cards: tuple[str, ...] = ()
    cuda: str | None = None
    absent: tuple[str, ...] = ()
    visible: str | None = None

    def obstacle(self) -> str | None:
        """Why TensorFlow can use no GPU, and how to fix it, in one sentence; None if it can use one."""
        if self.names:
            return None
        none = "TensorFlow finds no GPU here"
        if self.driver is None:
            return f"{none}, because no NVIDIA driver is loaded: install it, or start the container with its GPUs."
        if self.cuda is None:
            return (
                f"{none}, because it is built without CUDA: install tensorflow[and-cuda], which needs Linux on x86-64."
            )
        first = None if self.visible is None else self.visible.split(",")[0].strip()
        if first in ("", "-1"):
            return f"{none}, because {VISIBLE}={self.visible} hides them: unset it."
        if first and first.isdigit() and self.cards and int(first) >= len(self.cards):
            have = f"one GPU, {self.cards[0]}" if len(self.cards) == 1 else f"{len(self.cards)} GPUs"
            return f"{none}, because {VISIBLE}={self.visible} names none: this machine has {have}, counted from 0."
        if self.absent:
            return (
                f"{none}, and packages with CUDA's libraries are not installed ({_shortened(self.absent)}): "
                "pip install 'tensorflow[and-cuda]'."
            )
        return (
            f"{none}, though it is built for CUDA {self.cuda} and NVIDIA's driver {self.driver} is loaded: "
            "TF_CPP_MAX_VLOG_LEVEL=3 python -c 'import tensorflow as tf; tf.config.list_physical_devices()' shows why."
        )


def gpus(driver: Path = DRIVER) -> Gpus:
    """Queries TensorFlow, which this imports, and NVIDIA's driver."""
    with starting():
        import tensorflow as tf

        found = tf.config.list_physical_devices("GPU")
    build = tf.sysconfig.get_build_info()
    return Gpus(
        names=tuple(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in found),
        driver=_driver_version(driver),
        cards=_cards(driver),
        cuda=build.get("cuda_version", "of unknown version") if build["is_cuda_build"] else None,
        absent=tuple(package for package in _cuda_packages() if not _installed(package)),
        visible=os.environ.get(VISIBLE),
    )


def _driver_version(driver: Path) -> str | None:
    text = _text(driver / "version")
    if not text:
        return None
    version = re.search(r"^NVRM version:.*?\b(\d+\.\d+(\.\d+)?)\b", text, re.MULTILINE)
    return version[1] if version else "of unknown version"


def _cards(driver: Path) -> tuple[str, ...]:
    texts = [_text(path) for path in sorted(driver.glob("gpus/*/information"))]
    return tuple(model[1] for text in texts if (model := re.search(r"^Model:\s*(.+?)\s*$", text, re.MULTILINE)))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _cuda_packages() -> list[str]:
    """The package names in requirements like `nvidia-cudnn-cu12<10.0,>=9.3; extra == "and-cuda"`."""
    lines = metadata.requires("tensorflow") or []
    return [re.split(r"[^A-Za-z0-9._-]", line)[0] for line in lines if re.search(r"extra == .and-cuda.", line)]


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _shortened(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"
