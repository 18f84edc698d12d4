"""Evaluating a catalog of a running service, over HTTP: what commands use in place of `Evaluating`."""

from typing import cast

from api.client.connection import Client
from api.client.tasks import done_task
from api.client.timings import Timings
from services.catalog.evaluating import Evaluation, Watch
from services.catalog.question import Question


def evaluated(client: Client, path: str, question: Question, timings: Timings, watch: Watch) -> Evaluation:
    """Has the service evaluate the catalog at a path, and waits for it; Ctrl-C cancels it. Raises what it ends with."""
    asked = question.checked().parameters()
    recipe = asked.pop("recipe") or {}
    body = {name: value for name, value in (asked | recipe).items() if value is not None}

    def tell(task: object) -> None:
        told = cast(dict[str, int | None], task)
        watch(told["done"] or 0, told["total"] or question.sample)

    result = done_task(client, f"{path}/evaluate", "The evaluation", timings, body=body, watch=tell)
    return cast(Evaluation, dict(result))
