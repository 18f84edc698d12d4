"""The documentation of the API: an OpenAPI document, and a page for people that loads nothing from other hosts."""

import re
from http import HTTPStatus
from typing import Any, cast

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, jsonify, render_template
from markupsafe import Markup, escape

from api.access.auth import opened_by
from api.openapi.references import PREFIX
from api.responses.links import base
from api.responses.meanings import MEANINGS
from api.responses.problems import statuses

bp = APIBlueprint("docs", __name__, enable_openapi=False)

PAGE_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
FORMATS = {"binary": "file", "iri": "URL", "date-time": "time"}
SAMPLES = {
    "{catalog}": "shoes",
    "{product_id}": "sku-1",
    "{job}": "1",
    "{generation}": "0" * 32,
    "{name}": "nightly",
    "{group}": "5b86bb2ee533de1f",
    "{key}": "color",
    "{code}": "product_not_found",
}
_CODE = re.compile(r"`([^`]+)`")


@bp.get("/openapi.json")
@opened_by()
def openapi() -> Response:
    """The OpenAPI document."""
    return jsonify(document())


@bp.get("/docs")
@opened_by()
def page() -> Response:
    """The documentation as a page for people."""
    spec = document()
    text = render_template(
        "docs.html",
        info=spec["info"],
        groups=_groups(spec),
        schemas=spec["components"]["schemas"],
        statuses=sorted(statuses().items()),
        meanings=MEANINGS,
        needs_key=_needs_key(spec),
        type=kind,
        code=code,
        phrase=lambda status: HTTPStatus(int(status)).phrase,
    )
    response = Response(text, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response


def document() -> dict[str, Any]:
    """The OpenAPI document of the current app."""
    made = cast(APIFlask, current_app)._get_spec("json")
    return cast(dict[str, Any], made)


def _needs_key(spec: dict[str, Any]) -> bool:
    return {} not in spec["security"]


def kind(schema: dict[str, Any]) -> Markup:
    """A short description of the values that a schema accepts; models are links."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(PREFIX)
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    if variants := schema.get("anyOf", schema.get("oneOf")):
        return Markup(" or ").join(kind(each) for each in variants)
    if "enum" in schema:
        return Markup(", ").join(Markup("<code>{}</code>").format(each) for each in schema["enum"])
    if schema.get("type") == "array":
        return Markup("list of {}").format(kind(schema.get("items", {})))
    if isinstance(values := schema.get("additionalProperties"), dict):
        return Markup("object of {}").format(kind(values))
    name = FORMATS.get(schema.get("format", "")) or schema.get("type", "any JSON")
    return Markup("{}{}").format(name, _bounds(schema))


def code(text: str) -> Markup:
    """The text as HTML; parts in backticks become code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def _bounds(schema: dict[str, Any]) -> str:
    if "minimum" in schema and "maximum" in schema and schema["maximum"] < 2**62:
        return f" {schema['minimum']}–{schema['maximum']}"
    return ""


def _groups(spec: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Operations by tag, grouped by path."""
    groups: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in spec["tags"]}
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            entry = {"method": method.upper(), "path": path, "curl": _curl(method, path, operation), **operation}
            groups[operation["tags"][0]].append(entry)
    return groups


def _curl(method: str, path: str, operation: dict[str, Any]) -> str:
    """An example command for the operation, with curl."""
    for name, sample in SAMPLES.items():
        path = path.replace(name, sample)
    options = operation.get("x-curl", {"post": "-X POST", "delete": "-X DELETE"}.get(method, ""))
    key = "-H 'Authorization: Bearer KEY'" if _needs_key(document()) and operation.get("security") != [] else ""
    query = operation.get("x-query", "")
    return " ".join(part for part in ("curl", key, options, f"'{base()}{path}{query}'") if part)
