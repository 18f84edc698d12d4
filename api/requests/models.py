"""What requests hold, as models: parameters of URLs and JSON bodies. Used as `models.Search`.

A field that may be left out has the default None; null is no value for it.
"""

import math
import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    model_validator,
)

from api.requests import strict_json
from api.requests.kinds import FILTER, FILTER_TEXT, AttributeKind, Features, Quantization, Resample
from services.catalog.question import MAX_GENERATIONS, MAX_LABELS, MAX_SAMPLE, MIN_SAMPLE, SAMPLE
from services.errors import InvalidFilter
from services.hashes import SHA256
from services.outbound.urls import MAX_URL
from services.query.filters import MAX_KEY, Filter, parse
from services.query.query import MAX_COLOR_WEIGHT, MAX_LIMIT
from services.records import JobState

MAX_OFFSET = 100_000
MAX_WAIT = 60
"""Seconds."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


def whole(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ValueError("must be a whole number")
    return int(text)


def _number(text: str) -> float:
    if not re.fullmatch(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", text) or math.isinf(float(text)):
        raise ValueError("must be a number")
    return float(text)


def _rfc3339(text: object) -> object:
    # Pydantic also takes seconds since 1970, and days.
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError("must be a time with its offset (RFC 3339), such as 2026-01-31T08:00:00Z")
    return text


def _flag(text: object) -> object:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def _listed(value: object) -> object:
    """What APIFlask gives of a parameter that may be repeated: the first; the route asks for all."""
    return [value] if isinstance(value, str) else value


def _filter_text(text: str) -> Filter:
    return parse(strict_json.parsed(text, "filter"))


def _filter(value: object) -> Filter:
    if not isinstance(value, dict):
        raise InvalidFilter("filter: must be an object.")
    return parse(value)


def _weights(text: str) -> str:
    if not re.fullmatch(r"imagenet|random:[0-9]{1,18}", text):
        raise ValueError(
            "must be imagenet or random:SEED; a catalog of a weights file is made where the file is, with "
            "`lookalike index FOLDER --weights FILE`"
        )
    return text


class QueryParameters(BaseModel):
    """Parameters of a URL, which are text; those of `repeatable` may be there more than once."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    repeatable: ClassVar[frozenset[str]] = frozenset()


