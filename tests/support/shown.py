"""What the OpenAPI document shows, sent to a service: each of its requests, and whether it is answered as shown."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

QUERIES = {"get_outliers": {"label": "category"}}
OPEN = {
    "attributes",
    "parameters",
    "result",
    "other_kinds",
    "common",
    "in_common",
    "filter",
    "indexed_attributes",
    "catalogs",
}
"""Fields whose names are those of a shop."""
SOMETIMES = {"notes", "warnings"}
"""Fields of what there is not always something to say."""
FIRST = ("decide_duplicates", "undo_decision")
"""Puts of the product give it another picture, and so make another group."""
LAST = ("delete_catalog",)


@dataclass(frozen=True)
class Answer:
    """What a service answers; `json` where it is JSON."""

    status: int
    mimetype: str
    text: str
    json: Any


Ask = Callable[..., Answer]
"""Asks with a method, a path, a query, and `json`, or `data` and `files` (text and files of a form, by name), or
`content` with its `content_type`."""


def differences_of_all(
    document: Any, ask: Ask, places: Mapping[str, str], picture: bytes, instead: Mapping[str, dict[str, Any]]
) -> list[str]:
    """Sends every request that a document shows.

    Args:
        document: The OpenAPI document.
        ask: Asks the service that it describes, by the way that is tested.
        places: What stands in place of the names of a path.
        picture: What stands in place of files.
        instead: By operation, what is sent in place of what is shown: secrets that nobody has.

    Returns:
        Each place where an answer is another one than what the document shows.
    """
    found: list[str] = []
    sent = 0
    operations = [(method.upper(), path, each) for path, of in document["paths"].items() for method, each in of.items()]
    for method, path, operation in sorted(operations, key=_turn):
        name = {"name": "shop" if "/keys" in path else "floral"}
        id = operation["operationId"]
        for shown in requests(operation, picture):
            request = instead.get(id, shown)
            answer = ask(method, path.format(**{**places, **name}), QUERIES.get(id), **request)
            sent += 1
            found += [f"{id} {[*request]} {each}" for each in wrong(document, operation, answer)]
    assert sent > len(operations)
    return found


def requests(operation: Any, picture: bytes) -> Iterator[dict[str, Any]]:
    """What is sent of an operation: each body that it shows; files are pictures."""
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        yield {}
    for media, body in content.items():
        example = body.get("example")
        if media == "application/json":
            yield {"json": example}
        elif media == "multipart/form-data":
            files = {name for name, part in example.items() if isinstance(part, str)}
            yield {
                "data": {name: json.dumps(part) for name, part in example.items() if name not in files},
                "files": dict.fromkeys(sorted(files), picture),
            }
        else:
            type = media.replace("*", "png")
            yield {"content": picture if example is None else example.encode(), "content_type": type}


def _differences(shown: Any, found: Any, place: str = "") -> Iterator[str]:
    """Where an answer has other fields than what is shown."""
    if isinstance(shown, dict) and isinstance(found, dict) and place.rpartition(".")[2] not in OPEN:
        yield from (f"{place}.{name}" for name in sorted((shown.keys() ^ found.keys()) - SOMETIMES))
        for name in sorted(shown.keys() & found.keys()):
            yield from _differences(shown[name], found[name], f"{place}.{name}")
    elif isinstance(shown, list) and isinstance(found, list) and shown and found:
        yield from _differences(shown[0], found[0], f"{place}[]")


def wrong(document: Any, operation: Any, answer: Answer) -> Iterator[str]:
    """In what an answer is not what the document shows."""
    if answer.status >= 300:
        yield f"{answer.status}: {answer.text}"
        return
    told = operation["responses"][str(answer.status)].get("content", {}).get(answer.mimetype, {})
    if answer.mimetype == "application/json":
        schema = {"components": document["components"], **told["schema"]}
        yield from (error.message for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(answer.json))
        yield from _differences(told["example"], answer.json)


def _turn(each: tuple[str, str, Any]) -> tuple[bool, bool, bool]:
    """When an operation is asked for: what is needed for the others goes last."""
    method, _, operation = each
    name = operation["operationId"]
    return name not in FIRST, method == "DELETE" and name not in FIRST, name in LAST
