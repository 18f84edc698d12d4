"""The Flask app: routes, and what every request passes."""

import json
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

from apiflask import APIFlask
from flask import Flask, Response, current_app, request
from flask.json.provider import DefaultJSONProvider
from prometheus_client import CollectorRegistry

from api.access.auth import check_routes, guard, opened_by
from api.access.cross_origin import CrossOrigin
from api.access.entrance import Entrance
from api.access.keyring import Keyring
from api.access.quota import Quota
from api.compression import compressed
from api.context import Context, keep
from api.errors import Fault, RequestInvalid
from api.openapi.document import Document
from api.requests.paths import RawPaths, Segment, unquoted
from api.responses.links import located
from api.responses.problems import register
from api.routes import (
    backup,
    directions,
    docs,
    duplicates,
    evaluations,
    facets,
    generations,
    health,
    images,
    jobs,
    keys,
    maps,
    outliers,
    problems,
    products,
    queries,
    search,
    session,
    tasks,
    uploads,
)
from api.routes import catalogs as catalog_routes
from api.telemetry import Telemetry, Timers
from api.waits import WaitsCollector
from services.settings import Settings

if TYPE_CHECKING:
    from services.catalog.catalogs import Catalogs
    from services.ledger import Ledger
    from services.storage.media import Media


DESCRIPTION = (
    "Find products by how they look. Send products with their images: each change that is accepted becomes part of a "
    "job, which tells how it ended. Then ask what looks like a product or a picture. JSON names are snake_case, times "
    "RFC 3339 in UTC, pages go on with `cursor`, unknown names are refused."
)


def create_app(
    *,
    settings: Settings,
    catalogs: "Catalogs",
    ledger: "Ledger",
    media: "Media",
    fetch: Callable[[str], bytes],
    wake: Callable[[int], None],
    keyring: Keyring | None,
    metrics: CollectorRegistry,
    check_weights: Callable[[str, str], None] = lambda encoder, weights: None,
) -> Flask:
    """The HTTP API over these. `wake` gets the number of changes accepted; `metrics` are served, with the app's own;
    `check_weights` raises why the weights of a new catalog cannot be had, where that is known here.

    Without `keyring` it answers to this machine only: whoever binds it to another address must give one.
    """
    entrance = Entrance.of(settings, keyring)
    app = _app("" if entrance.public is None else entrance.public.path)
    timers = Timers(metrics)
    keep(app, Context(settings, catalogs, ledger, media, fetch, wake, entrance, metrics, timers, check_weights))
    metrics.register(WaitsCollector(ledger, catalogs))
    register(app)
    telemetry = Telemetry(timers)
    app.before_request(telemetry.begin)
    cross_origin = CrossOrigin(entrance.origins)
    app.before_request(lambda: cross_origin.preflight(request))
    app.before_request(guard(entrance, Quota(settings.rate_limit).admit))
    app.before_request(_check_query)
    app.after_request(_protect)
    app.after_request(compressed)
    app.after_request(lambda response: cross_origin.told(request, response))
    app.after_request(located)
    app.after_request(telemetry.end)
    app.spec_processor(cast(Any, Document(keys=keyring is not None, public=entrance.public).complete))
    for module in (
        catalog_routes,
        products,
        images,
        uploads,
        facets,
        queries,
        directions,
        outliers,
        duplicates,
        search,
        jobs,
        tasks,
        generations,
        evaluations,
        maps,
        keys,
        session,
        backup,
        health,
        problems,
        docs,
    ):
        app.register_blueprint(module.bp)
    app.view_functions["static"] = opened_by()(app.view_functions["static"])
    check_routes(app)
    return app


def _app(mount: str) -> APIFlask:
    """An app without routes: how it documents itself, writes JSON and reads paths, also below `mount`."""
    app = APIFlask(
        "api",
        title="Lookalike",
        version=version("lookalike"),
        spec_path=None,
        docs_path=None,
        static_folder="ui/static",
        template_folder="ui/templates",
    )
    app.description = DESCRIPTION
    app.config.update(
        SUCCESS_DESCRIPTION="Done.",
        AUTO_404_RESPONSE=False,
        AUTO_VALIDATION_ERROR_RESPONSE=False,
        AUTO_SERVERS=False,
    )
    app.json = _Json(app)
    app.url_map.converters["segment"] = Segment
    app.url_map.merge_slashes = False
    app.wsgi_app = RawPaths(app.wsgi_app, mount)  # type: ignore[method-assign]
    return app


class _Json(DefaultJSONProvider):
    ensure_ascii = False
    sort_keys = False

    def dumps(self, obj: Any, **_: Any) -> str:
        return json.dumps(obj, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _check_query() -> None:
    """Parameters that the route does not know, or that are there twice, are refused by name."""
    unquoted(request.query_string.decode("latin-1"), "query")
    if not request.args or request.endpoint is None:
        return
    view = current_app.view_functions[request.endpoint]
    models = [model for model, location in getattr(view, "_spec", {}).get("args", []) if location == "query"]
    known = [name for model in models for name in model.model_fields]
    repeatable = {name for model in models for name in model.repeatable}
    there_are = f"there are {', '.join(known)}" if known else "this route takes none"
    wrong = {name: f"unknown parameter; {there_are}" for name in request.args if name not in known}
    counts = Counter(name for name, _ in request.args.items(multi=True))
    wrong |= {
        name: "it is there twice" for name, count in counts.items() if count > 1 and name not in {*wrong, *repeatable}
    }
    wrong |= {name: "it holds a null byte" for name, value in request.args.items(multi=True) if "\0" in value}
    if wrong:
        raise RequestInvalid([Fault(f"{name}: {why}.", RequestInvalid.code, name) for name, why in wrong.items()])


def _protect(response: Response) -> Response:
    """What a browser may do with an answer: show it, and nothing else."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    response.headers.setdefault("Cache-Control", "no-store")
    if response.status_code in (204, 304):
        response.headers.pop("Content-Type", None)
    return response
