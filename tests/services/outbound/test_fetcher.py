import gzip
import os
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path

import pytest
from hosts import IMAGE, PUBLIC, Elsewhere, Server, fetch, fetching, redirect, reply, resolving, within
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from services.errors import (
    FetchError,
    FetchFailed,
    FetchNotFound,
    FetchRefused,
    FetchTimeout,
    FetchTooLarge,
    FetchUnreachable,
    ImageUnsupported,
    InvalidSetting,
)
from services.outbound.addresses import Address
from services.outbound.fetcher import Fetcher
from services.outbound.urls import checked_url
from services.signatures import READ, SIGNATURES

MEDIA_TYPES = {*SIGNATURES.values(), "image/webp", "image/avif", "image/heic"}


@pytest.fixture(scope="session")
def httpserver_listen_address() -> tuple[str, int]:
    return ("127.0.0.1", 0)


# What arrives


def test_the_bytes_of_an_image_are_fetched(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/image.jpg", query_string="size=2").respond_with_data(IMAGE)
    assert fetch(httpserver.url_for("/image.jpg?size=2")) == IMAGE


def test_a_public_host_is_fetched_from_without_being_named() -> None:
    with Server(reply()) as server:
        network = Elsewhere(server.port)
        assert fetch("http://shop.example/a.jpg", allow="", resolve=resolving([PUBLIC]), network=network) == IMAGE
    assert network.hosts == [str(PUBLIC)]
    assert b"\r\nHost: shop.example\r\n" in server.requests[0]


def test_a_request_tells_who_asks_and_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret\ndefault login user password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with Server(reply(IMAGE, "Set-Cookie: a=b; Path=/")) as server, fetching() as fetcher:
        assert [fetcher.fetch(server.url) for _ in range(2)] == [IMAGE, IMAGE]
    for request in server.requests:
        line, *headers = request.decode().split("\r\n")[:-2]
        assert line == "GET /image.jpg HTTP/1.1"
        names = {header.partition(":")[0] for header in headers}
        assert names == {"Host", "User-Agent", "Accept", "Accept-Encoding"}
        assert "Accept-Encoding: identity" in headers
        [accept] = [header.removeprefix("Accept: ") for header in headers if header.startswith("Accept: ")]
        assert {each.partition(";")[0] for each in accept.split(", ")} == {*MEDIA_TYPES, "image/heif", "*/*"}
        assert any(header.startswith("User-Agent: lookalike/0.") for header in headers)


@pytest.mark.parametrize(
    "path, sent",
    [
        ("/a%2Fb/%7Euser/%e4%C3%a4/100%25.jpg", "/a%2Fb/%7Euser/%e4%C3%a4/100%25.jpg"),
        ("/a//b;c=1,2:@!$&'()*+=~[]|^.jpg?x=%20+&y=/?:@", "/a//b;c=1,2:@!$&'()*+=~[]|^.jpg?x=%20+&y=/?:@"),
        ("/%2e%2e/%00%0d%0aHost:%20x", "/%2e%2e/%00%0d%0aHost:%20x"),
        ("/Bücher.jpg?q=ä", "/B%C3%BCcher.jpg?q=%C3%A4"),
        ("/a.jpg#fragment?x", "/a.jpg"),
        ("/a.jpg?", "/a.jpg?"),
        ("?q", "/?q"),
        ("", "/"),
        ("#top", "/"),
    ],
)
def test_a_path_goes_over_the_wire_as_it_is_written(path: str, sent: str) -> None:
    with Server(reply()) as server:
        assert fetch(f"http://127.0.0.1:{server.port}{path}") == IMAGE
    assert server.requests[0].startswith(f"GET {sent} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    "host, sent, looked_up",
    [
        ("SHOP.Example", "shop.example", "shop.example"),
        ("bücher.example", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("shop_1.example:8080", "shop_1.example:8080", "shop_1.example"),
        ("shop.example:80", "shop.example", "shop.example"),
        ("shop.example:", "shop.example", "shop.example"),
        ("[2606:4700::1111]", "[2606:4700::1111]", "2606:4700::1111"),
        ("[2606:4700::1111]:81", "[2606:4700::1111]:81", "2606:4700::1111"),
        ("1.1.1.1", "1.1.1.1", "1.1.1.1"),
    ],
)
def test_a_host_is_looked_up_and_named_in_its_ascii_form(host: str, sent: str, looked_up: str) -> None:
    asked = []

    def resolve(host: str, port: int) -> list[Address]:
        asked.append(host)
        return [PUBLIC]

    with Server(reply()) as server:
        assert fetch(f"http://{host}/", resolve=resolve, network=Elsewhere(server.port)) == IMAGE
    assert asked == [looked_up]
    assert f"\r\nHost: {sent}\r\n".encode() in server.requests[0]


def test_the_next_address_is_tried_where_one_does_not_accept() -> None:
    with Server(reply()) as server:
        addresses = [ip_address("127.0.0.2"), ip_address("::1"), ip_address("127.0.0.1")]
        url = f"http://shop.example:{server.port}/"
        assert fetch(url, allow="shop.example", resolve=resolving(addresses)) == IMAGE


def test_a_connection_is_used_again() -> None:
    def talk(connection: socket.socket) -> None:
        while server.read_request(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + IMAGE[:3])

    with Server(talk) as server, fetching() as fetcher:
        assert [fetcher.fetch(server.url) for _ in range(3)] == [IMAGE[:3]] * 3
        assert server.connections == 1
        fetcher.close()


def test_many_threads_fetch_at_once(httpserver: HTTPServer) -> None:
    for number in range(60):
        httpserver.expect_request(f"/{number}").respond_with_data(IMAGE + b"%d" % number)
    with fetching() as fetcher, ThreadPoolExecutor(16) as threads:
        fetched = list(threads.map(lambda number: fetcher.fetch(httpserver.url_for(f"/{number}")), range(60)))
    assert fetched == [IMAGE + b"%d" % number for number in range(60)]


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    "encoding, body",
    [
        ("gzip", gzip.compress(IMAGE, mtime=0)),
        ("X-Gzip", gzip.compress(IMAGE, mtime=0)),
        ("deflate", zlib.compress(IMAGE)),
        ("deflate", _raw_deflate(IMAGE)),
        ("identity, gzip", gzip.compress(IMAGE, mtime=0)),
        ("identity", IMAGE),
        ("aws-chunked", IMAGE),
        ("", IMAGE),
    ],
)
def test_what_comes_packed_is_unpacked(encoding: str, body: bytes) -> None:
    with Server(reply(body, f"Content-Encoding: {encoding}")) as server:
        assert fetch(server.url) == IMAGE


# Where it may not lead

REFUSED = """
http://127.0.0.1/ http://127.0.0.1:80/ http://127.255.255.254/ http://localhost/ http://LOCALHOST/ http://127.1/
http://127.0.1/ http://0/ http://0.0.0.0/ http://00000000/ http://2130706433/ http://017700000001/ http://0x7f000001/
http://0X7F000001/ http://0x7f.1/ http://0x7f.0x0.0x0.0x1/ http://0177.1/ http://0177.0.0.1/ http://127.000.000.001/
http://0x7f.0.1/ http://127.0x1/ http://127。0。0。1/ http://127．0．0．1/ http://127｡0｡0｡1/ http://①②⑦.⓪.⓪.①/
http://１２７.0.0.1/ http://10.0.0.1/ http://167772161/ http://10.1/ http://172.16.0.1/ http://172.31.255.255/
http://192.168.0.1/ http://192.168.1/ http://3232235521/ http://0xc0a80001/ http://0300.0250.1/ http://169.254.169.254/
http://2852039166/ http://0xa9fea9fe/ http://0251.0376.0251.0376/ http://169.254.43518/ http://100.64.0.1/
http://100.100.100.200/ http://168.63.129.16/ http://192.0.0.192/ http://192.0.2.1/ http://198.18.0.1/
http://198.51.100.1/ http://203.0.113.1/ http://192.88.99.1/ http://224.0.0.1/ http://239.255.255.250/ http://240.0.0.1/
http://255.255.255.255/ http://4294967295/ http://[::1]/ http://[::]/ http://[0:0:0:0:0:0:0:1]/ http://[0000::0001]:80/
http://[::127.0.0.1]/ http://[::ffff:127.0.0.1]/ http://[::ffff:7f00:1]/ http://[::FFFF:10.0.0.1]/
http://[::ffff:169.254.169.254]/ http://[::ffff:0:127.0.0.1]/ http://[64:ff9b::127.0.0.1]/ http://[64:ff9b::a9fe:a9fe]/
http://[64:ff9b:1::7f00:1]/ http://[2002:7f00:1::]/ http://[2002:a00:1::1]/ http://[2001::1]/
http://[2001:0:53aa:64c:0:fbfe:80ff:fffe]/ http://[2001:db8::1]/ http://[3fff::1]/ http://[100::1]/ http://[5f00::1]/
http://[fc00::1]/ http://[fd00:ec2::254]/ http://[fe80::1]/ http://[fec0::1]/ http://[ff02::1]/ http://[fe80::1%25lo]/
http://[fe80::1%lo]/ http://[v1.127]/ http://[127.0.0.1]/ http://[::1/ http://::1/ http://256.256.256.256/
http://999.1.1.1/ http://127.0.0.1%2f@shop.example/ http://shop.example@127.0.0.1/ http://shop.example:80@127.0.0.1/
http://user:pass@shop.example/ http://@shop.example/ http://127.0.0.1\\@shop.example/ http://shop.example\\@127.0.0.1/
http://%31%32%37.0.0.1/ http://127.0.0.1%00.shop.example/ http://localhost%2eshop.example/ http://a..b/ http://.a/ http://a<b/
http://shop.example:0/ http://shop.example:65536/ http://shop.example:-1/ http://shop.example:8_0/ http://shop.example:٨٠/
http://shop.example:80:80/ http://shop.example:http/ http:/// http:///image.jpg http://? http://#x http://:80/
http:image.jpg http:/image.jpg //shop.example/ /image.jpg image.jpg shop.example/image.jpg file:///etc/passwd ftp://shop.example/
gopher://127.0.0.1/ data:image/png;base64,AAAA javascript:alert(1) unix:///run/redis.sock ws://shop.example/
httpſ://shop.example/ https+x://shop.example/ jar:http://shop.example/ dict://127.0.0.1:6379/ http:\\\\shop.example/
"""


@pytest.fixture(scope="module")
def network() -> Elsewhere:
    return Elsewhere()


@pytest.fixture(scope="module")
def fetcher(network: Elsewhere) -> Iterator[Fetcher]:
    with fetching(allow="", network=network) as fetcher:
        yield fetcher


@pytest.mark.parametrize("url", [*REFUSED.split(), ""])
def test_what_is_not_public_http_is_refused_however_it_is_spelled(
    fetcher: Fetcher, network: Elsewhere, url: str
) -> None:
    with pytest.raises(FetchRefused):
        fetcher.fetch(url)
    assert network.hosts == []


@pytest.mark.parametrize("text", ["\r\nHost: x", "\x00", "\x1b", "\x7f", "\u200b", "\u202e", "\ud800", "\\"])
@pytest.mark.parametrize(
    "url", ["{}http://shop.example/", "http://shop{}.example/", "http://shop.example/{}a", "http://shop.example/a{}"]
)
def test_what_cannot_be_seen_is_refused_and_not_repeated(url: str, text: str) -> None:
    with pytest.raises(FetchRefused) as raised:
        checked_url(url.format(text))
    assert str(raised.value).isprintable()


WHITE = [" ", "\t", "\r\n", "\n \n", "\u00a0", "\u2003", "\u3000"]


@pytest.mark.parametrize("white", WHITE)
def test_white_space_around_a_url_is_trimmed_where_it_is_accepted_and_where_it_is_fetched(white: str) -> None:
    with Server(reply()) as server:
        assert checked_url(f"{white}{server.url}{white}") == server.url
        assert fetch(f"{white}{server.url}{white}") == IMAGE
    assert server.requests[0].startswith(b"GET /image.jpg HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("space", "encoded"), [(" ", "%20"), ("  ", "%20%20"), ("\u00a0", "%C2%A0"), ("\u202f", "%E2%80%AF")]
)
def test_a_space_in_path_and_query_is_encoded_and_what_is_encoded_stays(space: str, encoded: str) -> None:
    with Server(reply()) as server:
        url = f"http://127.0.0.1:{server.port}/a{{0}}b%20c.jpg?d={{0}}e"
        assert checked_url(url.format(space)) == url.format(encoded)
        assert fetch(url.format(space)) == IMAGE
    assert server.requests[0].startswith(f"GET /a{encoded}b%20c.jpg?d={encoded}e HTTP/1.1\r\n".encode())


@pytest.mark.parametrize("white", WHITE)
@pytest.mark.parametrize("url", ["http://shop{}.example/", "http://{}shop.example/", "http://shop.example{}:80/"])
def test_white_space_in_a_host_is_refused(url: str, white: str) -> None:
    with pytest.raises(FetchRefused):
        checked_url(url.format(white))


@pytest.mark.parametrize("white", ["\t", "\n", "\r", "\x0b", "\x1f", "\x85", "\u2028"])
def test_a_control_character_inside_is_refused_by_name(white: str) -> None:
    with pytest.raises(FetchRefused, match=rf"unprintable character U\+{ord(white):04X}; remove it"):
        checked_url(f"http://shop.example/a{white}b")


@given(st.one_of(st.text(), st.text().map("http://shop.example/".__add__), st.text().map("http://".__add__)))
def test_a_url_is_either_given_back_or_refused_in_one_printable_sentence(url: str) -> None:
    try:
        checked = checked_url(url)
        assert checked_url(f"\n{checked} ") == checked
        assert checked == url.strip() or any(each.isspace() for each in url.strip())
    except FetchRefused as error:
        assert str(error).isprintable()
        assert len(str(error)) < 300


def test_a_long_url_is_refused_and_shown_short() -> None:
    url = "http://shop.example/".ljust(2048, "a")
    assert checked_url(url) == url
    with pytest.raises(FetchRefused, match="2048") as raised:
        checked_url(url + "a")
    assert url[:199] + "…" in str(raised.value)
    assert url[:200] not in str(raised.value)


@pytest.mark.parametrize("start", ["http://", "HTTPS://", "http:/", "http:\\\\", " http://", "ftp://", "http:"])
def test_a_password_is_not_repeated(start: str) -> None:
    for end in ("", "a" * 3000):
        with pytest.raises(FetchRefused) as raised:
            checked_url(f"{start}user:hush@shop.example/{end}")
        assert "hush" not in str(raised.value)


@pytest.mark.parametrize("user", ["user:hush@", "user@", "@", ":@", "127.0.0.1:80@"])
def test_a_url_that_logs_in_is_told_so(user: str) -> None:
    with pytest.raises(FetchRefused, match=r"shop\.example/ holds a user name or password"):
        checked_url(f"http://{user}shop.example/")


@pytest.mark.parametrize("addresses", ["10.0.0.1", "93.184.215.14 127.0.0.1", "127.0.0.1 93.184.215.14", "::1 1.1.1.1"])
def test_a_host_with_any_address_that_is_not_public_is_refused(addresses: str) -> None:
    network = Elsewhere()
    found = [ip_address(address) for address in addresses.split()]
    with pytest.raises(FetchRefused, match="LOOKALIKE_FETCH_ALLOW") as raised:
        fetch("http://shop.example/a.jpg", allow="", resolve=resolving(found), network=network)
    assert network.hosts == []
    assert "http://shop.example/a.jpg" in str(raised.value)
    assert not any(address in str(raised.value) for address in addresses.split())


def test_a_host_that_changes_its_address_is_connected_to_where_it_was_checked(canary: Server) -> None:
    network = Elsewhere()
    rebinding = resolving([PUBLIC], [ip_address("127.0.0.1")])
    with pytest.raises(FetchUnreachable):
        fetch(f"http://shop.example:{canary.port}/", allow="", resolve=rebinding, network=network)
    assert network.hosts == [str(PUBLIC)]


def test_a_host_that_changes_its_address_is_refused_the_next_time(canary: Server) -> None:
    network = Elsewhere()
    rebinding = resolving([PUBLIC], [ip_address("127.0.0.1")])
    with pytest.raises(FetchRefused):
        fetch(f"http://shop.example:{canary.port}/", allow="", resolve=rebinding, network=network, attempts=2)
    assert network.hosts == [str(PUBLIC)]


def test_a_connection_that_ends_at_another_address_than_the_checked_one_carries_nothing() -> None:
    with Server(reply(b"secret")) as server:
        network = Elsewhere(server.port, peer="127.0.0.1")
        # To allow the host would change nothing.
        with pytest.raises(FetchRefused, match="stop what redirects the connections"):
            fetch("http://shop.example/", resolve=resolving([PUBLIC]), network=network)
    assert server.requests == []


def test_the_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch, canary: Server) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    with Server(reply()) as server:
        assert fetch(server.url) == IMAGE
    with pytest.raises(FetchRefused):
        fetch("http://10.0.0.1/")


