"""Validation of untrusted URLs, and how they are displayed in messages."""

import re

import httpx2

from services.errors import FetchRefused

MAX_URL = 2048
SHOWN = 200

AUTHORITY = re.compile(r"https?://([^/?#]*)", re.ASCII | re.IGNORECASE)
LABEL = r"(?:[a-z0-9_-]|[^\x00-\x7f])+"
HOST_AND_PORT = re.compile(
    rf"(?:\[[0-9a-f:.]+\]|{LABEL}(?:\.{LABEL})*\.?)(?::([0-9]{{0,5}}))?", re.ASCII | re.IGNORECASE
)
SECRET = re.compile(r"\A(\s*\w*:[/\\]*)(?:[^/?#]*@)?")


def checked_url(url: str) -> str:
    """Returns the URL if its syntax is acceptable to `Fetcher.fetch`. Does not resolve the host.

    Raises:
        FetchRefused: It is malformed, not http(s), or of another kind that is never fetched.
    """
    parsed(url, display(url))
    return url


def parsed(url: str, what: str) -> httpx2.URL:
    """Parses and validates a URL. Raises `FetchRefused`, whose message calls the URL `what`."""
    if len(url) > MAX_URL:
        raise FetchRefused(f"{what} has more than {MAX_URL} characters; give a shorter URL.")
    if not url.isprintable() or " " in url or "\\" in url:
        raise FetchRefused(f"{what} holds a space, a backslash or a control character; percent-encode it.")
    start = AUTHORITY.match(url)
    if not start:
        raise FetchRefused(f"{what} does not begin with http:// or https://; give an absolute URL.")
    if "@" in start[1]:
        raise FetchRefused(f"{what} holds a user name or password; give a URL without.")
    place = HOST_AND_PORT.fullmatch(start[1])
    if not place or (place[1] and not 1 <= int(place[1]) <= 65_535):
        raise FetchRefused(f"{what} has no valid host and port; correct the URL.")
    try:
        return httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise FetchRefused(f"{what} has no valid host; correct the URL.") from error


def redirected(url: httpx2.URL, location: str, what: str) -> httpx2.URL:
    """The target of a redirect from `url`. Raises `FetchRefused`, whose message calls it `what`."""
    try:
        target = parsed(str(url.join(location)), what)
    except (httpx2.InvalidURL, ValueError) as error:
        raise FetchRefused(f"{what} leads to no URL; give the URL of the image itself.") from error
    if url.scheme == "https" and target.scheme != "https":
        raise FetchRefused(f"{what} leads from https to http; give the URL of the image itself.")
    return target


def display(url: str) -> str:
    """The URL for messages: without user, password and unprintable characters, at most 200 characters long."""
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in SECRET.sub(r"\1", url, 1)[: SHOWN + 1])
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
