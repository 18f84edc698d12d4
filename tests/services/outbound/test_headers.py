"""Headers of the operator reach exactly the hosts that they are for, and their values show nowhere else."""

import json
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hosts import IMAGE, Server, fetch, redirect, reply

from services import bootstrap, settings
from services.errors import FetchError, InvalidSetting
from services.outbound.headers import HostHeaders

SECRET = "s3cr3t-of-the-host"
KEY = {"X-Api-Key": SECRET}
OURS = [
    *("Host", "Content-Length", "TRANSFER-encoding", "Connection", "Keep-Alive", "Upgrade", "TE", "Trailer", "Expect"),
    *("Accept-Encoding", "Content-Encoding", "Range", "If-Range", "If-None-Match", "Proxy-Authorization"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "headers.json"


def loaded(file: Path, content: Any) -> HostHeaders:
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return HostHeaders.load(file)


def keyed(file: Path, *servers: Server) -> HostHeaders:
    return loaded(file, {server.url.removesuffix("/image.jpg"): KEY for server in servers})


def has_secret(server: Server) -> list[bool]:
    return [SECRET.encode() in request for request in server.requests]


# Where they go


@pytest.mark.parametrize(
    ("entry", "own", "others"),
    [
        (
            "images.example",
            ["https://images.example/a", "https://IMAGES.example:443/b?c", "https://images.example:/"],
            [
                *("http://images.example/a", "https://images.example:8443/a", "https://images.example./a"),
                *("https://example/a", "https://www.images.example/a", "https://images.example.com/a"),
                *("http://images.example:443/a", "https://other.example/?https://images.example/"),
            ],
        ),
        ("Images.Example:8443", ["https://images.example:8443/a"], ["https://images.example/a"]),
        ("images.example:443", ["https://images.example/a"], ["https://images.example:8443/a"]),
        ("https://images.example/", ["https://images.example/a"], ["http://images.example/a"]),
        ("http://images.example", ["http://images.example:80/a"], ["https://images.example/a", "http://i.example/"]),
        ("http://10.1.2.3:8080", ["http://10.1.2.3:8080/a"], ["http://10.1.2.3/a", "https://10.1.2.3:8080/a"]),
        ("bücher.example", ["https://xn--bcher-kva.example/a"], ["https://bucher.example/a"]),
        ("[2606:4700::1111]", ["https://[2606:4700::1111]/a"], ["https://[2606:4700::1112]/a"]),
    ],
)
def test_headers_are_of_one_host_port_and_scheme(file: Path, entry: str, own: list[str], others: list[str]) -> None:
    headers = loaded(file, {entry: KEY})
    assert [headers.of(httpx2.URL(url)) for url in own] == [KEY] * len(own)
    assert [headers.of(httpx2.URL(url)) for url in others] == [{}] * len(others)


def test_headers_are_sent_to_their_host_and_take_the_place_of_ours(file: Path) -> None:
    given = {
        "authorization": f"Bearer {SECRET}",
        "User-Agent": "Shop/1.0 (ours)",
        "accept": "image/png",
        "Cookie": "a=1",
    }
    first = reply(b"", "Set-Cookie: b=2", status="503 Service Unavailable")
    with Server(first, reply()) as server:
        headers = loaded(file, {f"http://127.0.0.1:{server.port}": given})
        assert fetch(server.url, headers=headers, attempts=2) == IMAGE
    told = [dict(line.split(": ", 1) for line in request.decode().split("\r\n")[1:-2]) for request in server.requests]
    sent = {"host": f"127.0.0.1:{server.port}", "accept-encoding": "identity"}
    sent |= {name.lower(): value for name, value in given.items()}
    lowered = [{name.lower(): value for name, value in each.items()} for each in told]
    assert lowered == [sent, sent | {"cookie": "a=1; b=2"}]


def test_a_redirect_takes_no_header_along_and_back_at_its_host_it_is_sent_again(file: Path) -> None:
    with Server() as own, Server() as other_port, Server(reply()) as canary:
        other_host = canary.url.replace("127.0.0.1", "localhost")
        own.answers(redirect(other_port.url), redirect(other_host))
        other_port.answers(redirect(own.url))
        assert fetch(own.url, headers=keyed(file, own), allow="127.0.0.1,localhost") == IMAGE
    assert (has_secret(own), has_secret(other_port), has_secret(canary)) == ([True, True], [False], [False])


def test_a_host_that_is_redirected_to_gets_its_own_headers(file: Path) -> None:
    with Server(reply()) as own, Server(redirect(own.url)) as first:
        assert fetch(first.url, headers=keyed(file, own)) == IMAGE
    assert (has_secret(first), has_secret(own)) == ([False], [True])


def test_no_header_goes_over_http_unless_the_entry_says_so(file: Path) -> None:
    with Server(reply()) as server:
        assert fetch(server.url, headers=loaded(file, {f"127.0.0.1:{server.port}": KEY})) == IMAGE
    assert has_secret(server) == [False]


@pytest.mark.usefixtures("trusted")
def test_headers_go_over_https_to_a_host_with_a_valid_certificate(file: Path, tls: ssl.SSLContext) -> None:
    with Server(reply(), tls=tls) as server:
        assert fetch(server.url, headers=loaded(file, {f"127.0.0.1:{server.port}": KEY})) == IMAGE
    assert has_secret(server) == [True]


def test_the_setting_reaches_the_requests_and_is_read_once(file: Path, tmp_path: Path) -> None:
    with Server(reply()) as server:
        keyed(file, server)
        configured = settings.load(data=tmp_path / "data", fetch_headers_file=file, fetch_allow="127.0.0.1")
        catalogs = bootstrap.catalogs(configured)
        try:
            file.unlink()
            assert catalogs.intake.fetch(server.url) == IMAGE
        finally:
            catalogs.close()
    assert has_secret(server) == [True]


def test_a_malformed_list_of_internal_hosts_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="LOOKALIKE_FETCH_ALLOW"):
        bootstrap.catalogs(settings.load(data=tmp_path / "data", fetch_allow="images.internal:80"))


# What is refused


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no JSON at line 1, column 1"),
        ('{"a.example": {"X": "' + SECRET + '\n"}}', "no JSON at line 1, column 40"),
        ('{"a.example":\n {"X": ' + SECRET + "}}", "no JSON at line 2, column 8"),
        ("[" * 100_000, "must be an object of hosts"),
        ([KEY], "must be an object of hosts"),
        (SECRET.join('""'), "must be an object of hosts"),
        ({"Authorization": SECRET}, "entry 1 must have an object of headers"),
        ({"a.example": [SECRET]}, "entry 1 must have an object of headers"),
        ({"a.example": KEY, f"u:{SECRET}@b.example": KEY}, "entry 2 is no host"),
        ({"*.example": KEY}, "entry 1 is no host"),
        ({"": KEY}, "entry 1 is no host"),
        ({"ftp://a.example": KEY}, "entry 1 is no host"),
        ({"a.example:0": KEY}, "entry 1 is no host"),
        ({f"a.example/?{SECRET}": KEY}, "entry 1 has more than a host and port"),
        ({f"a.example#{SECRET}": KEY}, "entry 1 has more than a host and port"),
        ({"a.example": KEY, "A.example:443": KEY}, "entry 2 names the host of an entry before it"),
        (f'{{"a.example": {{"X": "{SECRET}"}}, "a.example": {{}}}}', "entry 2 names the host of an entry before it"),
        ({"a.example": {**KEY, f"X {SECRET}": "y"}}, "header 2 of entry 1 (a.example) has no valid name"),
        ({"a.example": {f"X\r\n{SECRET}": "y"}}, "header 1 of entry 1 (a.example) has no valid name"),
        ({"a.example": {"": SECRET}}, "header 1 of entry 1 (a.example) has no valid name"),
        ({"a.example": {"X": SECRET, "x": "y"}}, "x of entry 1 (a.example) is there twice"),
        ({"a.example": {"X": 7}}, "X of entry 1 (a.example) must be printable ASCII"),
        ({"a.example": {"X": None}}, "X of entry 1 (a.example) must be printable ASCII"),
        *[
            ({"a.example": {"X": value}}, "X of entry 1 (a.example) must be printable ASCII")
            for value in ("", f"{SECRET}\n", f" {SECRET}", f"{SECRET}\r\nHost: b", f"{SECRET}\x00", f"{SECRET}é", "\t")
        ],
        *[({"a.example": {name: SECRET}}, f"{name} of entry 1 (a.example) cannot be set") for name in OURS],
    ],
)
def test_a_malformed_file_is_refused_in_one_sentence_that_names_file_and_place(
    file: Path, content: object, told: str
) -> None:
    with pytest.raises(InvalidSetting) as raised:
        loaded(file, content)
    message = str(raised.value)
    assert message.startswith(f"LOOKALIKE_FETCH_HEADERS_FILE: {file} ") and told in message
    assert message.endswith(".") and message.isprintable()
    assert SECRET not in message
    # Tracebacks show causes, too, and parsers keep what they have parsed.
    assert (raised.value.__cause__, raised.value.__suppress_context__) == (None, True)


