"""What is asked of a catalog: searches, queries and facets."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

from lookalike.changes import bytes_of
from lookalike.filters import FilterLike, filter_json
from lookalike.records import Answer, Facets, answer_of, facets_of
from lookalike.retries import asked
from lookalike.steps import ANSWER_SECONDS, Call, Request, Steps
from lookalike.terms import Pictures, TermLike
from lookalike.vectors import VectorLike, to_list
from lookalike.wire import SLOW_SECONDS, dumped, form, given, product_path, read, with_json


class SearchOptions(TypedDict, total=False):
    """How much of what is near, and of which products; what is left out is as the service has it.

    `limit` is 1 to 1000 (10), `cursor` the `next` of the page before; `color_weight` is for tuned features.
    """

    limit: int
    offset: int
    cursor: str
    filter: FilterLike
    min_score: float
    color_weight: float
    rerank: bool


class QueryOptions(SearchOptions, total=False):
    """More of queries: see the HTTP API."""

    exclude: Sequence[str]
    min_percentile: float
    diversity: float
    group_by: str
    group_size: int
    explain: bool


class Searches:
    """Asks one catalog; each method makes the steps of a question.

    Args:
        path: The catalog's.
        patience: Seconds in which a request is sent again.
    """

    def __init__(self, path: str, patience: float) -> None:
        self._path = path
        self._patience = patience

    def neighbors(self, product_id: str, options: SearchOptions) -> Steps[Answer]:
        fields = _options(options)
        if "filter" in fields:
            fields["filter"] = dumped(fields["filter"])
        path = f"{product_path(self._path, product_id)}/neighbors"
        return answer_of((yield from asked(read(path, fields), self._patience)))

    def search(
        self,
        options: SearchOptions,
        *,
        product_id: str | None = None,
        image: Path | bytes | str | None = None,
        vector: VectorLike | None = None,
    ) -> Steps[Answer]:
        if sum(each is not None for each in (product_id, image, vector)) != 1:
            raise ValueError("give exactly one of product_id, image and vector")
        fields = _options(options)
        if isinstance(image, Path | bytes):
            files = [("image", (yield Call(partial(bytes_of, image))))]
            return answer_of((yield from asked(self._form("search", {"query": fields}, files), self._patience)))
        way = {"product_id": product_id, "image_url": image, "vector": None if vector is None else to_list(vector)}
        return answer_of((yield from self._json("search", fields | given(way), is_slow=image is not None)))

    def query(
        self, near: Sequence[TermLike], like: Sequence[TermLike], unlike: Sequence[TermLike], options: QueryOptions
    ) -> Steps[Answer]:
        pictures = Pictures()
        terms = {name: pictures.written(each) for name, each in (("near", near), ("like", like), ("unlike", unlike))}
        fields = {name: each for name, each in terms.items() if each} | _options(options)
        return answer_of((yield from self._with(pictures, "query", fields)))

    def path(
        self, start: TermLike, end: TermLike, steps: int | None, filter: FilterLike | None, color_weight: float | None
    ) -> Steps[Answer]:
        pictures = Pictures()
        fields = {"start": pictures.one(start), "end": pictures.one(end), "steps": steps, "color_weight": color_weight}
        fields["filter"] = None if filter is None else filter_json(filter)
        return answer_of((yield from self._with(pictures, "path", given(fields))))

    def facets(self, attributes: Sequence[str], filter: FilterLike | None, limit: int | None) -> Steps[list[Facets]]:
        wanted = given(
            {"attributes": [*attributes], "limit": limit, "filter": None if filter is None else filter_json(filter)}
        )
        return [facets_of(each) for each in (yield from self._json("facets", wanted))["facets"]]

    def _with(self, pictures: Pictures, what: str, fields: dict[str, Any]) -> Steps[Any]:
        if not pictures:
            # Directions may be learned anew for it.
            return (yield from self._json(what, fields, is_slow=True))
        files = yield Call(pictures.files)
        return (yield from asked(self._form(what, {"query": fields}, files), self._patience))

    def _json(self, what: str, fields: dict[str, Any], *, is_slow: bool = False) -> Steps[Any]:
        seconds = SLOW_SECONDS if is_slow else ANSWER_SECONDS
        return (yield from asked(with_json("POST", f"{self._path}/{what}", fields, seconds=seconds), self._patience))

    def _form(self, what: str, fields: dict[str, Any], files: Sequence[tuple[str, bytes]]) -> Request:
        headers, body = form(fields, files)
        return Request(
            *("POST", f"{self._path}/{what}"), headers=headers, body=body, is_safe=True, seconds=SLOW_SECONDS
        )


def _options(options: SearchOptions | QueryOptions) -> dict[str, Any]:
    """The options as JSON."""
    fields: dict[str, Any] = given(options)
    if "filter" in fields:
        fields["filter"] = filter_json(fields["filter"])
    return fields
