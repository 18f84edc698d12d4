"""Answers of text are compressed for callers that take that."""

import gzip
from collections.abc import Callable, Mapping

from backports import zstd
from flask import Response, request

LEAST = 1024
"""Bytes from which on it is worth it: smaller ones go in one packet of the network as they are."""
_TEXTS = frozenset({"application/json", "application/problem+json", "application/x-ndjson", "image/svg+xml"})
# The fastest levels: what is sent is made for one caller, and the time would be its.
_CODINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "zstd": lambda data: zstd.compress(data, level=1),
    "gzip": lambda data: gzip.compress(data, 1, mtime=0),
}


def compressed(response: Response) -> Response:
    """The answer as zstd or gzip, where it is text of `LEAST` bytes or more and the caller takes one of them.

    Answers that are streamed are left as they are. An ETag becomes weak, as the bytes are others.
    """
    if not _is_text(response) or response.status_code in (204, 206, 304):
        return response
    # What another caller is answered depends on what it takes, also where this one gets no coding.
    response.vary.add("Accept-Encoding")
    if response.is_streamed or response.direct_passthrough or "Content-Encoding" in response.headers:
        return response
    coding = request.accept_encodings.best_match([*_CODINGS])
    data = response.get_data()
    if coding is None or len(data) < LEAST:
        return response
    response.set_data(_CODINGS[coding](data))
    response.headers["Content-Encoding"] = coding
    tag, _ = response.get_etag()
    if tag is not None:
        response.set_etag(tag, weak=True)
    return response


def _is_text(response: Response) -> bool:
    kind = response.mimetype or ""
    return kind in _TEXTS or kind.startswith("text/")
