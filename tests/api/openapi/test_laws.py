"""What holds of the whole OpenAPI document, so that clients that are generated from it work."""

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from api.app import create_app
from api.openapi.document import Document, more
from api.responses.problems import statuses
from services.settings import Settings

Law = Callable[[Any], Iterator[str]]


@pytest.fixture(scope="module")
def document() -> Any:
    nothing: Any = None
    parts = dict.fromkeys(("catalogs", "ledger", "media", "fetch", "wake"), nothing)
    app = create_app(settings=Settings(), keyring=None, metrics=CollectorRegistry(), **parts)
    return app.test_client().get("/openapi.json").json


def operations(document: Any) -> Iterator[tuple[str, Any]]:
    for path, of in document["paths"].items():
        for method, each in of.items():
            yield f"{method.upper()} {path}", each


def bodies(document: Any) -> Iterator[tuple[str, Any]]:
    """What requests, answers and problems hold, by media type."""
    for name, each in operations(document):
        for media, content in each.get("requestBody", {}).get("content", {}).items():
            yield f"{name} {media}", content
        for status, answer in each["responses"].items():
            for media, content in answer.get("content", {}).items():
                yield f"{name} {status} {media}", content
    for name, answer in document["components"]["responses"].items():
        for media, content in answer["content"].items():
            yield f"{name} {media}", content


