"""How requests are written: paths, parameters, JSON and forms."""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from lookalike.steps import ANSWER_SECONDS, Request

SLOW_SECONDS = 1000.0
"""That an answer may take for which an encoder is loaded, its weights being fetched first."""


def segment(text: str) -> str:
    """Text as one segment of a path: dots are quoted, too, where a client would resolve them."""
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")


def catalog_path(name: str) -> str:
    return f"/v1/catalogs/{segment(name)}"


def product_path(catalog: str, product_id: str) -> str:
    """The path of a product under that of its catalog."""
    return f"{catalog}/products/{segment(product_id)}"


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are not None: a service takes no null for what is left out."""
    return {name: value for name, value in fields.items() if value is not None}


def params_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """Parameters of a URL: those that are not None, as text."""
    return {name: value if isinstance(value, str) else dumped(value) for name, value in given(fields).items()}


def dumped(value: Any) -> str:
    """Raises `ValueError` for numbers that JSON cannot write."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def read(path: str, params: Mapping[str, Any] | None = None) -> Request:
    """A request that reads."""
    return Request("GET", path, params_of(params or {}), is_safe=True)


def with_json(
    method: str,
    path: str,
    body: Mapping[str, Any],
    *,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = ANSWER_SECONDS,
) -> Request:
    """A request with a JSON body which does no harm twice."""
    return Request(
        *(method, path, params_of(params or {})),
        headers={"Content-Type": "application/json", **(headers or {})},
        body=dumped(body).encode(),
        is_safe=True,
        seconds=seconds,
    )


def keyed(key: str | None) -> dict[str, str]:
    """What makes a request one that does no harm twice."""
    return {"Idempotency-Key": key or uuid4().hex}


def form(fields: Mapping[str, Any], files: Iterable[tuple[str, bytes]]) -> tuple[dict[str, str], bytes]:
    """The header and the body of a form: fields as JSON, and pictures."""
    boundary = uuid4().hex
    parts = [
        *((f'name="{name}"', "application/json", dumped(value).encode()) for name, value in fields.items()),
        *((f'name="{name}"; filename="{name}"', "application/octet-stream", data) for name, data in files),
    ]
    body = b"".join(
        b"--%b\r\nContent-Disposition: form-data; %b\r\nContent-Type: %b\r\n\r\n%b\r\n"
        % (boundary.encode(), name.encode(), type.encode(), data)
        for name, type, data in parts
    )
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body + f"--{boundary}--\r\n".encode()
