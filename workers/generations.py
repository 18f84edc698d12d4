"""Tasks about the generations of a catalog: one builds the next one, one switches to another one."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from services.catalog.catalog import Catalog
from services.catalog.generations import Generations
from services.catalog.opening import CatalogOptions
from services.catalog.passes import Pass, Watch
from services.records import Outcome, State
from workers.tasks import Do, TaskRun

REINDEX = "reindex"
PROMOTE = "promote"
EXAMPLES = 20
"""Products that a result names."""


def reindex(keep_seconds: float) -> Do:
    """Builds the next generation, and with `promote` switches to it; what is live then is kept for so long."""

    def do(catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
        asked = dict(run.task.parameters)
        promotes, allow_missing = asked.pop("promote"), asked.pop("allow_missing")
        generations = Generations(run.catalogs, catalog.spec.name, keep_seconds=keep_seconds)
        told = dict(run.task.checkpoint or {})
        id, total = told.pop("generation", None), catalog.count()
        if id is None:
            id = generations.begin_or_go_on(cast(CatalogOptions, asked)).id
        begun = _from_json(told)
        if promotes and id == catalog.spec.generation:
            # Whoever had this task before has switched, and died before that was recorded.
            return {"generation": id, "promoted": True} | _result(begun)

        def report(done: Pass) -> None:
            run.report(done.products, total, {"generation": id} | _to_json(done))

        report(begun)
        done = generations.build(
            id, after=begun.after, watch=lambda now: report(_joined(begun, now)), stopping=run.stopped
        )
        run.check()
        if promotes:
            _promoted(run, lambda watch: generations.promote(id, allow_missing=allow_missing, watch=watch))
        return {"generation": id, "promoted": promotes} | _result(_joined(begun, done))

    return do


def promote(keep_seconds: float) -> Do:
    """Switches to another generation, once that has all that the live one has."""

    def do(catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
        id, allow_missing = run.task.parameters["generation"], run.task.parameters["allow_missing"]
        generations = Generations(run.catalogs, catalog.spec.name, keep_seconds=keep_seconds)
        if id == catalog.spec.generation:
            # Whoever had this task before has switched, and died before that was recorded.
            return {"generation": id, "promoted": True} | _result(Pass())
        done = _promoted(run, lambda watch: generations.promote(id, allow_missing=allow_missing, watch=watch))
        return {"generation": id, "promoted": True} | _result(done)

    return do


def _promoted(run: TaskRun, switch: Callable[[Watch], Pass]) -> Pass:
    run.check()
    # It looks at all products twice, so it has no checkpoint: what it brought is not behind any more.
    return switch(lambda now: run.report(now.products))


def _joined(begun: Pass, more: Pass) -> Pass:
    """Both parts of a pass."""
    codes = [*dict.fromkeys([*begun.faults, *more.faults])]
    return Pass(
        products=begun.products + more.products,
        brought=begun.brought + more.brought,
        missing=begun.missing + more.missing,
        faults={code: begun.faults.get(code, 0) + more.faults.get(code, 0) for code in codes},
        examples=(*begun.examples, *more.examples)[:EXAMPLES],
        changed=(*begun.changed, *more.changed)[:EXAMPLES],
        after=more.after,
    )


def _result(done: Pass) -> dict[str, Any]:
    result = _to_json(done)
    del result["after"]
    return result


def _to_json(done: Pass) -> dict[str, Any]:
    examples = done.examples[:EXAMPLES]
    return {
        "products": done.products,
        "brought": done.brought,
        "missing": done.missing,
        "faults": dict(done.faults),
        "examples": [{"product_id": each.product_id, "code": each.code, "message": each.message} for each in examples],
        "changed": list(done.changed[:EXAMPLES]),
        "after": done.after,
    }


def _from_json(told: Mapping[str, Any]) -> Pass:
    if not told:
        return Pass()
    examples = tuple(
        Outcome(each["product_id"], State.FAILED, each["code"], each["message"]) for each in told["examples"]
    )
    return Pass(**{**told, "examples": examples, "changed": tuple(told["changed"])})
