"""A cookie goes back to the host that set it, during one fetch, and nowhere else."""

import socket
import ssl

import httpx2
import pytest
from hosts import IMAGE, Server, fetch, fetching, redirect, reply
from hypothesis import given
from hypothesis import strategies as st

from services.outbound.cookies import MAX_COOKIE_BYTES, MAX_COOKIES, Cookies

SHOP = httpx2.URL("https://shop.example/images/a.jpg")
PLAIN = httpx2.URL("http://shop.example/images/a.jpg")


def cookie_of(request: bytes) -> str | None:
    """What a request has in its only Cookie header."""
    found = [line[8:] for line in request.decode().split("\r\n") if line.startswith("Cookie: ")]
    assert len(found) <= 1
    return found[0] if found else None


def setting(location: str, *cookies: str) -> bytes:
    return reply(b"", f"Location: {location}", *[f"Set-Cookie: {each}" for each in cookies], status="302 Found")


def after(*cookies: str, url: httpx2.URL = SHOP, asked: httpx2.URL = SHOP) -> str:
    """The Cookie header of a request for `asked` after a response from `url` that has set these."""
    jar = Cookies()
    jar.keep(url, [(b"Set-Cookie", each.encode("latin-1")) for each in cookies])
    return jar.header(asked)


# Over the wire


def test_a_host_that_sets_a_cookie_and_redirects_to_itself_until_it_comes_back_gives_its_image() -> None:
    def gate(connection: socket.socket) -> None:
        request = server.read_request(connection)
        known = cookie_of(request) == "seen=yes"
        connection.sendall(reply() if known else setting("/image.jpg", "seen=yes; Path=/; HttpOnly; SameSite=Lax"))

    with Server(gate) as server:
        assert fetch(server.url) == IMAGE
    assert [cookie_of(request) for request in server.requests] == [None, "seen=yes"]


@pytest.mark.parametrize("attribute", ["", "; Domain=localhost", "; Domain=.localhost", "; Domain=0.0.1", "; Domain="])
def test_a_cookie_does_not_reach_another_host_and_is_there_again_after_it(attribute: str) -> None:
    with Server() as first, Server() as second:
        other = second.url.replace("127.0.0.1", "localhost")
        first.answers(setting(other, f"a=1{attribute}"), reply())
        second.answers(setting(first.url, "b=2; Domain=127.0.0.1"))
        assert fetch(first.url, allow="127.0.0.1,localhost") == IMAGE
    assert [cookie_of(request) for request in second.requests] == [None]
    assert [cookie_of(request) for request in first.requests] == [None, "a=1"]


def test_a_cookie_lasts_for_the_attempts_of_one_fetch_and_no_longer() -> None:
    busy = reply(b"", "Set-Cookie: a=1", status="503 Service Unavailable")
    with Server(busy, reply(IMAGE, "Set-Cookie: b=2"), reply()) as server, fetching(attempts=2) as fetcher:
        assert [fetcher.fetch(server.url) for _ in range(2)] == [IMAGE, IMAGE]
    assert [cookie_of(request) for request in server.requests] == [None, "a=1", None]


@pytest.mark.usefixtures("trusted")
def test_a_secure_cookie_does_not_go_over_http_when_a_fetch_begins_again(tls: ssl.SSLContext) -> None:
    with Server(tls=tls) as secure, Server(redirect(secure.url)) as plain:
        secure.answers(reply(b"", "Set-Cookie: s=1; Secure", "Set-Cookie: o=2", status="503 Busy"), reply())
        assert fetch(plain.url, attempts=2) == IMAGE
    assert [cookie_of(request) for request in plain.requests] == [None, "o=2"]
    assert [cookie_of(request) for request in secure.requests] == [None, "s=1; o=2"]


# What is kept


@pytest.mark.parametrize(
    ("cookies", "sent"),
    [
        (["a=1", "b=2"], "a=1; b=2"),
        (["a=1", "a=2"], "a=2"),
        (["a=1", "A=2"], "a=1; A=2"),
        ([" a = 1 ;Path=/"], "a=1"),
        (["a="], "a="),
        (['a="q, x\\"=="'], 'a="q, x\\"=="'),
        (["a=1; Max-Age=5; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "a=1"),
        (["a=1; Max-Age=soon; Expires=never"], "a=1"),
        (["a=1", "a=x; Max-Age=0"], ""),
        (["a=1", "a=x; max-age=-1"], ""),
        (["a=1", "a=x; Expires=Thu, 01-Jan-1970 00:00:00 GMT"], ""),
        (["a=1", "a=x; Path=/old; Max-Age=0"], "a=1"),
        (["a=1; Path=/", "a=2; Path=/images"], "a=2; a=1"),
        (["a=1; Path=/images/", "b=2; Path=/image", "c=3; Path=/images/a.jpg", "d=4; Path=other"], "c=3; a=1; d=4"),
    ],
)
def test_cookies_are_replaced_deleted_and_ordered_as_in_browsers(cookies: list[str], sent: str) -> None:
    assert after(*cookies) == sent


@pytest.mark.parametrize(
    "malformed", ["", ";", "a", "=1", "a b=1", "a\x00=1", "ä=1", "a=\xe4", "a=1\x0b2", "a=\x7f", "a\r\nb=1", "a(=1"]
)
def test_a_malformed_cookie_is_ignored_and_costs_no_other(malformed: str) -> None:
    assert after("b=2", malformed, "c=3") == "b=2; c=3"


def test_what_is_set_over_http_is_never_secure_and_changes_nothing_that_is() -> None:
    assert after("a=1; Secure", url=PLAIN) == ""
    jar = Cookies()
    jar.keep(SHOP, [(b"set-cookie", b"a=1; secure")])
    jar.keep(PLAIN, [(b"set-cookie", b"a=2"), (b"set-cookie", b"a=; Max-Age=0")])
    assert (jar.header(SHOP), jar.header(PLAIN)) == ("a=1", "")


def test_cookies_are_bounded_in_number_and_bytes() -> None:
    many = after(*[f"c{number}=x" for number in range(MAX_COOKIES * 2)])
    assert many == "; ".join(f"c{number}=x" for number in range(MAX_COOKIES))
    assert after("a=" + "x" * MAX_COOKIE_BYTES, "b=2") == "b=2"
    assert after("b=2", f"a=1; Path=/images/{'x' * MAX_COOKIE_BYTES}", "b=3") == "b=3"
    fits = "x" * (MAX_COOKIE_BYTES - len("/a"))
    assert after(f"a={fits}", "b=2") == f"a={fits}"
    # What was set last is what counts, and room that is free again can be used.
    assert after(f"a={fits}", "a=1", "b=2") == "a=1; b=2"


OTHERS = ["example", "www.shop.example", "shop.example.", "shop.example.com", "xshop.example", "127.0.0.1"]


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=60) | st.from_regex(r"\A[a-c]=[ -~]{0,40}\Z")))
def test_whatever_is_set_a_request_has_one_short_printable_line_of_it_and_other_hosts_nothing(lines: list[str]) -> None:
    sent = after(*lines)
    assert sent == "" or (sent.isascii() and sent.isprintable())
    assert len(sent) <= MAX_COOKIE_BYTES + 3 * MAX_COOKIES
    assert [after(*lines, asked=httpx2.URL(f"https://{host}/images/a.jpg")) for host in OTHERS] == [""] * len(OTHERS)
