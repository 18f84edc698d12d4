"""Requests of the HTTP API that have no method of their own."""

import json as jsons
from collections.abc import Mapping
from typing import Any

from lookalike.retries import answered
from lookalike.steps import Request, Steps
from lookalike.wire import dumped, keyed, params_of

READS = frozenset({"GET", "HEAD", "OPTIONS"})


def requested(
    method: str, path: str, params: Mapping[str, Any] | None, json: Any, key: str | None, patience: float
) -> Steps[Any]:
    """The answer as JSON; None where it is empty."""
    request = Request(
        *(method, path, params_of(params or {})),
        headers=({} if json is None else {"Content-Type": "application/json"}) | (keyed(key) if key else {}),
        body=None if json is None else dumped(json).encode(),
        is_safe=method in READS or key is not None,
    )
    body = (yield from answered(request, patience)).body
    return jsons.loads(body) if body else None