def test_a_malformed_list_of_internal_hosts_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="LOOKALIKE_FETCH_ALLOW"):
        Fetcher(max_bytes=1, allow="images.internal:80")


# Redirects


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirects_are_followed_five_times(status: str) -> None:
    with Server() as server:
        targets = ["/b", "c?d#e", server.url, "/f", "//127.0.0.1:{}/g"]
        server.answers(*[redirect(target.format(server.port), status) for target in targets], reply())
        assert fetch(server.url) == IMAGE
    paths = [b"/image.jpg", b"/b", b"/c?d", b"/image.jpg", b"/f", b"/g"]
    assert [request.split()[1] for request in server.requests] == paths


def test_the_sixth_redirect_is_refused() -> None:
    with Server(*[redirect("/on")] * 6, reply()) as server:
        with pytest.raises(FetchRefused, match="redirects more than 5 times"):
            fetch(server.url, attempts=3)
        assert server.connections == 6


@pytest.mark.parametrize("before", range(5))
def test_every_redirect_is_checked(canary: Server, before: int) -> None:
    with Server(*[redirect("/on")] * before, redirect(f"http://127.0.0.2:{canary.port}/")) as server:
        with pytest.raises(FetchRefused, match="not public"):
            fetch(server.url)
        assert server.connections == before + 1


