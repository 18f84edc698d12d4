"""Networks of `keras.applications`, with the ImageNet weights that Keras downloads and caches."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from services.encoders.keras.weights import load_file
from services.encoders.network import Network, Patience, Tap
from services.errors import WeightsUnreachable


def application(*, name: str, function: str, size: int, dim: int, file: str, taps: tuple[Tap, ...] = ()) -> Network:
    """Makes the registry entry of a network.

    Args:
        name: The module of `keras.applications`, which is also the name of the network.
        function: The function of that module that builds it.
        size: Width and height of its input in pixels.
        dim: Numbers in its feature vectors.
        file: The name under which Keras caches its ImageNet weights without classifier.
        taps: The layers that `tuned` features take besides the last one.
    """
    own = size
    headless, whole = cached(file), cached(file.replace("_notop", ""))

    def build(top: bool, size: int | None = None) -> Any:
        return _build(name, function, size or own, top=top, weights=None)

    def imagenet(patience: Patience) -> Any:
        if whole.exists() and not headless.exists():
            return load_file(network, whole)
        with _explained(name, headless), _patient(patience):
            return _build(name, function, size, top=False, weights="imagenet")

    network = Network(
        name=name,
        size=size,
        dim=dim,
        build=build,
        preprocess=lambda pixels: _module(name).preprocess_input(pixels),
        imagenet=imagenet,
        imagenet_at_hand=lambda: headless.exists() or whole.exists(),
        taps=taps,
    )
    return network


def cached(file: str) -> Path:
    """The path where Keras caches a weights file; one downloaded by the replaced script is used, too."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models" / file


def _module(name: str) -> Any:
    return import_module(f"keras.applications.{name}")


def _build(name: str, function: str, size: int, *, top: bool, weights: str | None) -> Any:
    build = getattr(_module(name), function)
    if top:
        return build(weights=weights)
    return build(weights=weights, include_top=False, pooling="avg", input_shape=(size, size, 3))


@contextlib.contextmanager
def _explained(name: str, path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise WeightsUnreachable(
            f"The ImageNet weights of {name} are not at {path} and could not be fetched ({_reason(error)}): give a "
            "file with --weights FILE, or take --encoder efficientnet_lite0, whose trained weights are installed "
            "with Lookalike, or try it untrained with --weights random:SEED."
        ) from error


def _reason(error: BaseException) -> str:
    return str(error).rpartition(" -- ")[2] or type(error).__name__


@contextlib.contextmanager
def _patient(patience: Patience) -> Iterator[None]:
    """Adds timeouts to Keras's download, which has none, and keeps its progress bar off stdout.

    The limit for the whole download works in the main thread only; elsewhere only a stalled connection times out.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(patience.silence)
    alarm = threading.current_thread() is threading.main_thread()
    if alarm:
        handler = signal.signal(signal.SIGALRM, _too_slow)
        signal.setitimer(signal.ITIMER_REAL, patience.total)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler)
        socket.setdefaulttimeout(before)


def _too_slow(*_: object) -> None:
    raise TimeoutError("the download took too long")
