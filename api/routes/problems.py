"""The pages of problems: what each code means, and what to do about it. The `type` of a problem names its page."""

from apiflask import APIBlueprint
from flask import Response, jsonify, render_template, request

from api.access.auth import opened_by
from api.openapi.document import more
from api.responses import schemas
from api.responses.meanings import MEANINGS
from api.responses.problems import is_retryable, statuses, titled
from api.routes.docs import PAGE_POLICY, code
from services.errors import NotFound

bp = APIBlueprint("problems", __name__, tag="Service")


@bp.get("/problems/<segment:code>")
@opened_by()
@bp.doc(
    operation_id="get_problem",
    extensions=more(
        404,
        is_open=True,
        answers={200: ("What it means.", {"application/json": schemas.ProblemPage, "text/html": {"type": "string"}})},
    ),
)
def problem(code: str) -> Response:
    """Read what a problem means, and what to do about it

    As JSON, or as a page where `text/html` is preferred. The `type` of each problem is the path of its page.
    """
    found = page(code)
    response = jsonify(found.model_dump())
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        response = Response(_html(found), content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = PAGE_POLICY
    response.headers["Vary"] = "Accept"
    return response


def page(code: str) -> schemas.ProblemPage:
    """The page of a code. Raises `NotFound`."""
    if code not in MEANINGS:
        raise NotFound(f"There is no problem {code[:80]!r}: GET /docs lists them all.")
    return schemas.ProblemPage(
        code=code,
        title=titled(code),
        status=statuses()[code],
        retryable=is_retryable(code),
        meaning=MEANINGS[code].means,
        advice=MEANINGS[code].advice,
    )


def _html(found: schemas.ProblemPage) -> str:
    return render_template("problem.html", problem=found, text=code)
