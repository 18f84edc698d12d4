"""CORS: which pages of other sites may call the service from a browser, with an API key and never with a cookie."""

from flask import Request, Response

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
SENT = "Authorization, Content-Type, Content-Encoding, Idempotency-Key, If-None-Match, X-Request-Id"
"""Headers of requests that the service heeds, beside those that every page may send."""
READ = (
    "Allow, Accept-Encoding, Content-Disposition, ETag, Idempotent-Replayed, Location, Retry-After, WWW-Authenticate, "
    "X-Request-Id"
)
"""Headers of answers that clients need, beside those that every page may read."""
PREFLIGHT_SECONDS = 7200
"""How long browsers keep what a preflight was told; none does for longer than its own limit."""


class CrossOrigin:
    """What is said to pages of these origins.

    There is no `Access-Control-Allow-Credentials`: what a browser asks for with its cookies is not shown to them.
    """

    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = origins

    def preflight(self, request: Request) -> Response | None:
        """The answer to a browser that asks what a page may send; None: it does not, or not for a page that may."""
        is_one = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not is_one or request.headers.get("Origin") not in self._origins:
            return None
        response = Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = METHODS
        response.headers["Access-Control-Allow-Headers"] = SENT
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        return response

    def told(self, request: Request, response: Response) -> Response:
        """The answer with what the page of its request may do with it."""
        if not self._origins:
            return response
        response.vary.add("Origin")
        origin = request.headers.get("Origin")
        if origin in self._origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = READ
        return response