def test_a_redirect_to_itself_ends() -> None:
    with Server(redirect("/image.jpg")) as server, pytest.raises(FetchRefused):
        fetch(server.url)


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "//[::1]:{port}/",
        "http://2130706434:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://user:hush@127.0.0.1:{port}/",
        "ftp://127.0.0.1:{port}/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/_x",
        "data:image/png;base64,AAAA",
        "http://127.0.0.1:99999/",
        "http://[::1",
        "/\\127.0.0.2:{port}/",
        "/" + "a" * 3000,
    ],
)
def test_a_redirect_is_checked_like_any_url_and_not_repeated(canary: Server, location: str) -> None:
    location = location.format(port=canary.port)
    with Server(redirect(location)) as server, pytest.raises(FetchRefused) as raised:
        fetch(server.url, attempts=3)
    assert server.connections == 1
    assert server.url in str(raised.value)
    assert "hush" not in str(raised.value)
    assert str(canary.port) not in str(raised.value)


@pytest.mark.parametrize(
    "location", ["http://u:p@127.0.0.1/", "ftp://127.0.0.1/", "/\\x", "/" + "a" * 3000, "http://[::1"]
)
def test_whoever_is_redirected_is_not_told_to_correct_the_target(location: str) -> None:
    with Server(redirect(location)) as server, pytest.raises(FetchRefused, match=r"; give another URL of the image\.$"):
        fetch(server.url)


