"""A change as the ledger stores it: fields that the scripts read, then JSON that only Python reads (see common.lua)."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from services.ledger.records import Named, Refusal
from services.ledger.store import CHUNK
from services.names import digest
from services.records import Change, ChangeKind, ImageSource, Item, RemoteImage, State, StoredImage

_KINDS = {ChangeKind.PUT: "+", ChangeKind.PATCH: "~", ChangeKind.DELETE: "-"}
_KIND_OF = {letter: kind for kind, letter in _KINDS.items()}
_STORED = re.compile(rb'"#([0-9a-f]{64})"')
CHUNK_BYTES = 1 << 20
NAMES_BYTES = 1 << 16
"""Digests of products in one entry of a list of names."""
_HEAD = 17
_VERSION = 16


def packed(change: Change) -> bytes:
    """The payload; one with a version keeps it, else the job's versions count."""
    independent = change.kind is ChangeKind.DELETE or (change.kind is ChangeKind.PUT and change.attributes is not None)
    letter = b"i" if independent else b"d"
    version = b""
    if change.version is not None:
        letter, version = letter.upper(), b"%016d" % change.version
    fields: list[Any] = [_KINDS[change.kind], change.product_id, image_name(change.image), change.attributes]
    # What most changes have not takes no bytes, and what older versions do not know they do not read.
    fields.append(True if change.refuse_duplicates else None)
    while fields[-1] is None:
        fields.pop()
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return letter + digest(change.product_id) + version + text.encode()


def chunks(
    changes: Iterable[Change | Refusal | Named], *, named: bool = False
) -> Iterator[tuple[int, list[Any], list[bytes], bytes]]:
    """Changes in chunks, as the script `write` takes them.

    Yields the total with the last chunk and -1 before; the lines, each followed by its payload; what was refused; with
    `named` the digests of the products that all of them name, else nothing.
    """
    lines: list[Any] = []
    refused: list[bytes] = []
    names = bytearray()
    size = total = 0
    for change in changes:
        if len(lines) >= 2 * CHUNK or len(refused) >= CHUNK or size > CHUNK_BYTES or len(names) >= NAMES_BYTES:
            yield -1, lines, refused, bytes(names)
            lines, refused, names, size = [], [], bytearray(), 0
        if named and change.product_id:
            names += digest(change.product_id)
        if isinstance(change, Named):
            continue
        if isinstance(change, Refusal):
            why = note(change.code, change.message, change.product_id)
            refused.append(b"%d %s" % (change.line, why))
        else:
            item = packed(change)
            lines += [total, item]
            size += len(item)
        total += 1
    yield total, lines, refused, bytes(names)


def unpacked(payload: bytes, version: int) -> Change:
    """The change of a payload, with its version."""
    kind, product_id, image, attributes, refuses = _fields(payload)
    return Change(product_id, _KIND_OF[kind], image_named(image), attributes, version, bool(refuses))


def change(payload: bytes, base: int, line: int) -> Change:
    """The change of a payload, with the version it has as a line of a job whose base version is `base`."""
    has_own = payload[:1].isupper()
    return unpacked(payload, int(payload[_HEAD : _HEAD + _VERSION]) if has_own else base + line + 1)


def failed_item(entry: bytes) -> Item:
    """An entry of the list of failures as an item."""
    head, _, payload = entry.partition(b"\n")
    line, _, said = head.partition(b" ")
    note = json.loads(said)
    if not payload:
        return Item(note[2], State.FAILED, note[0], note[1], line=int(line))
    _, product_id, image, *_ = _fields(payload)
    return Item(product_id, State.FAILED, note[0], note[1], _shown(image))


def waiting_item(payload: bytes) -> Item:
    """A payload as an item that has not ended."""
    _, product_id, image, *_ = _fields(payload)
    return Item(product_id, None, image=_shown(image))


def images(entry: bytes) -> list[str]:
    """The hashes of images in media that a payload, or an entry with one, names; perhaps of others, too."""
    return [hash.decode() for hash in _STORED.findall(entry)]


def note(code: str | None, message: str | None, product_id: str | None = None) -> bytes:
    """Why a change failed, as a script takes it; the product only where no payload names it."""
    fields = [code, message] if product_id is None else [code, message, product_id]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _fields(payload: bytes) -> list[Any]:
    start = _HEAD + (_VERSION if payload[:1].isupper() else 0)
    fields = json.loads(payload[start:])
    return [*fields, None, None, None][:5]


def image_name(image: ImageSource | None) -> str | None:
    if isinstance(image, StoredImage):
        return f"#{image.hash}"
    if isinstance(image, RemoteImage):
        return image.url
    if image is None:
        return None
    raise TypeError("the ledger takes images by URL or out of media")


def image_named(name: str | None) -> ImageSource | None:
    if name is None:
        return None
    return StoredImage(name[1:]) if name.startswith("#") else RemoteImage(name)


def _shown(name: str | None) -> str | None:
    return name[1:] if name and name.startswith("#") else name
