"""Queries of a running service, for commands: what they use of `Catalog`, over HTTP."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from api.client.connection import Client
from api.client.wire import direction_path, to_neighbor
from services.errors import InvalidVector
from services.query.filters import Filter, as_json
from services.query.query import Query, check_path
from services.query.terms import DirectionTerm, Example, ImageTerm, Operand, ProductTerm
from services.records import Answer, Neighbor, Note


class Queries:
    """Asks one catalog of a service.

    Args:
        client: The connection to the service.
        path: The catalog's.
        slow_seconds: How long an answer may take for which the encoder is loaded, or a direction learned anew.
    """

    def __init__(self, client: Client, path: str, slow_seconds: float) -> None:
        self._client = client
        self._path = path
        self._slow_seconds = slow_seconds

    def query(self, query: Query) -> Answer:
        """See `Catalog.query`."""
        query.checked()
        pictures = _pictures(query.operands)
        body: dict[str, Any] = {
            "near": [self._operand(term.operand, pictures) | {"weight": term.weight} for term in query.near],
            "like": [self._operand(each, pictures) for each in query.like],
            "unlike": [self._operand(each, pictures) for each in query.unlike],
            "exclude": [*query.exclude],
            **{name: getattr(query, name) for name in _SAME},
            "filter": query.filter and as_json(query.filter),
        }
        is_slow = bool(pictures) or any(isinstance(each, DirectionTerm) for each in query.operands)
        answer = self._asked("query", body, pictures, is_slow=is_slow)
        return replace(answer, neighbors=[_named(each, _order(query)) for each in answer.neighbors])

    def path(
        self, start: Example, end: Example, steps: int, *, filter: Filter | None, color_weight: float | None
    ) -> Answer:
        """See `Catalog.path`."""
        check_path(start, end, steps, color_weight)
        pictures = _pictures((start, end))
        body = {
            "start": self._operand(start, pictures),
            "end": self._operand(end, pictures),
            "steps": steps,
            "filter": filter and as_json(filter),
            "color_weight": color_weight,
        }
        return self._asked("path", body, pictures, is_slow=bool(pictures))

    def _asked(self, what: str, body: Mapping[str, Any], pictures: Mapping[ImageTerm, str], *, is_slow: bool) -> Answer:
        body = {name: value for name, value in body.items() if value is not None}
        sent: dict[str, Any] = {"json": body}
        if pictures:
            parts: dict[str, tuple[str | None, Any]] = {"query": (None, json.dumps(body))}
            sent = {"files": parts | {name: (name, term.image) for term, name in pictures.items()}}
        if is_slow:
            sent["seconds"] = self._slow_seconds
        answer = self._client.json("POST", f"{self._path}/{what}", **sent)
        return Answer(
            neighbors=[to_neighbor(each) for each in answer["neighbors"]],
            good=answer["good"],
            color_weight=answer["color_weight"],
            notes=tuple(Note(each["code"], each["message"]) for each in answer.get("notes", [])),
        )

    def _operand(self, operand: Operand, pictures: Mapping[ImageTerm, str]) -> dict[str, Any]:
        match operand:
            case ProductTerm():
                return {"product_id": operand.product_id}
            case DirectionTerm():
                direction_path(self._path, operand.name)  # for what it raises
                return {"direction": operand.name}
            case ImageTerm():
                return {"image": pictures[operand]}
            case _:
                if not np.isfinite(operand.vector).all():
                    raise InvalidVector("The vector is not finite, so it points nowhere; give another.")
                return {"vector": operand.vector.tolist()}


_SAME = (
    *("min_score", "min_percentile", "color_weight", "rerank", "diversity", "group_by", "group_size"),
    *("limit", "offset", "explain"),
)


def _pictures(operands: Iterable[Operand]) -> dict[ImageTerm, str]:
    """The parts of a form that hold them, each once."""
    found = dict.fromkeys(each for each in operands if isinstance(each, ImageTerm))
    return {each: f"image_{number}" for number, each in enumerate(found, 1)}


def _order(query: Query) -> list[str]:
    """What the terms are called here, in the order in which shares are told: what adds up to a place, then the
    directions."""
    near = [term.operand for term in query.near]
    examples = [each for each in near if not isinstance(each, DirectionTerm)]
    directions = [each for each in near if isinstance(each, DirectionTerm)]
    return [each.written for each in (*examples, *query.like, *query.unlike, *directions)]


def _named(found: Neighbor, names: list[str]) -> Neighbor:
    """A neighbor whose explanation calls pictures what they are called here: a service knows their parts only."""
    if found.explanation is None or len(found.explanation.terms) != len(names):
        return found
    terms = [replace(each, term=name) for each, name in zip(found.explanation.terms, names, strict=True)]
    return replace(found, explanation=replace(found.explanation, terms=tuple(terms)))
