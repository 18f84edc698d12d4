"""Tasks that evaluate a catalog: how well its generations, or a recipe, find what shares a label."""

from collections.abc import Mapping
from typing import Any

from services.catalog.catalog import Catalog
from services.catalog.evaluating import Evaluating
from services.catalog.question import Question
from workers.tasks import TaskRun

EVALUATE = "evaluate"


def evaluate(catalog: Catalog, run: TaskRun) -> Mapping[str, Any]:
    """Evaluates it. It has no checkpoint: another worker begins anew."""
    question = Question.of(run.task.parameters)
    return Evaluating(run.catalogs, catalog.spec.name, question).evaluate(run.report, run.check)
