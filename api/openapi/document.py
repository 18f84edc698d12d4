"""The OpenAPI document: what APIFlask knows of the routes, and what it cannot know."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from api.access.public_url import PublicUrl
from api.openapi import problems, words
from api.openapi.answers import ACCEPTED, ANSWERS, TEXTS
from api.openapi.handwritten import COMPONENTS, CONTENT_ENCODING, IDEMPOTENCY_KEY, PATH
from api.openapi.references import PREFIX, reference
from api.openapi.requests import REQUESTS

Schema = type[BaseModel] | dict[str, Any]
BINARY = {"type": "string", "format": "binary"}
SERVERS = [{"url": "/", "description": "The service that this document came from."}]


@dataclass(frozen=True, slots=True)
class More:
    """What `more` adds to what APIFlask finds out about an operation."""

    problems: tuple[int, ...] = ()
    body: Mapping[str, Schema] = field(default_factory=dict)
    answers: Mapping[int, tuple[str, Mapping[str, Schema]]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    models: tuple[type[BaseModel], ...] = ()
    accepts: bool = False
    is_open: bool = False
    curl: str | None = None
    query: str = ""


def more(
    *problems: int,
    body: Mapping[str, Schema] | None = None,
    answers: Mapping[int, tuple[str, Mapping[str, Schema]]] | None = None,
    headers: Mapping[str, str] | None = None,
    models: tuple[type[BaseModel], ...] = (),
    accepts: bool = False,
    is_open: bool = False,
    curl: str | None = None,
    query: str = "",
) -> dict[str, Any]:
    """Describes an operation, for `doc(extensions=...)`.

    Args:
        problems: Statuses of problems, beside those that every operation has.
        body: Schemas of bodies by media type.
        answers: Further answers by status: a description, and schemas by media type.
        headers: Headers of good answers, with their descriptions.
        models: Models that the schemas refer to.
        accepts: Whether changes are accepted, and so an Idempotency-Key.
        is_open: Whether no API key is needed.
        curl: Options of curl for an example.
        query: The query of the example's URL.
    """
    return {"x-more": More(problems, body or {}, answers or {}, headers or {}, models, accepts, is_open, curl, query)}


class Document:
    """Completes the document that APIFlask makes; `keys`: whether API keys are needed; `public`: where it is."""

    def __init__(self, *, keys: bool, public: PublicUrl | None = None) -> None:
        self._keys = keys
        self._public = public
        self._models: list[tuple[str, Any]] = []
        self._statuses: set[int] = set()

    def complete(self, spec: dict[str, Any]) -> dict[str, Any]:
        for operations in spec["paths"].values():
            for operation in operations.values():
                self._operation(operation, operation.pop("x-more", More()))
        components = spec.setdefault("components", {})
        of_answers = components.get("schemas", {})
        components["schemas"] = _plainly_named([*of_answers.items(), *self._models, *COMPONENTS.items()])
        components["responses"] = problems.answers(self._statuses)
        spec["tags"] = [{"name": name} for name in dict.fromkeys(tag["name"] for tag in spec["tags"])]
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        # Where none is needed, one may be sent: a generated client is the same for both.
        spec["security"] = [{"key": []}] if self._keys else [{}, {"key": []}]
        # Without a public URL, paths are below the root of wherever the document was read.
        spec["servers"] = (
            [{"url": str(self._public), "description": "Where others reach it."}] if self._public else SERVERS
        )
        spec["jsonSchemaDialect"] = "https://json-schema.org/draft/2020-12/schema"
        cleaned: dict[str, Any] = _cleaned(spec)
        return cleaned

    def _operation(self, operation: dict[str, Any], added: More) -> None:
        parameters = operation["parameters"]
        for parameter in parameters:
            _parameter(parameter)
        if added.accepts:
            parameters.append(IDEMPOTENCY_KEY)
        if added.body:
            parameters.append(CONTENT_ENCODING)
            examples = REQUESTS.get(operation["operationId"], {})
            content = self._content(added.body)
            content |= {media: content[media] | {"example": example} for media, example in examples.items()}
            operation["requestBody"] = {"required": True, "content": content}
        if added.is_open:
            operation["security"] = []
        for model in added.models:
            self._schema(model)
        if added.curl is not None:
            operation["x-curl"] = added.curl
        if added.query:
            operation["x-query"] = added.query
        self._answers(operation["responses"], added)

    def _answers(self, responses: dict[str, Any], added: More) -> None:
        for status, (description, content) in added.answers.items():
            responses[str(status)] = {"description": description, "content": self._content(content)}
        headers = {name: _header(description) for name, description in added.headers.items()}
        for code, response in responses.items():
            response["headers"] = {**problems.REQUEST_ID, **headers}
            for media, content in response.get("content", {}).items():
                content |= _example(media, content["schema"], str(code))
        inside = () if added.is_open else (401 if self._keys else 403,)
        statuses = {400, *inside, *added.problems, 422, 500}
        if not self._keys:
            statuses.discard(401)
        self._statuses |= statuses
        for each in sorted(statuses):
            responses.setdefault(str(each), problems.answer(each))

    def _content(self, content: Mapping[str, Schema]) -> dict[str, Any]:
        return {media: {"schema": self._schema(schema)} for media, schema in content.items()}

    def _schema(self, schema: Schema) -> dict[str, Any]:
        if isinstance(schema, dict):
            return schema
        name = schema.__name__
        made = schema.model_json_schema(ref_template=f"{PREFIX}{name}.{{model}}")
        self._models += [*made.pop("$defs", {}).items(), (name, made)]
        return reference(name)


def _parameter(parameter: dict[str, Any]) -> None:
    name = parameter["name"]
    if parameter["in"] == "path":
        parameter |= {"required": True, "schema": dict(PATH[name])}
    else:
        parameter["schema"] = _cleaned(_told(parameter["schema"], words.of_parameter(name)))
    if "description" in parameter["schema"]:
        parameter["description"] = parameter["schema"].pop("description")


def _example(media: str, schema: dict[str, Any], status: str) -> dict[str, Any]:
    """What an answer of that media type may be; nothing of what is bytes."""
    if media in TEXTS:
        return {"example": TEXTS[media]}
    name = schema.get("$ref", "").removeprefix(PREFIX).rpartition(".")[2]
    shown = ACCEPTED.get(name) if status == "202" else None
    shown = shown or ANSWERS.get(name)
    return {} if shown is None else {"example": shown}


def _plainly_named(models: list[tuple[str, Any]]) -> dict[str, Any]:
    """Models by their own names, which pydantic puts others before. Raises `ValueError` where two that are not the same
    share one: a client would take one for the other."""
    found: dict[str, Any] = {}
    for long_name, model in models:
        name = long_name.rpartition(".")[2]
        cleaned = _cleaned(_worded(name, model))
        if found.setdefault(name, cleaned) != cleaned:
            raise ValueError(f"Two schemas of the OpenAPI document are called {name}; rename one of the models.")
    return found


def _worded(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """With a description of the schema and of each field that has none."""
    schema = _told(schema, words.SCHEMAS.get(name))
    if "properties" not in schema:
        return schema
    properties = {field: _told(each, words.of_field(name, field)) for field, each in schema["properties"].items()}
    return schema | {"properties": properties}


def _told(schema: dict[str, Any], words: str | None) -> dict[str, Any]:
    """With these words, where it has none of its own."""
    has_own = any("description" in each for each in (schema, *schema.get("anyOf", ())))
    return schema if has_own or words is None else {"description": words, **schema}


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _cleaned(value: Any) -> Any:
    """Without Pydantic's titles; what may be left out, but is never null, without its null; with references where it
    could make none, and all to the plain names of models."""
    if isinstance(value, list):
        return [_cleaned(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "default" in value and value["default"] is None:
        value = _not_null(value)
    value = _default_told(value)
    if "x-schema" in value:
        told = {"description": value["description"]} if "description" in value else {}
        return reference(value["x-schema"]) | told
    if str(value.get("$ref", "")).startswith(PREFIX):
        value = value | {"$ref": PREFIX + value["$ref"].removeprefix(PREFIX).rpartition(".")[2]}
    is_schema = "type" in value or "$ref" in value or "anyOf" in value
    drop = {"title"} if is_schema and isinstance(value.get("title"), str) else set()
    # An example is no schema, whatever its names are; a field may be called examples.
    is_example = {
        key for key, each in value.items() if key == "example" or (key == "examples" and isinstance(each, list))
    }
    return {key: each if key in is_example else _cleaned(each) for key, each in value.items() if key not in drop}


def _default_told(schema: dict[str, Any]) -> dict[str, Any]:
    """What is taken in the place of a field that is left out, in words for people.

    Generated clients send what is called `default`, also where a parameter goes with other bodies only, and ask for
    fields that have one.
    """
    default = schema.get("default")
    # A response that is called default, or a property.
    if default is None or (isinstance(default, dict) and default):
        return schema
    told = f"If left out: {json.dumps(default) if default not in ([], {}) else 'none'}."
    rest = {key: each for key, each in schema.items() if key != "default"}
    return rest | {"description": f"{schema['description']} {told}" if "description" in schema else told}


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    [inner] = [each for each in schema["anyOf"] if each != {"type": "null"}]
    return {**inner, **{key: each for key, each in schema.items() if key not in ("anyOf", "default")}}
