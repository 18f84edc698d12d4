"""Facets as answers hold them."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.requests.kinds import AttributeKind
from services.catalog import facets

Count = Annotated[int, Field(ge=0)]


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FacetValue(_Response):
    value: str | int | bool
    count: Annotated[Count, Field(description="How many products have it.")]


class Bin(_Response):
    start: Annotated[int | float, Field(description="Its smallest number.")]
    end: Annotated[int | float, Field(description="Where the next one starts.")]
    count: Annotated[Count, Field(description="How many products have a number in it.")]


class Numbers(_Response):
    count: Annotated[Count, Field(description="How many products have a number.")]
    min: Annotated[int | float | None, Field(description="null: no product has one.")]
    max: int | float | None
    histogram: Annotated[list[Bin], Field(description="Up to 12 bins of one width, which meet.")]


class AttributeFacets(_Response):
    key: str
    kind: AttributeKind
    values: Annotated[
        list[FacetValue] | None, Field(description="The most frequent first, then by value; null for float.")
    ]
    numbers: Annotated[Numbers | None, Field(description="Of integer and float; null for the others.")]


def to_schemas(found: Iterable[facets.AttributeFacets]) -> list[AttributeFacets]:
    return [AttributeFacets.model_validate(asdict(each)) for each in found]