def test_a_redirect_may_hold_what_browsers_encode() -> None:
    with Server(redirect("/bücher und mehr.jpg"), reply()) as server:
        assert fetch(server.url) == IMAGE
    assert server.requests[1].startswith(b"GET /b%C3%BCcher%20und%20mehr.jpg HTTP/1.1\r\n")


# TLS


@pytest.mark.usefixtures("trusted")
def test_https_is_fetched(tls: ssl.SSLContext) -> None:
    with Server(reply(), tls=tls) as server:
        assert fetch(server.url) == IMAGE


def test_a_certificate_that_is_not_trusted_is_named_with_what_helps(tls: ssl.SSLContext) -> None:
    told = r"\(certificate refused: self-signed certificate\); correct it, or add its CA to .* SSL_CERT_FILE\.$"
    with Server(reply(), tls=tls) as server, pytest.raises(FetchUnreachable, match=told):
        fetch(server.url)
    assert server.requests == []


def test_a_host_that_speaks_no_tls_is_told_so() -> None:
    told = r"\(no TLS\); check .* whether it is http://\.$"
    with Server(lambda connection: connection.sendall(HEAD)) as server, pytest.raises(FetchUnreachable, match=told):
        fetch(server.url.replace("http:", "https:"))


@pytest.mark.usefixtures("trusted")
def test_a_redirect_from_https_to_http_is_refused(tls: ssl.SSLContext, canary: Server) -> None:
    with Server(redirect(canary.url), tls=tls) as server, pytest.raises(FetchRefused, match="https to http"):
        fetch(server.url)


