"""What requests hold that navigate a catalog, as models: queries, paths, directions. Used as `navigation.Query`."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from api.requests.models import (
    MAX_OFFSET,
    RERANK_TOLD,
    WEIGHT_TOLD,
    Cursor,
    FilterObject,
    FilterText,
    Finite,
    Flag,
    JsonBody,
    Key,
    Limit,
    QueryParameters,
)
from services.outbound.urls import MAX_URL
from services.query.filters import MAX_IDS
from services.query.query import MAX_COLOR_WEIGHT, MAX_EXCLUDED, MAX_GROUP, MAX_LIMIT, MAX_STEPS
from services.query.terms import MAX_TERMS, MAX_WEIGHT

PICTURES = tuple(f"image_{number}" for number in range(1, 9))
"""The parts of a form with a query that may be pictures, which its terms name."""


class Example(JsonBody):
    """Exactly one of its fields says what it is."""

    product_id: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    image_url: Annotated[str, Field(min_length=1, json_schema_extra={"maxLength": MAX_URL})] | None = None
    image: (
        Annotated[str, Field(pattern="^image_[1-8]$", description="A picture: the name of a part of the form.")] | None
    ) = None
    vector: Annotated[list[Finite], Field(min_length=1, max_length=8192)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = self.model_fields_set - {"weight"}
        if len(given) != 1:
            names = [name for name in type(self).model_fields if name != "weight"]
            raise ValueError(f"give exactly one of {', '.join(names)}")
        return self


class Term(Example):
    """Exactly one of its fields says what it is, and `weight` how much it counts."""

    direction: Annotated[str, Field(min_length=1, max_length=64, description="A direction of the catalog.")] | None = (
        None
    )
    weight: Annotated[
        Finite,
        Field(
            ge=-MAX_WEIGHT,
            le=MAX_WEIGHT,
            description="Not 0; negative leads away. Of a direction: how far to go, 1 being as far as usual.",
        ),
    ] = 1.0


class Query(JsonBody):
    """The sum of `near`, of the mean of `like`, and of a quarter of the mean of `unlike` taken away, is looked for."""

    near: Annotated[list[Term], Field(max_length=MAX_TERMS, examples=[[{"product_id": "sneaker-12"}]])] = Field(
        default=[]
    )
    like: Annotated[list[Example], Field(max_length=MAX_TERMS, description="Examples of what is wanted.")] = Field(
        default=[]
    )
    unlike: Annotated[list[Example], Field(max_length=MAX_TERMS, description="Examples of what is not.")] = Field(
        default=[]
    )
    filter: FilterObject | None = None
    exclude: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=512)]],
        Field(max_length=MAX_EXCLUDED, description="IDs of products that are no answers."),
    ] = Field(default=[])
    min_score: Annotated[Finite, Field(ge=-1, le=1)] | None = None
    min_percentile: Annotated[Finite, Field(ge=0, le=100)] | None = None
    color_weight: Annotated[Finite, Field(ge=0, le=MAX_COLOR_WEIGHT, description=WEIGHT_TOLD)] | None = None
    rerank: Annotated[bool, Field(description=RERANK_TOLD)] = False
    diversity: Annotated[
        Finite, Field(ge=0, le=1, description="How much answers differ from each other rather than be near.")
    ] = 0.0
    group_by: Key | None = None
    group_size: Annotated[int, Field(ge=1, le=MAX_GROUP, description="Answers of a group, at most.")] = 1
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Answers; with `group_by`, groups.")] = 10
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET, description="Not with `group_by` or `diversity`.")] = 0
    cursor: Annotated[
        Cursor | None,
        Field(description="The `next` of the page before, in place of `offset`. Not with `group_by` or `diversity`."),
    ] = None
    explain: Annotated[bool, Field(description="Say how much of each score is which term's.")] = False


class Side(JsonBody):
    """One side of a direction: the products that match a filter, or those of some IDs."""

    filter: FilterObject | None = None
    product_ids: (
        Annotated[list[Annotated[str, Field(min_length=1, max_length=512)]], Field(min_length=1, max_length=MAX_IDS)]
        | None
    ) = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("give exactly one of filter, product_ids")
        return self


class NewDirection(JsonBody):
    """What a direction is learned from: at least 10 products of either side."""

    toward: Annotated[Side, Field(examples=[{"filter": {"must": [{"key": "pattern", "match": {"value": "floral"}}]}}])]
    away_from: Annotated[Side | None, Field(description="Left out: all other products.")] = None
    within: Annotated[
        Key | None,
        Field(
            description="An attribute by which products are alike otherwise, such as their category: sides are "
            "compared within its values only."
        ),
    ] = None
    color_weight: (
        Annotated[
            Finite, Field(gt=0, le=MAX_COLOR_WEIGHT, description="Of tuned features. Left out: the best of some.")
        ]
        | None
    ) = None
    force: Annotated[bool, Field(description="Keep it although it is too weak to be of use.")] = False


class AxisPage(QueryParameters):
    limit: Limit = 10
    cursor: Annotated[Cursor | None, Field(description="The `next` of the page before.")] = None
    filter: Annotated[FilterText | None, Field(description="A filter, as JSON text.")] = None
    reverse: Annotated[Flag, Field(description="Begin with what it leads away from.")] = False


class Path(JsonBody):
    """From one product, picture or vector to another one."""

    start: Example
    end: Example
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS, description="Products between both.")] = 6
    filter: FilterObject | None = None
    color_weight: Annotated[Finite, Field(ge=0, le=MAX_COLOR_WEIGHT, description=WEIGHT_TOLD)] | None = None


class MapOptions(QueryParameters):
    anew: Annotated[Flag, Field(description="Lay it out anew, whatever has changed.")] = False