class JsonBody(BaseModel):
    """A JSON body."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT), BeforeValidator(whole)]
Offset = Annotated[int, Field(ge=0, le=MAX_OFFSET), BeforeValidator(whole)]
Score = Annotated[float, Field(ge=-1, le=1), BeforeValidator(_number)]
VECTOR_TOLD = "Tell the vectors, too: numbers of length one, as `search` takes them."
WEIGHT_TOLD = "Of tuned features: the colors of the query are multiplied by it. 0: no colors; 1: as stored."
RERANK_TOLD = "Rank the first 50 again by what is near to each other, too; scores stay. It takes some milliseconds."
ColorWeight = Annotated[float, Field(ge=0, le=MAX_COLOR_WEIGHT, description=WEIGHT_TOLD), BeforeValidator(_number)]
Rerank = Annotated[bool, Field(description=RERANK_TOLD), BeforeValidator(_flag)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Listed = BeforeValidator(_listed)
Share = Annotated[float, Field(ge=0, le=1), BeforeValidator(_number)]
Seconds = Annotated[float, Field(ge=0, le=MAX_WAIT), BeforeValidator(_number)]
FilterText = Annotated[Filter, PlainValidator(_filter_text), FILTER_TEXT]
FilterObject = Annotated[Filter, PlainValidator(_filter), FILTER]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Moment = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]
Cursor = Annotated[str, Field(min_length=1, max_length=200)]


class Page(QueryParameters):
    limit: Limit = 100
    cursor: Annotated[Cursor | None, Field(description="The `next` of the page before.")] = None


class JobsPage(Page):
    catalog: str | None = None
    state: JobState | None = None
    since: Annotated[
        Moment | None, Field(description="A time with its offset: jobs that were created then or later.")
    ] = None


class ItemsPage(Page):
    state: Annotated[
        Literal["failed", "waiting"], Field(description="What failed, or what has not ended; other items are not kept.")
    ] = "failed"


class NeighborsPage(QueryParameters):
    limit: Limit = 10
    offset: Offset = 0
    cursor: Annotated[Cursor | None, Field(description="The `next` of the page before, in place of `offset`.")] = None
    filter: Annotated[FilterText | None, Field(description="A filter, as JSON text.")] = None
    min_score: Score | None = None
    color_weight: ColorWeight | None = None
    rerank: Rerank = False


_TOLD = "refuse: a put of a new image fails as `duplicate` where it is that of another product, or nearly."
Duplicates = Annotated[Literal["take", "refuse"], Field(description=_TOLD)]


class JobWait(QueryParameters):
    wait: Annotated[
        Seconds | None,
        Field(description="Seconds to wait until it differs from `If-None-Match`, or without that, has finished."),
    ] = None


class Wait(QueryParameters):
    wait: Annotated[
        Seconds | None,
        Field(description="Seconds to wait for the outcome, which is then the answer."),
    ] = None


class PutOptions(Wait):
    duplicates: Duplicates = "take"


class FeedOptions(QueryParameters):
    on_error: Annotated[
        Literal["reject", "skip"],
        Field(description="reject: one bad line and nothing is accepted; skip: bad lines become failed items."),
    ] = "reject"
    column: Annotated[
        list[Annotated[str, Field(max_length=400)]],
        BeforeValidator(_listed),
        Field(
            max_length=100,
            description="Of CSV, may be repeated: what a column is (price=float; there are integer, float, "
            "decimal-point, decimal-comma, bool, keyword, skip), or which one is meant (product_id=Variant SKU).",
        ),
    ] = []
    repeatable = frozenset({"column"})
    duplicates: Duplicates = "take"
    mode: Annotated[
        Literal["update", "replace"],
        Field(description="replace: products that the feed does not name are removed when its changes have ended."),
    ] = "update"
    max_removed: Annotated[
        Share | None,
        Field(
            description="With replace: the share of the catalog's products that may go, 0.3 if left out; if more would "
            "go, none does. 1: any number."
        ),
    ] = None

    @model_validator(mode="after")
    def _of_replace(self) -> Self:
        if self.max_removed is not None and self.mode != "replace":
            raise ValueError("max_removed takes mode=replace: without it no products are removed")
        return self


class ReadProducts(JsonBody):
    ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=512)]],
        Field(min_length=1, max_length=MAX_LIMIT, description="Of products.", examples=[["SKU-1", "SKU-2"]]),
    ]
    with_vector: Annotated[bool, Field(description=VECTOR_TOLD)] = False


class ProductsToRemove(JsonBody):
    filter: Annotated[FilterObject, Field(description="Which products; it needs a condition.")]
    dry_run: Annotated[bool, Field(description="Remove nothing; answer how many match.")] = False


class ImageHashes(JsonBody):
    images: Annotated[
        list[Annotated[str, Field(pattern=f"^{SHA256.pattern}$")]],
        Field(min_length=1, max_length=1000, description="SHA-256 of each."),
    ]


Weights = Annotated[
    str, AfterValidator(_weights), Field(json_schema_extra={"pattern": "^(imagenet|random:[0-9]{1,18})$"})
]
AllowMissing = Annotated[
    bool, Field(description="Switch although it lacks products, which the catalog then has no more.")
]


class NewCatalog(JsonBody):
    encoder: Annotated[str, Field(max_length=64)] | None = None
    weights: Weights | None = None
    resample: Resample | None = None
    features: Features | None = None
    quantization: Quantization | None = None
    indexed_attributes: Annotated[dict[str, AttributeKind], Field(max_length=64)] = Field(
        default={}, examples=[{"color": "keyword", "price": "float"}]
    )


class _Recipe(JsonBody):
    encoder: Annotated[str, Field(max_length=64)] | None = None
    weights: Weights | None = None
    resample: Resample | None = None
    features: Annotated[
        Features | None, Field(description="`tuned` features learn from the catalog's pictures, at least 1,000.")
    ] = None


class NewGeneration(_Recipe):
    """What is different from the live generation. With another encoder, the weights are `imagenet` if left out."""

    quantization: Quantization | None = None
    promote: Annotated[bool, Field(description="Switch to it when it is built.")] = False
    allow_missing: AllowMissing = False


class Promotion(JsonBody):
    allow_missing: AllowMissing = False


Key = Annotated[str, Field(min_length=1, max_length=MAX_KEY, description="An attribute: `size.width`, `tags[]`.")]
GenerationID = Annotated[str, Field(min_length=1, max_length=64)]


class Evaluation(_Recipe):
    """Products that share a value of a label are alike, those of one group are left out of each other's answers.

    `encoder`, `weights`, `resample` and `features` are what is different in a recipe that no generation has.
    `generations` are compared with the live one; left out, and without a recipe: the next one, or the only other one.
    """

    labels: Annotated[list[Key], Field(min_length=1, max_length=MAX_LABELS, examples=[["color"]])]
    group: Key | None = None
    generations: Annotated[list[GenerationID], Field(max_length=MAX_GENERATIONS)] = []
    sample: Annotated[int, Field(ge=MIN_SAMPLE, le=MAX_SAMPLE, description="Products, at most.")] = SAMPLE


class Sample(QueryParameters):
    sample: Annotated[int, Field(ge=1, le=1000, description="Products that are looked at."), BeforeValidator(whole)] = (
        100
    )


Scopes = Annotated[
    list[Literal["search", "ingest", "admin"]],
    Field(min_length=1, max_length=3, description="search: read and search; ingest: change products; admin: all."),
]
KeyName = Annotated[str, Field(pattern="^[A-Za-z0-9._-]{1,64}$")]
CatalogName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")]


class NewKey(JsonBody):
    name: KeyName
    scopes: Scopes
    catalogs: (
        Annotated[list[CatalogName], Field(min_length=1, max_length=1000, description="Left out: all of them.")] | None
    ) = None


class SearchOptions(JsonBody):
    """How much of what is near, and of which products."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 10
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET)] = 0
    cursor: Cursor | None = None
    filter: FilterObject | None = None
    min_score: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] | None = None
    color_weight: (
        Annotated[float, Field(ge=0, le=MAX_COLOR_WEIGHT, allow_inf_nan=False, description=WEIGHT_TOLD)] | None
    ) = None
    rerank: Annotated[bool, Field(description=RERANK_TOLD)] = False


class Search(SearchOptions):
    """Exactly one of `product_id`, `image_url` and `vector` says what to look for."""

    product_id: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    # Its length counts without the white space around it, which `checked_url` takes away.
    image_url: Annotated[str, Field(min_length=1, json_schema_extra={"maxLength": MAX_URL})] | None = None
    vector: (
        Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=1, max_length=8192)] | None
    ) = None