@pytest.mark.usefixtures("trusted")
def test_a_redirect_from_http_to_https_is_followed(tls: ssl.SSLContext) -> None:
    with Server(reply(), tls=tls) as secure, Server(redirect(secure.url)) as server:
        assert fetch(server.url) == IMAGE


@pytest.mark.usefixtures("trusted")
def test_a_body_dripped_over_tls_is_cut(tls: ssl.SSLContext) -> None:
    with Server(tls=tls) as server, within(2.0), pytest.raises(FetchTimeout):
        server.answers(server.dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"))
        fetch(server.url, total_seconds=0.5)


@pytest.mark.parametrize("drop", [b"", b"\x16"])
def test_tls_that_never_begins_is_cut(drop: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        while not server.over.wait(0.02):
            connection.sendall(drop)

    with Server(talk) as server, within(2.0), pytest.raises((FetchTimeout, FetchUnreachable)):
        fetch(server.url.replace("http:", "https:"), connect_seconds=0.3, total_seconds=5.0)


# Answers that are too slow


def test_a_host_that_accepts_nothing_is_given_up() -> None:
    with socket.socket() as tarpit, socket.socket() as one, socket.socket() as two:
        tarpit.bind(("127.0.0.1", 0))
        tarpit.listen(0)
        # The queue holds one; what comes after it is dropped in silence.
        for filler in (one, two):
            filler.setblocking(False)
            filler.connect_ex(tarpit.getsockname())
        time.sleep(0.05)
        url = f"http://127.0.0.1:{tarpit.getsockname()[1]}/"
        with within(2.0), pytest.raises(FetchTimeout, match="accepts no connection"):
            fetch(url, connect_seconds=0.2)
        with within(2.0), pytest.raises(FetchTimeout):
            fetch(url, connect_seconds=0.2, total_seconds=0.5, attempts=9)
        addresses = [ip_address("127.0.0.1")] * 50
        with within(2.0), pytest.raises(FetchTimeout):
            fetch(
                url.replace("127.0.0.1", "a.internal"),
                allow="a.internal",
                resolve=resolving(addresses),
                total_seconds=0.5,
            )


def test_a_look_up_that_hangs_is_given_up() -> None:
    over = threading.Event()

    def resolve(host: str, port: int) -> list[Address]:
        over.wait(10)
        return [PUBLIC]

    try:
        with within(2.0), pytest.raises(FetchTimeout):
            fetch("http://shop.example/", resolve=resolve, total_seconds=0.3)
    finally:
        over.set()


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "start, drop",
    [
        (b"", b""),
        (b"", b"H"),
        (HEAD, b"X: y\r\n"),
        (HEAD + b"X: ", b"y"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"Content-Length: 1000\r\n\r\n", b""),
        (HEAD + b"Content-Length: 1000\r\n\r\n", b"x"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
        (HEAD + b"\r\n", b"x"),
    ],
)
def test_an_answer_that_drips_is_cut(start: bytes, drop: bytes) -> None:
    with Server() as server, within(2.0), pytest.raises(FetchTimeout, match=r"more than 0\.3 seconds"):
        server.answers(server.dripping(start, drop))
        fetch(server.url, total_seconds=0.3, attempts=3)


@pytest.mark.parametrize(
    "start, drop",
    [
        (b"", b""),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"X: ", b"y"),
        (HEAD + b"Content-Length: 1000\r\n\r\n", b"x"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
)
def test_an_answer_below_the_minimum_rate_is_cut_long_before_the_budget_and_not_asked_for_again(
    start: bytes, drop: bytes
) -> None:
    with Server() as server, within(2.0), pytest.raises(FetchTimeout, match="fewer than 10,000 bytes a second"):
        server.answers(server.dripping(start, drop))
        fetch(server.url, slow_seconds=0.3, attempts=3)
    assert server.connections == 1


def test_an_answer_above_the_minimum_rate_may_take_its_time() -> None:
    part = IMAGE.ljust(4000, b"x")
    with Server() as server:

        def talk(connection: socket.socket) -> None:
            server.read_request(connection)
            connection.sendall(HEAD + b"Content-Length: 40000\r\nConnection: close\r\n\r\n")
            for _ in range(10):
                connection.sendall(part)
                time.sleep(0.05)

        server.answers(talk)
        assert fetch(server.url, slow_seconds=0.2) == part * 10


def test_one_host_is_asked_so_many_times_at_once_and_others_do_not_wait_for_it() -> None:
    asked, over = threading.Semaphore(0), threading.Event()

    def silent(connection: socket.socket) -> None:
        asked.release()
        over.wait(5)

    with (
        Server(silent) as slow,
        Server(reply()) as good,
        fetching(of_one_host=2, allow="127.0.0.1,localhost", total_seconds=1.0) as fetcher,
        ThreadPoolExecutor(5) as threads,
        within(3.0),
    ):
        failures = [threads.submit(fetcher.fetch, slow.url) for _ in range(5)]
        assert asked.acquire(timeout=5) and asked.acquire(timeout=5)
        url = good.url.replace("127.0.0.1", "localhost")
        assert [fetcher.fetch(url) for _ in range(3)] == [IMAGE] * 3
        assert not asked.acquire(timeout=0.2)
        assert all(isinstance(failure.exception(), FetchTimeout) for failure in failures)
        over.set()


def test_redirects_that_drip_share_one_budget() -> None:
    with Server() as server, within(2.0), pytest.raises(FetchTimeout):

        def talk(connection: socket.socket) -> None:
            server.read_request(connection)
            time.sleep(0.2)
            connection.sendall(redirect("/on"))

        server.answers(talk)
        fetch(server.url, total_seconds=0.5, attempts=3)


def test_waiting_for_a_free_connection_has_an_end() -> None:
    with Server() as server, fetching(total_seconds=0.5) as fetcher, ThreadPoolExecutor(80) as threads, within(2.0):
        server.answers(server.dripping(b"", b""))
        failures = [threads.submit(fetcher.fetch, server.url) for _ in range(80)]
        assert all(isinstance(failure.exception(), FetchTimeout) for failure in failures)


# Answers that are too large


def test_exactly_the_allowed_bytes_are_taken() -> None:
    image = IMAGE.ljust(1000, b"x")
    with Server(reply(image)) as server:
        assert fetch(server.url, max_bytes=1000) == image


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_length_above_the_limit_is_refused_without_reading(encoding: str) -> None:
    with Server() as server, within(2.0), pytest.raises(FetchTooLarge, match="1,000 bytes"):
        head = HEAD + f"Content-Length: 1001\r\nContent-Encoding: {encoding}\r\n\r\n".encode()
        server.answers(server.dripping(head, b""))
        fetch(server.url, max_bytes=1000, attempts=3)


@pytest.mark.parametrize(
    "head, drop",
    [
        (b"\r\n", b"x" * 100),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"64\r\n" + b"x" * 100 + b"\r\n"),
        (b"Content-Encoding: gzip\r\n\r\n", gzip.compress(os.urandom(100), mtime=0)),
    ],
)
def test_a_body_without_end_is_cut_at_the_limit(head: bytes, drop: bytes) -> None:
    with Server() as server, within(2.0), pytest.raises(FetchTooLarge):
        server.answers(server.dripping(HEAD + head, drop, seconds=0.001))
        fetch(server.url, max_bytes=1000, attempts=3)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, _raw_deflate])