def test_a_file_that_cannot_be_read_is_named(file: Path) -> None:
    with pytest.raises(InvalidSetting, match=rf"{file} cannot be read: No such file"):
        HostHeaders.load(file)
    file.write_bytes(b'{"a.example": {"X": "\xff"}}')
    with pytest.raises(InvalidSetting, match=rf"{file} is no UTF-8 at byte 21"):
        HostHeaders.load(file)


def test_nothing_is_opened_where_the_file_is_malformed(file: Path, tmp_path: Path) -> None:
    file.write_text("[]")
    configured = settings.load(data=tmp_path / "data", fetch_headers_file=file)
    with pytest.raises(InvalidSetting, match="must be an object of hosts"):
        bootstrap.catalogs(configured)
    assert not configured.data.exists()


def test_a_byte_order_mark_and_a_host_without_headers_are_taken(file: Path) -> None:
    assert loaded(file, '\ufeff{"a.example": {}}').of(httpx2.URL("https://a.example/")) == {}


# What shows a value


def test_headers_in_place_of_the_path_of_their_file_are_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A mounted secret whose name is that of the setting does this."""
    monkeypatch.setenv("LOOKALIKE_SECRETS", str(tmp_path))
    (tmp_path / "lookalike_fetch_headers_file").write_text(json.dumps({"a.example": KEY}))
    configured = settings.load(data=tmp_path / "data")
    with pytest.raises(InvalidSetting, match="set its path") as raised:
        bootstrap.catalogs(configured)
    assert SECRET not in str(raised.value) + repr(configured) + str(configured)


FAILING = """
import sys
from pathlib import Path
import httpcore2, structlog
from services.errors import LookalikeError
from services.outbound.fetcher import Fetcher
from services.outbound.headers import HostHeaders
from services.telemetry.logs import configure