def schemas(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """All schemas inside a value, with the place of each."""
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from schemas(each, f"{place}/{number}")
    elif isinstance(value, dict):
        yield place, value
        for key, each in value.items():
            if key not in ("example", "examples") or (isinstance(each, dict) and place.endswith("/properties")):
                yield from schemas(each, f"{place}/{key}")


def is_bytes(schema: Any) -> bool:
    return schema.get("format") == "binary"


def described(document: Any) -> Iterator[str]:
    for name, each in operations(document):
        yield from (f"{name} has no {word}" for word in ("summary", "description") if not each.get(word))
        for parameter in each["parameters"]:
            if not parameter.get("description"):
                yield f"{name} {parameter['name']}"
    for name, schema in document["components"]["schemas"].items():
        if not schema.get("description"):
            yield name
        for field, each in schema.get("properties", {}).items():
            if not each.get("description") and "$ref" not in each:
                yield f"{name}.{field}"


def named(document: Any) -> Iterator[str]:
    """Objects with fields are models that have names; generators number others."""
    for place, schema in schemas(document["paths"]):
        if isinstance(schema.get("properties"), dict):
            yield place
    for name, model in document["components"]["schemas"].items():
        for place, schema in schemas(model):
            if place and not place.endswith("/properties") and isinstance(schema.get("properties"), dict):
                yield f"{name}{place}"


def shown(document: Any) -> Iterator[str]:
    for name, content in bodies(document):
        if "example" not in content and not is_bytes(content["schema"]):
            yield name


def right(document: Any) -> Iterator[str]:
    """Examples are what their schemas say."""
    for name, content in bodies(document):
        if "example" in content:
            whole = {"components": document["components"], **content["schema"]}
            for error in jsonschema_rs.Draft202012Validator(whole).iter_errors(content["example"]):
                yield f"{name}: {error.message}"


def open_attributes(document: Any) -> Iterator[str]:
    if document["components"]["schemas"]["Attributes"]["additionalProperties"] is not True:
        yield "Attributes"
    for name, schema in document["components"]["schemas"].items():
        attributes = schema.get("properties", {}).get("attributes")
        if attributes and attributes.get("type") != "array" and "Attributes" not in attributes.get("$ref", ""):
            yield name


def without_defaults(document: Any) -> Iterator[str]:
    """Generators send defaults, and ask for fields that have one."""
    for place, schema in schemas(document):
        if "default" in schema and not place.endswith(("/properties", "/responses")):
            yield place


def plain_parameters(document: Any) -> Iterator[str]:
    """Generators send an object as no JSON, or not at all."""
    for name, each in operations(document):
        for parameter in each["parameters"]:
            schema = parameter.get("schema", {})
            schema = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
            kinds = {schema.get("type"), schema.get("items", schema).get("type")}
            if not kinds <= {"string", "integer", "number", "boolean", "array"} or "content" in parameter:
                yield f"{name} {parameter['name']}"


def problems(document: Any) -> Iterator[str]:
    """Each status has one problem, of a code that has this status."""
    answers = document["components"]["responses"]
    for name, each in operations(document):
        for status, answer in each["responses"].items():
            if "$ref" in answer:
                example = answers[answer["$ref"].rpartition("/")[2]]["content"]["application/problem+json"]["example"]
                if int(status) != example["status"] or statuses()[example["code"]] != example["status"]:
                    yield f"{name} {status}"


def served(document: Any) -> Iterator[str]:
    if not document["servers"] or not all(each["url"] and each["description"] for each in document["servers"]):
        yield "servers"


LAWS: list[Law] = [
    *(described, named, shown, right, open_attributes, without_defaults, plain_parameters, problems, served),
]
SEARCH = ("paths", "/v1/catalogs/{catalog}/search", "post")
JOB = ("components", "schemas", "Job")
OF_SEARCH = (*SEARCH, "requestBody", "content", "application/json")
FILTER = {"$ref": "#/components/schemas/Filter"}
INLINE = {"type": "object", "properties": {}, "description": "It has no name."}
FAULTS: list[tuple[Law, tuple[str, ...], Any]] = [
    (described, (*SEARCH, "description"), ""),
    (described, (*JOB, "description"), ""),
    (described, (*JOB, "properties", "total"), {"type": "integer"}),
    (described, (*SEARCH, "parameters"), [{"in": "query", "name": "limit", "schema": {"type": "integer"}}]),
    (named, (*OF_SEARCH, "schema"), INLINE),
    (named, ("components", "schemas", "Match", "anyOf"), [INLINE]),
    (shown, OF_SEARCH, {"schema": {"$ref": "#/components/schemas/Search"}}),
    (right, (*OF_SEARCH, "example"), {"product": "sku-1"}),
    (right, ("components", "responses", "Busy", "content", "application/problem+json", "example"), {}),
    (open_attributes, ("components", "schemas", "Attributes", "additionalProperties"), False),
    (open_attributes, ("components", "schemas", "Product", "properties", "attributes"), {"type": "object"}),
    (without_defaults, (*JOB, "properties", "total"), {"type": "integer", "default": 0}),
    (without_defaults, (*JOB, "properties", "total"), {"type": "object", "default": {}}),
    (plain_parameters, (*SEARCH, "parameters"), [{"name": "filter", "schema": FILTER}]),
    (plain_parameters, (*SEARCH, "parameters"), [{"name": "filter", "content": {"application/json": {}}}]),
    (problems, (*SEARCH, "responses", "404"), {"$ref": "#/components/responses/Busy"}),
    (served, ("servers",), []),
]  # fmt: skip


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_document_is(law: Law, document: Any) -> None:
    assert [*law(document)] == []


@pytest.mark.parametrize(("law", "place", "fault"), FAULTS)
def test_a_fault_of_the_document_is_found(law: Law, place: tuple[str, ...], fault: Any, document: Any) -> None:
    planted = copy.deepcopy(document)
    *path, last = place
    inside = planted
    for each in path:
        inside = inside[each]
    assert last in inside
    inside[last] = fault
    assert [*law(planted)] != []


def test_every_law_is_shown_a_fault() -> None:
    assert {law for law, *_ in FAULTS} == {*LAWS}


def test_two_models_of_one_name_are_refused() -> None:
    def of(module: str, **fields: Any) -> type[BaseModel]:
        return type("Wanted", (BaseModel,), {"__annotations__": fields, "__module__": module})

    def spec(*models: type[BaseModel]) -> dict[str, Any]:
        paths = {
            f"/{number}": {
                "post": {
                    "operationId": "find",
                    "parameters": [],
                    "responses": {},
                    **more(body={"application/json": model}),
                }
            }
            for number, model in enumerate(models)
        }
        return {"paths": paths, "tags": []}

    same = of("a", name=str)
    assert "Wanted" in Document(keys=False).complete(spec(same, same))["components"]["schemas"]
    with pytest.raises(ValueError, match=re.escape("called Wanted")):
        Document(keys=False).complete(spec(same, of("b", name=int)))