def test_a_bomb_is_not_unpacked_beyond_the_limit(pack: Callable[[bytes], bytes]) -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    bomb = pack(bytes(50_000_000))
    assert len(bomb) < 100_000
    encoding = "gzip" if pack is gzip.compress else "deflate"
    with Server(reply(bomb, f"Content-Encoding: {encoding}")) as server, pytest.raises(FetchTooLarge):
        tracemalloc.start()
        try:
            fetch(server.url, max_bytes=100_000)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 5_000_000


@pytest.mark.parametrize(
    "head",
    [
        b"X: " + b"y" * 70_000 + b"\r\n",
        b"X: y\r\n" * 12_000,
    ],
)
def test_a_head_above_64_kb_is_refused(head: bytes) -> None:
    with Server(HEAD + head + b"\r\n" + IMAGE) as server, pytest.raises(FetchTooLarge, match="head"):
        fetch(server.url)


def test_interim_answers_count_as_head() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 5000
    with Server(hints + reply()) as server, pytest.raises(FetchTooLarge, match="head"):
        fetch(server.url)


def test_a_head_up_to_64_kb_is_taken() -> None:
    with Server(reply(IMAGE, *[f"X-{number}: {'y' * 1000}" for number in range(60)])) as server:
        assert fetch(server.url) == IMAGE


