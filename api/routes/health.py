"""Health checks, statistics and metrics."""

from collections.abc import Callable

from apiflask import APIBlueprint
from flask import Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from api.access.auth import opened_by
from api.access.keys import Scope
from api.context import context
from api.openapi.document import more
from api.responses import schemas
from api.responses.jobs import waiting
from api.waits import waits
from services.errors import LookalikeError

bp = APIBlueprint("health", __name__, tag="Service")


@bp.get("/livez")
@opened_by()
@bp.doc(operation_id="get_liveness", extensions=more(is_open=True))
@bp.output(schemas.Liveness)
def livez() -> schemas.Liveness:
    """Report that this process answers; checks nothing else

    For who restarts it: an answer is all there is to know.
    """
    return schemas.Liveness(status="ok")


@bp.get("/readyz")
@opened_by()
@bp.doc(
    operation_id="get_readiness",
    extensions=more(is_open=True, answers={503: ("Something is away.", {"application/json": schemas.Readiness})}),
)
@bp.output(schemas.Readiness)
def readyz() -> tuple[schemas.Readiness, int]:
    """Report whether ledger and index answer

    503 where one of them is away. Where changes of a catalog wait for what is away, such as the weights of its encoder,
    it is ready and `degraded`: searches go on.
    """
    here = context()
    ledger, index = _state(here.ledger.ping), _state(here.catalogs.registry.check)
    if not ledger == index == "ok":
        return schemas.Readiness(status="unavailable", ledger=ledger, index=index, catalogs={}), 503
    codes = {name: found.code for name, found in waits(here.ledger, here.catalogs).items()}
    return schemas.Readiness(status="degraded" if codes else "ok", ledger=ledger, index=index, catalogs=codes), 200


@bp.get("/v1/stats")
@opened_by(*Scope, everywhere=True)
@bp.doc(operation_id="get_stats", extensions=more(503))
@bp.output(schemas.Stats)
def stats() -> schemas.Stats:
    """Read the size of the queue and the number of workers

    For all catalogs and workers together; the numbers to scale workers by.
    """
    here = context()
    found = here.ledger.stats()
    drain = found.drain_seconds
    return schemas.Stats(
        waiting=found.counts.waiting,
        in_flight=found.counts.in_flight,
        changes_per_second=round(found.changes_per_second, 2),
        drain_seconds=None if drain is None else round(drain, 1),
        workers=found.workers,
        slots=found.slots,
        waiting_for=[
            schemas.CatalogWaiting(catalog=name, **waiting(each).model_dump())
            for name, each in waits(here.ledger, here.catalogs).items()
        ],
    )


@bp.get("/metrics")
@opened_by(*Scope, everywhere=True)
@bp.doc(
    operation_id="get_metrics",
    extensions=more(answers={200: ("Prometheus' text format.", {"text/plain": {"type": "string"}})}),
)
def metrics() -> Response:
    """Read the metrics of this process

    For Prometheus: requests, searches, changes, workers, and the process's own.
    """
    return Response(generate_latest(context().metrics), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _state(check: Callable[[], object]) -> str:
    """The result of a check as `ok` or an error code. No details, since these routes need no key."""
    try:
        check()
    except LookalikeError as error:
        return error.code
    return "ok"