class Broken(httpcore2.NetworkBackend, httpcore2.NetworkStream):
    def connect_tcp(self, *args, **options):
        return self
    def get_extra_info(self, info):
        return ("127.0.0.1", 80) if info == "server_addr" else None
    def write(self, buffer, timeout=None):
        raise ValueError("a bug")
    def close(self):
        pass

configure(sys.argv[1], "debug")
log = structlog.get_logger("worker")
headers = HostHeaders.load(Path(sys.argv[2]))
for url in sys.argv[3:]:
    try:
        Fetcher(max_bytes=1000, allow="127.0.0.1", attempts=1, headers=headers).fetch(url)
    except LookalikeError as error:
        log.error("fetch ended", code=error.code, message=str(error))
try:
    Fetcher(max_bytes=1000, allow="127.0.0.1", attempts=1, headers=headers, network=Broken()).fetch(url)
except ValueError:
    log.exception("unexpected", headers=headers)
"""


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_value_is_in_no_log_and_no_message_even_where_its_host_repeats_it(file: Path, format: str) -> None:
    echoes = [
        reply(SECRET.encode(), f"X-Echo: {SECRET}", f"Set-Cookie: k={SECRET}", status=status)
        for status in ("401 Unauthorized", "403 Forbidden", "404 Not Found", "503 Busy")
    ]
    broken = [f"HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n".encode(), f"{SECRET}\r\n\r\n".encode()]
    away = [redirect(f"http://127.0.0.2/{SECRET}"), redirect(f"ftp://{SECRET}/")]
    answers = [*echoes, *broken, *away, reply(f"<html>{SECRET}".encode())]
    with Server(*answers) as server:
        keyed(file, server)
        program = [sys.executable, "-c", FAILING, format, str(file), *[server.url] * len(answers)]
        done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    assert has_secret(server) == [True] * len(answers)
    assert (done.stderr.count("fetch ended"), "a bug" in done.stderr) == (len(answers), True)
    assert SECRET not in done.stdout + done.stderr


def test_a_value_is_in_no_message_of_a_failed_fetch_and_no_repr(file: Path) -> None:
    with Server(reply(b"no", status="403 Forbidden")) as server:
        headers = keyed(file, server)
        with pytest.raises(FetchError, match="LOOKALIKE_FETCH_HEADERS_FILE") as raised:
            fetch(server.url, headers=headers)
    assert has_secret(server) == [True]
    assert SECRET not in f"{raised.value!r} {headers!r} {vars(headers)!r}"