# Answers that bring no image


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 406, 409, 410, 415, 418, 451, 499, 600, 999])
def test_an_answer_that_stays_is_not_asked_for_again(status: int) -> None:
    with Server(reply(b"no", status=f"{status} No")) as server:
        with pytest.raises(FetchNotFound, match=f"status {status}") as raised:
            fetch(server.url, attempts=3)
        assert server.url in str(raised.value)
        assert server.connections == 1


@pytest.mark.parametrize(("status", "helps"), [(401, True), (403, True), (407, True), (404, False), (410, False)])
def test_a_host_that_wants_a_key_is_told_apart(status: int, helps: bool) -> None:
    with Server(reply(b"no", status=f"{status} No")) as server, pytest.raises(FetchNotFound) as raised:
        fetch(server.url)
    assert ("LOOKALIKE_FETCH_HEADERS_FILE" in str(raised.value)) is helps


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        reply(b""),
        reply(b"", "Content-Encoding: gzip"),
        reply(gzip.compress(b"", mtime=0), "Content-Encoding: gzip"),
        reply(IMAGE, status="206 Partial Content"),
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
        reply(IMAGE, status="302 Found without Location"),
        reply(IMAGE, "Location: /x", status="300 Multiple Choices"),
    ],
)
def test_an_answer_without_an_image_is_not_asked_for_again(answer: bytes) -> None:
    with Server(answer) as server:
        with pytest.raises(FetchNotFound):
            fetch(server.url, attempts=3)
        assert server.connections == 1


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "an HTML page"),
        (b"\xef\xbb\xbf\n <HTML lang=en>", "an HTML page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML document"),
        (b'{"error": "expired"}', "a JSON document"),
        (b"<svg />", "an SVG drawing"),
        (b"%PDF-1.7", "a PDF document"),
        (b"Access denied", "something else"),
    ],
)
def test_what_comes_in_place_of_an_image_is_told_with_host_and_content_type(document: bytes, told: str) -> None:
    with Server(reply(document, "Content-Type: text/html; charset=utf-8")) as server:
        with pytest.raises(ImageUnsupported) as caught:
            fetch(server.url, attempts=3)
        assert server.connections == 1
    assert str(caught.value) == (
        f"{server.url} is answered with {told} (as text/html; charset=utf-8), not with an image of a format that is "
        f"read ({READ}); check that the URL needs no login and leads to the image itself."
    )


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("X: y", "without a content type"),
        ("Content-Type: " + "x" * 200, f"as {'x' * 80}"),
        ("Content-Type: text/\x1b[31mhtml", "as text/[31mhtml"),
    ],
)
def test_what_a_host_calls_a_document_is_told_short_and_printable(header: str, told: str) -> None:
    with Server(reply(b"<html>", header)) as server, pytest.raises(ImageUnsupported) as caught:
        fetch(server.url)
    assert f"an HTML page ({told})," in str(caught.value)


