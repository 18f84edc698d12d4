"""Validation of untrusted URLs, and how they are displayed in messages."""

import re
from urllib.parse import quote

import httpx2

from services.errors import FetchRefused

MAX_URL = 2048
SHOWN = 200
# What whoever gave a URL that is redirected can do about it: the target is not theirs to correct.
ANOTHER = "give another URL of the image"

AUTHORITY = re.compile(r"https?://([^/?#]*)", re.ASCII | re.IGNORECASE)
LABEL = r"(?:[a-z0-9_-]|[^\x00-\x7f])+"
HOST_AND_PORT = re.compile(
    rf"(?:\[[0-9a-f:.]+\]|{LABEL}(?:\.{LABEL})*\.?)(?::([0-9]{{0,5}}))?", re.ASCII | re.IGNORECASE
)
# All that Unicode calls a space. Tabs and line ends are control characters.
SPACE = re.compile("[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
SECRET = re.compile(r"\A(\s*\w*:[/\\]*)(?:[^/?#]*@)?")


def checked_url(url: str) -> str:
    """Returns the URL as it is to be kept: trimmed, and with its spaces percent-encoded. Does not resolve the host.

    Raises:
        FetchRefused: It is malformed, not http(s), or of another kind that is never fetched.
    """
    url = _tidied(url)
    parsed(url, display(url))
    return url


def parsed(url: str, what: str, instead: str = "") -> httpx2.URL:
    """Parses and validates a URL, which may have white space around it and spaces in it.

    Args:
        url: The URL.
        what: What messages call it.
        instead: What messages advise, where the URL is not the caller's to correct.

    Raises:
        FetchRefused: It is malformed, not http(s), or of another kind that is never fetched.
    """

    def refused(fault: str, advice: str) -> FetchRefused:
        return FetchRefused(f"{what} {fault}; {instead or advice}.")

    url = _tidied(url)
    if len(url) > MAX_URL:
        raise refused(f"has more than {MAX_URL} characters", "give a shorter URL")
    if "\\" in url:
        raise refused("holds a backslash", "write / where it separates, else %5C")
    if not url.isprintable():
        odd = next(each for each in url if not each.isprintable())
        raise refused(f"holds the unprintable character U+{ord(odd):04X}", "remove it, or percent-encode it")
    start = AUTHORITY.match(url)
    if not start:
        raise refused("does not begin with http:// or https://", "give a URL that does")
    if "@" in start[1]:
        raise refused(
            "holds a user name or password", "leave it out (a host that needs one: LOOKALIKE_FETCH_HEADERS_FILE)"
        )
    place = HOST_AND_PORT.fullmatch(start[1])
    try:
        if not place or (place[1] and not 1 <= int(place[1]) <= 65_535):
            raise httpx2.InvalidURL("host or port")
        return httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise refused("has no valid host and port", "check what is between // and the path") from error


def redirected(url: httpx2.URL, location: str, what: str) -> httpx2.URL:
    """The target of a redirect from `url`. Raises `FetchRefused`, whose message calls it `what`."""
    try:
        target = parsed(str(url.join(location)), what, ANOTHER)
    except (httpx2.InvalidURL, ValueError) as error:
        raise FetchRefused(f"{what} leads to no URL; {ANOTHER}.") from error
    if url.scheme == "https" and target.scheme != "https":
        raise FetchRefused(f"{what} leads from https to http; give the URL that it leads to, or another.")
    return target


def display(url: str) -> str:
    """The URL for messages: without user, password and unprintable characters, at most 200 characters long."""
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in SECRET.sub(r"\1", url, 1)[: SHOWN + 1])
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _tidied(url: str) -> str:
    return SPACE.sub(lambda space: quote(space[0]), url.strip())
