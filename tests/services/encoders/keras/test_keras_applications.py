"""The ImageNet weights: found where Keras keeps them, fetched with patience, and a way out when they cannot be."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from services.encoders import networks
from services.encoders.keras import applications, weights
from services.encoders.keras.keras_applications import cached
from services.encoders.network import Network, Patience
from services.errors import WeightsUnreachable

URL = "keras.src.applications.inception_v3.WEIGHTS_PATH_NO_TOP"


@pytest.fixture
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    return tmp_path


@contextmanager
def server(answer: bytes, *, drip: bytes = b"") -> Iterator[str]:
    """Takes connections, sends `answer`, and then `drip` ten times a second until it is closed."""
    closed = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)

        def serve() -> None:
            while not closed.is_set():
                with suppress(OSError):
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(answer)
                        while not closed.wait(0.1):
                            connection.sendall(drip)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/weights.h5"
        finally:
            closed.set()
            thread.join()


def unreachable(patience: Patience) -> tuple[str, float]:
    """What is said when InceptionV3's weights cannot be had, and after how many seconds of trying."""
    started = time.monotonic()
    with pytest.raises(WeightsUnreachable) as caught:
        applications.inception_v3().imagenet(patience)
    return str(caught.value), time.monotonic() - started


def test_a_server_that_is_not_there_is_answered_with_the_three_ways_out(
    keras_home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setattr(URL, f"http://127.0.0.1:{port}/weights.h5")
    message, _ = unreachable(Patience())
    assert str(keras_home) in message
    assert "Connection refused" in message
    for way_out in ("--weights FILE", "efficientnet_lite0", "random:SEED"):
        assert way_out in message
    assert capfd.readouterr().out == ""


def test_a_silent_server_is_waited_for_a_short_time(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(b"") as url:
        monkeypatch.setattr(URL, url)
        message, seconds = unreachable(Patience(silence=0.5, total=60))
    assert "timed out" in message
    assert seconds < 30


def test_a_download_that_never_ends_is_cut(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = b"HTTP/1.0 200 OK\r\nContent-Length: 90000000\r\n\r\n"
    with server(head, drip=b"x") as url:
        monkeypatch.setattr(URL, url)
        message, seconds = unreachable(Patience(silence=5, total=4))
    assert "too long" in message
    assert seconds < 30
    assert list(keras_home.glob("models/*")) == []


def test_a_file_with_the_wrong_bytes_is_not_taken(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given the start of the file from an interrupted download, I expect Keras to ask for it again by its hash."""
    network = applications.inception_v3()
    path = cached("inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5")
    path.parent.mkdir()
    path.write_bytes(b"half a file")
    assert network.imagenet_at_hand()
    with server(b"") as url:
        monkeypatch.setattr(URL, url)
        message, _ = unreachable(Patience(silence=0.3))
    assert "timed out" in message


class Asked(Exception):
    """Keras asked for a file: the path at which it would keep it."""


def url_asked_of(network: Network, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is asked for to know whether its weights can be fetched."""
    asked = []

    def urlopen(request: Any, timeout: float) -> None:
        asked.append((request.get_method(), request.full_url))
        raise OSError("not here")

    monkeypatch.setattr("services.encoders.keras.keras_applications.urlopen", urlopen)
    with pytest.raises(WeightsUnreachable, match="not here"):
        network.check_imagenet(1.0)
    [(method, url)] = asked
    assert method == "HEAD"
    return url


FUNCTIONS = {
    "inception_v3": "InceptionV3",
    "mobilenet_v3_large": "MobileNetV3Large",
    "resnet50_v2": "ResNet50V2",
    "efficientnet_v2_b0": "EfficientNetV2B0",
    "convnext_tiny": "ConvNeXtTiny",
}


@pytest.mark.parametrize(
    ("name", "function"),
    [
        pytest.param(*each, marks=() if each[0] == "mobilenet_v3_large" else pytest.mark.long)
        for each in FUNCTIONS.items()
    ],
)
def test_the_files_of_a_network_are_those_that_keras_looks_for(
    keras_home: Path, monkeypatch: pytest.MonkeyPatch, name: str, function: str
) -> None:
    import keras

    origins = []

    def get_file(fname: str, origin: str, cache_subdir: str, **_: Any) -> None:
        origins.append(origin)
        raise Asked(keras_home / cache_subdir / fname)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    network = networks.network(name)
    with pytest.raises(WeightsUnreachable, match="--weights FILE") as caught:
        network.imagenet(Patience())
    headless = caught.value.__cause__
    with pytest.raises(Asked) as whole:
        getattr(keras.applications, function)()
    assert isinstance(headless, Asked)
    assert f"The ImageNet weights of {name} are not at {headless} " in str(caught.value)
    assert str(headless) != str(whole.value)
    assert origins[0] == url_asked_of(network, monkeypatch)
    for asked in (headless, whole.value):
        path = Path(str(asked))
        assert not network.imagenet_at_hand()
        path.parent.mkdir(exist_ok=True)
        path.touch()
        assert network.imagenet_at_hand()
        path.unlink()


def test_weights_that_can_be_fetched_are_and_others_say_why_within_the_time(
    keras_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checked(answer: bytes) -> None:
        with server(answer) as url:
            monkeypatch.setattr("services.encoders.keras.keras_applications.SERVER", url.removesuffix("/weights.h5"))
            networks.check_weights("inception_v3", "imagenet", 0.5)

    checked(b"HTTP/1.1 200 OK\r\nContent-Length: 87910968\r\n\r\n")
    for answer, reason in ((b"HTTP/1.1 404 Not Found\r\n\r\n", "Not Found"), (b"", "timed out"), (b"no HTTP", "")):
        with pytest.raises(WeightsUnreachable, match=f"could not be fetched .*{reason}.*--weights FILE"):
            checked(answer)
    monkeypatch.setattr("services.encoders.keras.keras_applications.SERVER", "http://127.0.0.1:1")
    with pytest.raises(WeightsUnreachable):
        networks.check_weights("inception_v3", "imagenet")
    networks.check_weights("inception_v3", "random:1")
    networks.check_weights("efficientnet_lite0", "imagenet")
    path = cached("inception_v3_weights_tf_dim_ordering_tf_kernels.h5")
    path.parent.mkdir()
    path.touch()
    networks.check_weights("inception_v3", "imagenet")


def test_every_network_of_keras_has_its_files_tested() -> None:
    assert {entry.name for entry in applications.applications()} == set(FUNCTIONS)


def test_the_file_of_the_replaced_script_is_found(keras_home: Path) -> None:
    """The script loads the network with its classifier, so Keras has kept that file, not the headless one."""
    import keras

    network = applications.inception_v3()
    assert not network.imagenet_at_hand()
    whole: Any = network.build(True)
    path = cached("inception_v3_weights_tf_dim_ordering_tf_kernels.h5")
    path.parent.mkdir()
    whole.save(path)
    assert network.imagenet_at_hand()
    model = network.imagenet(Patience(silence=0.1, total=5))
    assert weights.digest(model) == weights.digest(keras.Model(whole.inputs, whole.layers[-2].output))
