"""Routes of the map: where the products of a catalog stand, when what looks alike stands together."""

from collections.abc import Callable

from apiflask import APIBlueprint
from flask import Response, request

from api.access.auth import opened_by
from api.access.keys import Scope
from api.context import context
from api.ingest import Answer, begun_task
from api.openapi import handwritten
from api.openapi.document import more
from api.requests import navigation
from api.requests.body import target_sha
from api.responses import maps, schemas
from api.responses.links import link
from services.catalog.map_bytes import points_bytes
from services.query.filters import checked_keys

bp = APIBlueprint("maps", __name__, url_prefix="/v1/catalogs/<segment:catalog>", tag="Map")

BYTES = "application/octet-stream"
ETAG = {"ETag": "Names the bytes."}


@bp.put("/map")
@opened_by(Scope.ADMIN)
@bp.doc(
    operation_id="make_map",
    extensions=more(404, 409, 429, 503, headers={"Location": "The job."}, accepts=True, curl="-X PUT"),
)
@bp.input(navigation.MapOptions, location="query", arg_name="options")
@bp.output(schemas.Job, status_code=202)
def put(catalog: str, options: navigation.MapOptions) -> Answer:
    """Make the map, or bring it up to date

    The answer is a job that is a task; its result describes the map. Products that are on the map keep their places,
    new ones are placed among them. It is laid out anew, so that everything may stand elsewhere, where the catalog has
    other vectors since, or twice or half as many products, and with `anew`.
    """
    kind = "map:anew" if options.anew else "map"
    found = context().catalog(catalog)
    return begun_task(found, kind, {"anew": options.anew}, target_sha().hexdigest())


@bp.get("/map")
@opened_by(Scope.SEARCH)
@bp.doc(operation_id="get_map", extensions=more(404, 503))
@bp.output(maps.CatalogMap)
def read(catalog: str) -> maps.CatalogMap:
    """Read what the map is, and its clusters

    Points, IDs and attributes are read beside it. Where no map was made yet, the answer is 404.
    """
    found = context().catalog(catalog).map
    told = dict(found.told())
    clusters = [maps.Cluster(**each) for each in told.pop("clusters")]
    points, ids = (link(f"maps.{name}", catalog=catalog) for name in ("points", "ids"))
    return maps.CatalogMap(**told, clusters=clusters, points_url=points, ids_url=ids)


@bp.get("/map/points")
@opened_by(Scope.SEARCH)
@bp.doc(operation_id="get_map_points", extensions=more(404, 503, answers=handwritten.MAP_BYTES, headers=ETAG))
def points(catalog: str) -> Response:
    """Read where products stand, as bytes

    Of n products a header of 16 bytes, x and y of each as uint16, and the cluster of each as uint16.
    """
    kept = context().catalog(catalog).map
    found = kept.found()

    def read() -> Response:
        summary, points, labels = kept.drawn(found)
        return Response(points_bytes(points, labels, summary.version), content_type=BYTES)

    return _served(found.object, read)


@bp.get("/map/ids")
@opened_by(Scope.SEARCH)
@bp.doc(operation_id="get_map_ids", extensions=more(404, 503, answers={304: handwritten.SEEN}, headers=ETAG))
@bp.output(maps.MapIds)
def ids(catalog: str) -> Response:
    """Read the IDs of the products, in the order of the points

    With the ETag of the points, they are of the same map.
    """
    kept = context().catalog(catalog).map
    found = kept.found()

    def read() -> Response:
        told = maps.MapIds(product_ids=list(kept.product_ids(found)))
        return Response(told.model_dump_json(), content_type="application/json")

    return _served(found.object, read)


@bp.get("/map/attributes/<segment:key>")
@opened_by(Scope.SEARCH)
@bp.doc(operation_id="get_map_attribute", extensions=more(404, 503, answers=handwritten.MAP_BYTES, headers=ETAG))
def column(catalog: str, key: str) -> Response:
    """Read what products have for an attribute now, as bytes in the order of the points

    Of n products a header of 16 bytes, and numbers as float32 (NaN: none), or codes as uint16 (65535: none) and the
    texts that they stand for.
    """
    checked_keys([key])
    kept = context().catalog(catalog).map
    found = kept.found()
    column = kept.column_bytes(key, found)
    return _served(f"{found.object}-{column.hash[:16]}", lambda: Response(column.data, content_type=BYTES))


def _served(tag: str, read: Callable[[], Response]) -> Response:
    """What is read, or 304 where the caller has it already."""
    is_there = request.if_none_match.contains_weak(tag)
    response = Response(status=304) if is_there else read()
    response.set_etag(tag)
    response.headers["Cache-Control"] = "private, no-cache"
    return response
