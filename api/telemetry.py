"""Of each request: its ID, a line in the log, and how long it took."""

import re
import time
from uuid import uuid4

import structlog
from flask import Response, g, request
from prometheus_client import CollectorRegistry, Histogram

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CONVERTER = re.compile(r"<(?:[^<>:]+:)?([^<>]+)>")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
QUIET = frozenset({"health.livez", "health.readyz", "health.stats", "health.metrics"})
"""What machines ask all day: logged at level debug."""


class Timers:
    """Histograms in seconds: `requests` of all requests, `searches` of the catalog's own work for a search."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Histogram(
            "lookalike_request_seconds", "Time to answer a request.", ["route", "method", "status"], registry=registry
        )
        self.searches = Histogram("lookalike_search_seconds", "Time to find neighbors.", ["by"], registry=registry)


class Telemetry:
    """Hooks of an app."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    def begin(self) -> None:
        """Takes the ID that the caller sent, if it is valid, or makes one; starts the clock."""
        sent = request.headers.get("X-Request-Id", "")
        g.request_id = sent if _ID.fullmatch(sent) else uuid4().hex
        g.begun = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    def end(self, response: Response) -> Response:
        """Logs the request and observes its time."""
        seconds = time.perf_counter() - g.begun
        response.headers["X-Request-Id"] = g.request_id
        method = request.method if request.method in METHODS else "other"
        self._timers.requests.labels(route(), method, response.status_code).observe(seconds)
        log = structlog.get_logger("api")
        write = log.debug if request.endpoint in QUIET else log.info
        write(
            "request", method=request.method, path=request.path, status=response.status_code, seconds=round(seconds, 4)
        )
        return response


def route() -> str:
    """The request's route as OpenAPI writes it: few values, as a label needs."""
    return _CONVERTER.sub(r"{\1}", request.url_rule.rule) if request.url_rule else "none"