def test_a_login_behind_a_redirect_is_told_without_the_place_it_leads_to() -> None:
    with Server(reply(b"<html>", "Content-Type: text/html")) as login:
        redirect = f"HTTP/1.1 302 Found\r\nLocation: {login.url}/secret\r\n\r\n".encode()
        told = r"^The redirect of {} is answered with an HTML page"
        with Server(redirect) as server, pytest.raises(ImageUnsupported, match=told.format(server.url)) as caught:
            fetch(server.url)
    assert "secret" not in str(caught.value)


def test_a_document_that_is_called_an_image_and_an_image_that_is_called_a_page_are_what_they_are() -> None:
    with Server(reply(b"<html>", "Content-Type: image/jpeg")) as server, pytest.raises(ImageUnsupported):
        fetch(server.url)
    with Server(reply(IMAGE, "Content-Type: text/html")) as server:
        assert fetch(server.url) == IMAGE


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "deflate,gzip", "gzip, br", "compress"])
def test_what_was_not_asked_for_is_refused(encoding: str) -> None:
    answer = reply(gzip.compress(IMAGE, mtime=0), f"Content-Encoding: {encoding}")
    with Server(answer) as server, pytest.raises(FetchRefused, match="comes packed"):
        fetch(server.url)


# What may pass


@pytest.mark.parametrize(
    "answer",
    [
        reply(status="408 Request Timeout"),
        reply(status="429 Too Many Requests"),
        reply(status="500 Internal Server Error"),
        reply(status="502 Bad Gateway"),
        reply(status="503 Service Unavailable"),
        reply(status="599 Whatever"),
        HEAD + b"Content-Length: 100\r\n\r\nshort",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\nshort",
        reply(gzip.compress(IMAGE, mtime=0)[:-9], "Content-Encoding: gzip"),
        reply(b"not gzip at all", "Content-Encoding: gzip"),
        b"",
        HEAD,
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
def test_what_may_pass_is_tried_again(answer: bytes) -> None:
    with Server(answer, reply()) as server:
        assert fetch(server.url, attempts=2) == IMAGE
        assert server.connections == 2


def test_attempts_have_an_end() -> None:
    with Server(reply(status="503 Service Unavailable")) as server:
        with pytest.raises(FetchFailed, match="status 503"):
            fetch(server.url, attempts=3)
        assert server.connections == 3


def test_nobody_at_home_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(FetchUnreachable, match="Connection refused"):
        fetch(f"http://127.0.0.1:{port}/")


def test_a_host_without_address_is_unreachable() -> None:
    def resolve(host: str, port: int) -> list[Address]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(FetchUnreachable, match="Name or service not known"):
        fetch("http://nowhere.example/", resolve=resolve)
    with pytest.raises(FetchUnreachable):
        fetch("http://nowhere.example/", resolve=resolving([]))


def test_the_server_says_when_to_come_again() -> None:
    answer = reply(b"", "Retry-After: 1", status="429 Too Many Requests")
    with Server(answer, reply()) as server:
        start = time.monotonic()
        assert fetch(server.url, attempts=2) == IMAGE
        assert 1.0 <= time.monotonic() - start < 30.0


@pytest.mark.parametrize("when", ["5", "120", "Fri, 31 Dec 2100 23:59:59 GMT", "9" * 400])
def test_nobody_waits_for_what_comes_after_the_budget(when: str) -> None:
    answer = reply(b"", f"Retry-After: {when}", status="503 Service Unavailable")
    with Server(answer, reply()) as server, within(2.0), pytest.raises(FetchFailed):
        fetch(server.url, attempts=3, total_seconds=4.0)
    assert server.connections == 1


@pytest.mark.parametrize(
    "when", ["0", "-5", "soon", "", "Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 99999999999999 1:1:1"]
)
def test_a_time_that_is_none_is_not_waited_for(when: str) -> None:
    answer = reply(b"", f"Retry-After: {when}", status="503 Service Unavailable")
    with Server(answer, reply()) as server, within(2.0):
        assert fetch(server.url, attempts=2) == IMAGE


def test_attempts_end_with_the_budget() -> None:
    with Server(reply(status="503 Service Unavailable")) as server, within(2.0), pytest.raises(FetchError):
        fetch(server.url, attempts=1000, total_seconds=0.8)


# Hostile answers


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00" * 1000,
        b"\xff" * 100_000,
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX\x00: y\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\n\x00X: y\r\n\r\nx",
        b"HTTP/1.1 302 Found\r\nLocation: \x00\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://a:b:c/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: \r\n\r\n",
    ],
)
def test_a_hostile_answer_is_a_fetch_error(answer: bytes) -> None:
    with Server(answer) as server, within(2.0), pytest.raises(FetchError) as raised:
        fetch(server.url, total_seconds=1.0)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 300
