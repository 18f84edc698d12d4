"""Tasks about the generations of a catalog: one builds the next one, one switches to another one."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from services.catalog.catalog import Catalog
from services.catalog.generations import Generations
from services.catalog.opening import CatalogOptions
from services.catalog.passes import Pass, from_json, joined, to_json
from services.errors import Conflict
from workers.tasks import Do, TaskRun

REINDEX = "reindex"
PROMOTE = "promote"


def reindex(keep_seconds: float) -> Do:
    """Builds the next generation, and with `promote` switches to it; what is live then is kept for so long."""

    def do(catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
        asked = dict(run.task.parameters)
        promotes, allow_missing = asked.pop("promote"), asked.pop("allow_missing")
        generations = Generations(run.catalogs, catalog.spec.name, keep_seconds=keep_seconds)
        told = run.task.checkpoint or {}
        id, total = told.get("generation"), catalog.count()
        if id is None:
            # It may be canceled while the encoder is loaded: nothing is to begin then.
            id = generations.begin_or_go_on(cast(CatalogOptions, asked), lambda _: run.report(0, total)).id
        # One that had come to the end looks at all products again.
        begun = from_json(told, told["after"]) if told.get("after") else Pass()

        def report(done: Pass) -> None:
            run.report(done.products, total, {"generation": id, "after": done.after} | to_json(done))

        def build() -> Pass:
            report(begun)
            return generations.build(id, after=begun.after, watch=lambda now: report(joined(begun, now)))

        def build_and_switch() -> Pass:
            done = build()
            _switch(generations, run, id, allow_missing)
            return done

        done = _unless_live(generations, id, build_and_switch) if promotes else build()
        return {"generation": id, "promoted": promotes} | to_json(joined(begun, done))

    return do


def promote(keep_seconds: float) -> Do:
    """Switches to another generation, once that has all that the live one has."""

    def do(catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
        id, allow_missing = run.task.parameters["generation"], run.task.parameters["allow_missing"]
        generations = Generations(run.catalogs, catalog.spec.name, keep_seconds=keep_seconds)
        done = _unless_live(generations, id, lambda: _switch(generations, run, id, allow_missing))
        return {"generation": id, "promoted": True} | to_json(done)

    return do


def _switch(generations: Generations, run: TaskRun, id: str, allow_missing: bool) -> Pass:
    run.check()
    # It looks at all products twice, so it has no checkpoint: what it brought is not behind any more.
    return generations.promote(id, allow_missing=allow_missing, watch=lambda now: run.report(now.products))


def _unless_live(generations: Generations, id: str, switch: Callable[[], Pass]) -> Pass:
    """What `switch` finds; nothing where the generation is the live one already: whoever had this task before has
    switched and died before that was recorded, or whoever had it until its lease was over has switched meanwhile."""
    try:
        return switch()
    except Conflict:
        if id != generations.live():
            raise
        return Pass()
