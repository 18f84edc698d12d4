"""A query as a request holds it: JSON, or a form with pictures."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from flask import request

from api.errors import Fault, RequestInvalid
from api.requests import navigation, strict_json
from api.requests.body import MAX_JSON, checked, json_body, unsupported
from api.requests.images import pictures_form
from services.query.query import Query
from services.query.terms import DirectionTerm, Example, ImageTerm, Operand, ProductTerm, Term, VectorTerm

Wanted = TypeVar("Wanted", navigation.Query, navigation.Path)


def asked(model: type[Wanted]) -> tuple[Wanted, Mapping[str, bytes]]:
    """The query or path of this request, and the pictures that came with it, by the names of their parts.

    Raises `RequestError`s, `ImageError`s.
    """
    if request.mimetype == "application/json":
        return json_body(model), {}
    if request.mimetype != "multipart/form-data":
        raise unsupported("application/json", "multipart/form-data")
    parts = pictures_form(navigation.PICTURES, {"query": MAX_JSON})
    if "query" not in parts:
        raise refused("query", "the form needs this part, with the query as JSON")
    query = parts.pop("query")
    wanted = checked(model, strict_json.parsed(query, "query"))
    _check_used(wanted, parts)
    return wanted, parts


def to_query(
    wanted: navigation.Query, pictures: Mapping[str, bytes], fetched: Mapping[str, bytes] | None, offset: int
) -> Query:
    """The query of the catalog. `fetched` are the pictures at its URLs; None: they are not known yet, and empty. Raises
    `RequestError`s."""

    def example(field: str, each: navigation.Example) -> Example:
        return to_example(field, each, pictures, fetched)

    def operand(field: str, each: navigation.Term) -> Operand:
        return DirectionTerm(each.direction) if each.direction is not None else example(field, each)

    return Query(
        near=tuple(Term(operand(f"near[{at}]", each), each.weight) for at, each in enumerate(wanted.near)),
        like=tuple(example(f"like[{at}]", each) for at, each in enumerate(wanted.like)),
        unlike=tuple(example(f"unlike[{at}]", each) for at, each in enumerate(wanted.unlike)),
        exclude=tuple(wanted.exclude),
        offset=offset,
        **{name: getattr(wanted, name) for name in _SAME},
    )


_SAME = (
    *("filter", "min_score", "min_percentile", "color_weight", "rerank", "diversity", "group_by", "group_size"),
    *("limit", "explain"),
)


def to_example(
    field: str, each: navigation.Example, pictures: Mapping[str, bytes], fetched: Mapping[str, bytes] | None
) -> Example:
    """One term without its weight; `field` says where it is. Raises `RequestInvalid`."""
    if each.product_id is not None:
        return ProductTerm(each.product_id)
    if each.image_url is not None:
        return ImageTerm(b"" if fetched is None else fetched[each.image_url], each.image_url)
    if each.image is not None:
        if each.image not in pictures:
            raise refused(f"{field}.image", f"the form has no part {each.image}; add it, or leave the term out")
        return ImageTerm(pictures[each.image], each.image)
    with np.errstate(over="ignore"):
        return VectorTerm(np.array(each.vector, np.float32), field)


def _check_used(wanted: navigation.Query | navigation.Path, pictures: Mapping[str, bytes]) -> None:
    examples = (
        (wanted.start, wanted.end)
        if isinstance(wanted, navigation.Path)
        else (*wanted.near, *wanted.like, *wanted.unlike)
    )
    if unused := sorted(pictures.keys() - {each.image for each in examples}):
        raise refused(unused[0], "no term of the query names this part; leave it out, or name it")


def refused(field: str, why: str) -> RequestInvalid:
    """What is wrong with a field of the request."""
    return RequestInvalid([Fault(f"{field}: {why}.", RequestInvalid.code, field)])
