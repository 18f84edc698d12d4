"""multipart/form-data, strictly: known parts, each once, each within its limit."""

from collections.abc import Mapping

from flask import request
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from api.errors import BodyTooLarge, Fault, Malformed, RequestInvalid
from api.requests.body import CHUNK, Body, target_sha


def parts(body: Body, limits: Mapping[str, int]) -> dict[str, bytes]:
    """The parts by name; `limits` names those there may be, and the bytes of each.

    Raises `Malformed`, `RequestInvalid` (an unknown part, or one twice), `BodyTooLarge`.
    """
    found: dict[str, bytearray] = {}
    decoder = _decoder()
    name = ""
    try:
        while True:
            event = decoder.next_event()
            if isinstance(event, NeedData):
                decoder.receive_data(body.read(CHUNK) or None)
            elif isinstance(event, Field | File):
                name = _expected(event.name or "", found, limits)
                found[name] = bytearray()
            elif isinstance(event, Data):
                found[name] += event.data
                _within(name, len(found[name]), limits)
            elif isinstance(event, Epilogue):
                break
    except (ValueError, AttributeError) as error:
        raise Malformed(f"body: this is no multipart/form-data: {error}.", "body") from error
    return {name: bytes(data) for name, data in found.items()}


def digest(found: Mapping[str, bytes]) -> str:
    """What distinguishes this request from others, whatever its boundary: SHA-256 over method, target and parts."""
    sha = target_sha()
    for name in sorted(found):
        sha.update(f"{name} {len(found[name])} ".encode() + found[name])
    return sha.hexdigest()


def _decoder() -> MultipartDecoder:
    boundary = request.mimetype_params.get("boundary", "")
    if not boundary or not boundary.isascii():
        raise Malformed("Content-Type: multipart/form-data needs its boundary.", "Content-Type")
    return MultipartDecoder(boundary.encode())


def _expected(name: str, found: Mapping[str, object], limits: Mapping[str, int]) -> str:
    if not name:
        raise Malformed("body: a part of the form has no name.", "body")
    if name in limits and name not in found:
        return name
    why = "there twice" if name in found else f"unknown; there are {', '.join(limits)}"
    name = name[:120].encode(errors="backslashreplace").decode()
    raise RequestInvalid([Fault(f"The part {name!r} is {why}.", RequestInvalid.code, name)])


def _within(name: str, size: int, limits: Mapping[str, int]) -> None:
    if size > limits[name]:
        raise BodyTooLarge(f"The part {name!r} has more than the {limits[name]:,} bytes that are allowed.", name)
