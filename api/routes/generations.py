"""Routes of generations: another encoder for a catalog, without a stop."""

from typing import cast

from apiflask import APIBlueprint
from flask import Response

from api.access.auth import opened_by
from api.access.keys import Scope
from api.context import context
from api.ingest import Answer, begun_task
from api.openapi.document import more
from api.requests import models
from api.requests.body import json_body, target_sha
from api.responses import schemas
from api.responses.neighbors import to_schemas
from services.catalog.generations import Generations, described
from services.catalog.opening import CatalogOptions
from services.descriptions import Generation

PAIRS = 20
NEIGHBORS = 10

bp = APIBlueprint("generations", __name__, url_prefix="/v1/catalogs/<segment:catalog>", tag="Generations")


@bp.get("/generations")
@opened_by(*Scope)
@bp.doc(operation_id="list_generations", extensions=more(404, 503))
@bp.output(schemas.Generations)
def scroll(catalog: str) -> schemas.Generations:
    """List the generations of a catalog

    The live one is first, then those that are kept beside it.
    """
    return schemas.Generations(generations=[_to_schema(*each) for each in _generations(catalog).counted()])


@bp.post("/generations")
@opened_by(Scope.ADMIN)
@bp.doc(
    operation_id="reindex",
    extensions=more(
        *(404, 409, 413, 415, 429, 503),
        body={"application/json": models.NewGeneration},
        headers={"Location": "The job."},
        accepts=True,
        curl="""-X POST -H 'Content-Type: application/json' -d '{"encoder": "efficientnet_lite0"}'""",
    ),
)
@bp.output(schemas.Job, status_code=202)
def post(catalog: str) -> Answer:
    """Build the next generation

    The answer is a job that is a task. The catalog answers as before until the generation is promoted; while it is
    built, and after that, every change goes to both. Where one with these options is being built already, or was cut
    off, this goes on with it.
    """
    digest = target_sha()
    wanted = json_body(models.NewGeneration)
    options = wanted.model_dump(
        include={"encoder", "weights", "resample", "features", "quantization"}, exclude_none=True
    )
    generations = _generations(catalog)
    asked = options | {"promote": wanted.promote, "allow_missing": wanted.allow_missing}
    digest.update(repr(sorted(asked.items())).encode())
    return begun_task(
        *(context().catalog(catalog), "reindex", asked, digest.hexdigest()),
        check=lambda: generations.check(cast(CatalogOptions, options)),
    )


@bp.get("/generations/<segment:generation>/compare")
@opened_by(Scope.ADMIN)
@bp.doc(operation_id="compare_generation", extensions=more(404, 409, 503))
@bp.input(models.Sample, location="query", arg_name="asked")
@bp.output(schemas.Comparison)
def compare(catalog: str, generation: str, asked: models.Sample) -> schemas.Comparison:
    """Compare what a generation finds with what the live one finds

    For a sample of products, the same each time.
    """
    found = _generations(catalog).compare(generation, sample=asked.sample)
    common = {str(rank): round(share, 6) for rank, share in found.common.items()}
    pairs = [
        schemas.Pair(
            product_id=each.product_id,
            live=to_schemas(each.live[:NEIGHBORS]),
            other=to_schemas(each.other[:NEIGHBORS]),
        )
        for each in found.pairs[:PAIRS]
    ]
    return schemas.Comparison(sample=found.sample, common=common, missing=list(found.missing), pairs=pairs)


@bp.get("/generations/<segment:generation>/behind")
@opened_by(Scope.ADMIN)
@bp.doc(operation_id="list_behind", extensions=more(404, 409, 503))
@bp.input(models.Page, location="query", arg_name="page")
@bp.output(schemas.Behind)
def behind(catalog: str, generation: str, page: models.Page) -> schemas.Behind:
    """List the products that a generation lacks, or has as they were before

    A page may be shorter than `limit`, or empty; `next` is null on the last one.
    """
    found, cursor = _generations(catalog).behind(generation, after=page.cursor, limit=page.limit)
    return schemas.Behind(product_ids=found, next=cursor)


@bp.post("/generations/<segment:generation>/promote")
@opened_by(Scope.ADMIN)
@bp.doc(
    operation_id="promote_generation",
    extensions=more(
        *(404, 409, 413, 415, 429, 503),
        body={"application/json": models.Promotion},
        headers={"Location": "The job."},
        accepts=True,
        curl="-X POST -H 'Content-Type: application/json' -d '{}'",
    ),
)
@bp.output(schemas.Job, status_code=202)
def promote(catalog: str, generation: str) -> Answer:
    """Switch to a generation

    The answer is a job that is a task: what the generation lacks is brought first, then it becomes the live one in one
    step. The one that was live gets changes for 24 hours (`LOOKALIKE_GENERATION_KEEP`), in which promoting it goes back
    to it.
    """
    digest = target_sha()
    wanted = json_body(models.Promotion)
    generations = _generations(catalog)
    asked = {"generation": generation, "allow_missing": wanted.allow_missing}
    digest.update(repr(wanted.allow_missing).encode())
    return begun_task(
        *(context().catalog(catalog), "promote", asked, digest.hexdigest()),
        check=lambda: generations.find(generation),
    )


@bp.delete("/generations/<segment:generation>")
@opened_by(Scope.ADMIN)
@bp.doc(operation_id="delete_generation", extensions=more(404, 409, 503))
@bp.output({}, status_code=204, description="It is gone.")
def delete(catalog: str, generation: str) -> Response:
    """Drop a generation with its vectors

    The live one cannot be dropped.
    """
    _generations(catalog).drop(generation)
    return Response(status=204)


def _generations(catalog: str) -> Generations:
    here = context()
    here.catalog(catalog)  # whether there is one, and the caller's key is for it
    return Generations(here.catalogs, catalog, keep_seconds=here.settings.generation_keep)


def _to_schema(generation: Generation, products: int | None) -> schemas.Generation:
    return schemas.Generation(**described(generation), products=products)
