"""Neighbors as the API shows them."""

from collections.abc import Iterable
from dataclasses import asdict

from api.responses import navigation as shown
from api.responses import schemas
from api.responses.links import Signing
from services.records import Answer, Explanation, Neighbor


def to_schemas(found: Iterable[Neighbor], signing: Signing | None = None) -> list[schemas.Neighbor]:
    """Neighbors as the API shows them, with URLs of their pictures where these are signed."""
    return [
        schemas.Neighbor(
            product_id=each.product_id,
            score=each.score,
            percentile=each.percentile,
            likeness=each.likeness,
            attributes=dict(each.attributes),
            signed=signing.urls(each.product_id, each.image) if signing else None,
        )
        for each in found
    ]


def to_answers(found: Iterable[Neighbor], signing: Signing | None = None) -> list[shown.Answer]:
    """The same of a query."""
    found = [*found]
    return [
        shown.Answer(**told.model_dump(), group=each.group, explanation=_explanation(each.explanation))
        for each, told in zip(found, to_schemas(found, signing), strict=True)
    ]


def to_answer(
    found: Answer, next: str | None, warnings: list[schemas.FilterWarning], signing: Signing | None = None
) -> shown.Answers:
    """A page of what a query found."""
    return shown.Answers(
        neighbors=to_answers(found.neighbors, signing),
        good=found.good,
        color_weight=found.color_weight,
        next=next,
        notes=[shown.Note(code=each.code, message=each.message) for each in found.notes],
        warnings=warnings,
    )


def _explanation(found: Explanation | None) -> shown.Explanation | None:
    if found is None:
        return None
    terms = [shown.TermShare(**asdict(each)) for each in found.terms]
    return shown.Explanation(terms=terms, in_common=dict(found.in_common))
