"""The OpenAPI document: what APIFlask knows of the routes, and what it cannot know."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from api.access.public_url import PublicUrl
from api.openapi.handwritten import COMPONENTS, CONTENT_ENCODING, IDEMPOTENCY_KEY, PATH
from api.responses.problems import MEDIA_TYPE, RETRY_AFTER

Schema = type[BaseModel] | dict[str, Any]
PREFIX = "#/components/schemas/"
BINARY = {"type": "string", "format": "binary"}


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
        self._models: dict[str, Any] = {}

    def complete(self, spec: dict[str, Any]) -> dict[str, Any]:
        for operations in spec["paths"].values():
            for operation in operations.values():
                self._operation(operation, operation.pop("x-more", More()))
        components = spec.setdefault("components", {})
        made = {**components.get("schemas", {}), **self._models}
        components["schemas"] = {name.rpartition(".")[2]: each for name, each in made.items()} | COMPONENTS
        spec["tags"] = [{"name": name} for name in dict.fromkeys(tag["name"] for tag in spec["tags"])]
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        # Where none is needed, one may be sent: a generated client is the same for both.
        spec["security"] = [{"key": []}] if self._keys else [{}, {"key": []}]
        # Without a public URL, paths are below the root of wherever the document was read.
        spec["servers"] = [{"url": str(self._public or "/")}]
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
            operation["requestBody"] = {"required": True, "content": self._content(added.body)}
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
        for response in responses.values():
            response["headers"] = {"X-Request-Id": _header("Names the request in the logs."), **headers}
        inside = () if added.is_open else (401 if self._keys else 403,)
        problems = {400, *inside, *added.problems, 422, 500}
        for status in sorted(problems if self._keys else problems - {401}):
            responses.setdefault(str(status), _problem(status))

    def _content(self, content: Mapping[str, Schema]) -> dict[str, Any]:
        return {media: {"schema": self._schema(schema)} for media, schema in content.items()}

    def _schema(self, schema: Schema) -> dict[str, Any]:
        if isinstance(schema, dict):
            return schema
        name = schema.__name__
        made = schema.model_json_schema(ref_template=f"{PREFIX}{name}.{{model}}")
        self._models |= {f"{name}.{inner}": each for inner, each in made.pop("$defs", {}).items()}
        self._models[name] = made
        return {"$ref": PREFIX + name}


def _parameter(parameter: dict[str, Any]) -> None:
    if parameter["in"] == "path":
        parameter |= {"required": True, "schema": PATH[parameter["name"]]}
        return
    schema = parameter["schema"] = _default_told(parameter["schema"])
    if "description" in schema:
        parameter["description"] = schema.pop("description")
    if "x-schema" in str(schema):
        # Its text is JSON.
        parameter["content"] = {"application/json": {"schema": parameter.pop("schema")}}


def _problem(status: int) -> dict[str, Any]:
    headers = {"X-Request-Id": _header("Names the request in the logs.")}
    if status in RETRY_AFTER:
        headers["Retry-After"] = _header("Seconds.")
    if status == 415:
        headers["Accept-Encoding"] = _header("Those that are taken, where it is the content coding that is not.")
    if status == 401:
        headers["WWW-Authenticate"] = _header("Bearer")
    return {
        "description": HTTPStatus(status).phrase,
        "headers": headers,
        "content": {MEDIA_TYPE: {"schema": {"$ref": PREFIX + "Problem"}}},
    }


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
        return {"$ref": PREFIX + value["x-schema"]}
    if str(value.get("$ref", "")).startswith(PREFIX):
        value = value | {"$ref": PREFIX + value["$ref"].removeprefix(PREFIX).rpartition(".")[2]}
    is_schema = "type" in value or "$ref" in value or "anyOf" in value
    drop = {"title"} if is_schema and isinstance(value.get("title"), str) else set()
    return {key: _cleaned(each) for key, each in value.items() if key not in drop}


def _default_told(schema: dict[str, Any]) -> dict[str, Any]:
    """What is taken in the place of a field that is left out, in words for people.

    Generated clients send what is called `default`, also where a parameter goes with other bodies only, and ask for
    fields that have one.
    """
    default = schema.get("default")
    if default is None or isinstance(default, dict):
        return schema
    told = f"If left out: {json.dumps(default) if default != [] else 'none'}."
    rest = {key: each for key, each in schema.items() if key != "default"}
    return rest | {"description": f"{schema['description']} {told}" if "description" in schema else told}


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    [inner] = [each for each in schema["anyOf"] if each != {"type": "null"}]
    return {**inner, **{key: each for key, each in schema.items() if key not in ("anyOf", "default")}}
