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
from urllib.request import Request, urlopen

from services.encoders.keras.weights import load_file
from services.encoders.network import Network, Patience, Tap
from services.errors import WeightsUnreachable

SERVER = "https://storage.googleapis.com/tensorflow/keras-applications"
"""Where Keras has the weights of its networks."""


def application(
    *,
    name: str,
    module: str,
    function: str,
    size: int,
    dim: int,
    headless: str,
    whole: str,
    folder: str,
    taps: tuple[Tap, ...] = (),
) -> Network:
    """Makes the registry entry of a network.

    Args:
        name: The name of the network.
        module: The module of `keras.applications` whose `preprocess_input` it takes; that changes nothing where the
            network preprocesses pixels itself.
        function: The function of `keras.applications` that builds it.
        size: Width and height of its input in pixels.
        dim: Numbers in its feature vectors.
        headless: The name under which Keras caches its ImageNet weights without classifier.
        whole: The name under which Keras caches those with classifier.
        folder: The folder of both on the server that Keras takes them from.
        taps: The layers that `tuned` features take besides the last one.
    """
    own = size
    headless_file, whole_file = cached(headless), cached(whole)

    def build(top: bool, size: int | None = None) -> Any:
        return _build(function, size or own, top=top, weights=None)

    def imagenet(patience: Patience) -> Any:
        if whole_file.exists() and not headless_file.exists():
            return load_file(network, whole_file)
        with _explained(name, headless_file), _patient(patience):
            return _build(function, size, top=False, weights="imagenet")

    def at_hand() -> bool:
        return headless_file.exists() or whole_file.exists()

    def check_imagenet(seconds: float) -> None:
        if not at_hand():
            with _explained(name, headless_file):
                _ask(f"{SERVER}/{folder}/{headless}", seconds)

    network = Network(
        name=name,
        size=size,
        dim=dim,
        build=build,
        preprocess=lambda pixels: import_module(f"keras.applications.{module}").preprocess_input(pixels),
        imagenet=imagenet,
        imagenet_at_hand=at_hand,
        check_imagenet=check_imagenet,
        taps=taps,
    )
    return network


def cached(file: str) -> Path:
    """The path where Keras caches a weights file; one downloaded by the replaced script is used, too."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models" / file


def _build(function: str, size: int, *, top: bool, weights: str | None) -> Any:
    build = getattr(import_module("keras.applications"), function)
    if top:
        return build(weights=weights)
    return build(weights=weights, include_top=False, pooling="avg", input_shape=(size, size, 3))


def _ask(url: str, seconds: float) -> None:
    """Asks for the headers of what is at a URL, as Keras would for the rest of it. Raises `OSError`."""
    with urlopen(Request(url, method="HEAD"), timeout=seconds):
        pass


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
