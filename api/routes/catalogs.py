"""Routes of catalogs: create, change, read, list and remove."""

from apiflask import APIBlueprint
from flask import Response, url_for

from api.access.auth import asking, opened_by
from api.access.keys import Scope
from api.context import context
from api.errors import Fault, RequestInvalid
from api.openapi.document import more
from api.requests import models
from api.requests.body import json_body
from api.responses import schemas
from services.catalog.catalog import Catalog
from services.catalog.opening import new_spec, open_or_create
from services.descriptions import AttributeKind
from services.errors import CatalogNotFound
from services.query.filters import is_key

bp = APIBlueprint("catalogs", __name__, url_prefix="/v1/catalogs", tag="Catalogs")


@bp.get("")
@opened_by(*Scope)
@bp.doc(operation_id="list_catalogs", extensions=more(503))
@bp.output(schemas.Catalogs)
def scroll() -> schemas.Catalogs:
    """List catalogs, by name

    Those that the key is for, all on one page.
    """
    found = []
    for spec in context().catalogs.specs():
        if not asking().reaches(spec.name):
            continue
        try:
            found.append(to_schema(context().catalogs.get(spec.name)))
        except CatalogNotFound:
            continue  # removed meanwhile
    return schemas.Catalogs(catalogs=found)


@bp.get("/<segment:catalog>")
@opened_by(*Scope)
@bp.doc(operation_id="get_catalog", extensions=more(404, 503))
@bp.output(schemas.Catalog)
def read(catalog: str) -> schemas.Catalog:
    """Read a catalog

    What it is made with, and how many products it has now.
    """
    return to_schema(context().catalog(catalog))


@bp.put("/<segment:catalog>")
@opened_by(Scope.ADMIN)
@bp.doc(
    operation_id="put_catalog",
    extensions=more(
        *(409, 413, 415, 503),
        body={"application/json": models.NewCatalog},
        answers={201: ("It is new.", {"application/json": schemas.DeclaredCatalog})},
        headers={"Location": "The catalog."},
        curl="""-X PUT -H 'Content-Type: application/json' -d '{"indexed_attributes": {"color": "keyword"}}'""",
    ),
)
@bp.output(schemas.DeclaredCatalog, description="It was there, with this encoder; new indexed attributes were added.")
def put(catalog: str) -> tuple[schemas.DeclaredCatalog, int, dict[str, str]]:
    """Create a catalog, or index more attributes of one

    The defaults of a new catalog are `inception_v3`, `imagenet`, `nearest`, `head` features and no quantization; fields
    that are left out keep their values in an existing one. Where the service encodes pictures itself, a new one is
    refused if its weights are not there and cannot be fetched. A catalog keeps its encoder: another `encoder`,
    `weights`, `resample`, `features` or `quantization` is a conflict, and so is another kind of an indexed attribute.
    `tuned` features are built as a generation, from the pictures that are there.

    From then on the values of an indexed attribute must be of its kind. Values of other kinds that are stored stay;
    `other_kinds` counts the products that have some. All products are read for that, unless the attribute is indexed
    already.
    """
    wanted = json_body(models.NewCatalog)
    if refused := [name for name in wanted.indexed_attributes if not is_key(name)]:
        faults = [
            Fault(
                f'{name[:80]!a} is no attribute: write size.width, tags[] or "a.b".',
                RequestInvalid.code,
                "indexed_attributes",
            )
            for name in refused
        ]
        raise RequestInvalid(faults)
    options = wanted.model_dump(exclude={"indexed_attributes"})
    if context().catalogs.find(catalog) is None:
        spec = new_spec(catalog, **options)
        context().check_weights(spec.encoder, spec.weights)
    found, is_new = open_or_create(context().catalogs, catalog, **options)
    others = _index(found, wanted)
    answer = schemas.DeclaredCatalog(**to_schema(found).model_dump(), other_kinds=others)
    return answer, 201 if is_new else 200, {"Location": url_for("catalogs.read", catalog=catalog)}


@bp.delete("/<segment:catalog>")
@opened_by(Scope.ADMIN)
@bp.doc(operation_id="delete_catalog", extensions=more(404, 503))
@bp.output({}, status_code=204, description="It is gone.")
def delete(catalog: str) -> Response:
    """Remove a catalog with its products; its waiting changes are canceled

    There is no way back, but a backup. A new one of this name begins empty.
    """
    here = context()
    spec = here.catalog(catalog).spec
    here.ledger.drop(spec.id, lambda: here.catalogs.remove(spec.name, spec.id))
    return Response(status=204)


def to_schema(catalog: Catalog) -> schemas.Catalog:
    spec = catalog.spec
    return schemas.Catalog(
        name=spec.name,
        products=catalog.count(),
        encoder=spec.encoder,
        weights=spec.weights,
        resample=spec.resample,
        features=spec.features,
        dim=spec.dim,
        fingerprint=spec.fingerprint,
        trained=catalog.trained,
        indexed_attributes={name: kind.value for name, kind in spec.indexed_attributes.items()},
        quantization=spec.quantization,
        created_at=spec.created_at,
    )


def _index(catalog: Catalog, wanted: models.NewCatalog) -> dict[str, schemas.OtherKinds]:
    """Indexes the attributes. Raises `Conflict` if one is already indexed as another kind."""
    kinds = {name: AttributeKind(kind) for name, kind in wanted.indexed_attributes.items()}
    others = catalog.declare(kinds) if kinds else {}
    return {
        name: schemas.OtherKinds(kind=each.kind.value, products=each.products, examples=dict(each.examples))
        for name, each in others.items()
    }
