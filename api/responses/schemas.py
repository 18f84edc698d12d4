"""What answers hold, as models. Used as `schemas.Job`, since their names are those of the domain."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from api.requests.kinds import AttributeKind, Features, Quantization, Resample
from api.requests.models import Scopes
from api.responses.facets import AttributeFacets
from services.records import JobState, Likeness

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Count = Annotated[int, Field(ge=0)]
# Pydantic resolves every $ref itself; api.openapi.document makes some of these.
Attributes = Annotated[dict[str, Any], WithJsonSchema({"x-schema": "Attributes"})]
FilterTold = Annotated[dict[str, Any], WithJsonSchema({"x-schema": "Filter"})]


class JsonAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Key(JsonAnswer):
    name: str
    scopes: Scopes
    catalogs: Annotated[list[str] | None, Field(description="null: all of them.")]


FeaturesOf = Annotated[Features, Field(description="Which layers of the encoder the vectors are made of.")]


class Keys(JsonAnswer):
    keys: list[Key]


class MadeKey(Key):
    key: Annotated[str, Field(description="The secret; callers send it as `Authorization: Bearer KEY`.")]


class Session(Key):
    name: Annotated[str, Field(description="Of the key; empty where the service runs without keys.")]
    expires_at: Annotated[Time | None, Field(description="When the session ends; null: none, a key was sent.")]


class Catalog(JsonAnswer):
    name: str
    products: Count
    encoder: str
    weights: str
    resample: Resample
    features: FeaturesOf
    quantization: Quantization
    dim: Count
    fingerprint: Annotated[
        str | None, Field(description="Names encoder, weights and preprocessing; null until loaded.")
    ]
    trained: Annotated[bool, Field(description="False: random weights, whose neighbors mean nothing.")]
    indexed_attributes: dict[str, AttributeKind]
    created_at: Time


class OtherKinds(JsonAnswer):
    kind: Annotated[AttributeKind, Field(description="What is declared.")]
    products: Annotated[Count, Field(description="How many have a value of another kind.")]
    examples: Annotated[
        dict[str, str], Field(description="Up to ten of them: such a value by product ID, as JSON, shortened.")
    ]


class DeclaredCatalog(Catalog):
    other_kinds: Annotated[
        dict[str, OtherKinds],
        Field(
            description="By attribute, of those named in the request and not indexed before: products that have values "
            "of another kind. Such an attribute is indexed when it is named again and no product has one."
        ),
    ]


class Catalogs(JsonAnswer):
    catalogs: list[Catalog]


class SignedUrls(JsonAnswer):
    url: Annotated[str, Field(description="Of the original.")]
    thumbnail_url: str


Signed = Annotated[
    SignedUrls | None,
    Field(
        exclude_if=lambda found: found is None,
        description="URLs that open the picture without a key, if asked for with `sign`.",
    ),
]


class Product(JsonAnswer):
    product_id: str
    attributes: Attributes
    image: Annotated[str | None, Field(description="SHA-256 of the original.")]
    image_url: Annotated[
        str | None, Field(description="Where it was fetched; null: it was sent, or that is not known.")
    ]
    version: Count
    vector: Annotated[
        list[float] | None,
        Field(exclude_if=lambda found: found is None, description="With `with_vector`: of length one."),
    ] = None
    signed: Signed = None


class FoundProducts(JsonAnswer):
    products: Annotated[list[Product], Field(description="Those that are there, in the order of the request.")]
    missing: Annotated[list[str], Field(description="IDs of which there is no product, in that order.")]


class Uploaded(JsonAnswer):
    image: Annotated[str, Field(description="SHA-256 of the image; changes name it so.")]


class MissingImages(JsonAnswer):
    missing: Annotated[list[str], Field(description="Those that are not here, in their order.")]


class FilterWarning(JsonAnswer):
    code: Literal["filter_key_unknown"]
    message: str
    key: Annotated[str, Field(description="At which no product has a value.")]
    suggestion: Annotated[str | None, Field(description="A key that may be meant.")]


Warnings = Annotated[
    list[FilterWarning],
    Field(
        exclude_if=lambda found: not found,
        description="Why nothing was found: keys of the filter that no product has. Left out where there are none.",
    ),
]


class Facets(JsonAnswer):
    facets: list[AttributeFacets]
    warnings: Warnings = []


class Products(JsonAnswer):
    products: list[Product]
    next: str | None
    total: Annotated[
        Count | None,
        Field(exclude_if=lambda found: found is None, description="How many pass the filter, if asked for."),
    ] = None
    facets: Annotated[
        list[AttributeFacets] | None,
        Field(exclude_if=lambda found: found is None, description="Of all that pass the filter, if asked for."),
    ] = None
    warnings: Warnings = []


Percentile = Annotated[
    float | None,
    Field(
        description="How many random pairs of the catalog's products are less alike, 0 to 100. Unlike a score, it "
        "means the same with every encoder. null while the catalog has too few products to know."
    ),
]
LikenessOf = Annotated[
    Likeness | None,
    Field(
        description="The percentile in a word. `same_picture` and `near_duplicate` are told by hashes of the pictures."
    ),
]


class Neighbor(JsonAnswer):
    product_id: str
    score: Annotated[float, Field(description="The cosine with the query, -1 to 1.")]
    percentile: Percentile
    likeness: LikenessOf
    attributes: Attributes
    signed: Signed = None


Good = Annotated[
    Count | None,
    Field(description="How many of these are at least alike. 0: there is no good match; null: not known."),
]


class Neighbors(JsonAnswer):
    neighbors: list[Neighbor]
    good: Good
    next: str | None
    warnings: Warnings = []


class Cell(JsonAnswer):
    line: Count
    cell: str


class Column(JsonAnswer):
    name: str
    kind: Annotated[
        str, Field(description="integer, float, bool, keyword, or skip; or what it is: product_id, image_url, op.")
    ]
    values: Annotated[Count, Field(description="How many rows have a value.")]
    rows: Count
    missing: Annotated[Count, Field(description="Cells without a value, where numbers or true and false are expected.")]
    examples: Annotated[list[Cell], Field(description="The first five of them.")]
    note: Annotated[str | None, Field(description="Why it was taken for that, where there is something to say.")]


class RemovedProducts(JsonAnswer):
    products: Annotated[Count, Field(description="How many match the filter.")]
    examples: Annotated[list[str], Field(description="Up to ten of them.")]


class Generation(JsonAnswer):
    id: str
    state: Annotated[
        Literal["live", "next", "switching", "previous", "dropped"],
        Field(description="live: it is searched; next: it is being built; previous: it was live and is kept."),
    ]
    products: Annotated[Count | None, Field(description="null: it is being dropped.")]
    encoder: str
    weights: str
    resample: str
    features: FeaturesOf
    quantization: str
    dim: int
    fingerprint: str | None
    trained: bool
    created_at: str
    since: Annotated[str, Field(description="When it got its state.")]
    drop_at: Annotated[str | None, Field(description="Of a previous one: when it is dropped.")]


class Generations(JsonAnswer):
    generations: list[Generation]


class Behind(JsonAnswer):
    product_ids: list[str]
    next: str | None


class Pair(JsonAnswer):
    product_id: str
    live: list[Neighbor]
    other: list[Neighbor]


class Comparison(JsonAnswer):
    sample: Annotated[Count, Field(description="Products that were looked at and that both generations have.")]
    common: Annotated[
        dict[str, float],
        Field(description="By rank: the share of the live generation's neighbors up to it that the other one finds."),
    ]
    missing: Annotated[list[str], Field(description="Products of the sample that the other generation lacks.")]
    pairs: Annotated[list[Pair], Field(description="What both find for the first 20 of them, up to 10 neighbors.")]


class Task(JsonAnswer):
    kind: Annotated[
        str, Field(description="What is done: graph, reindex, promote, evaluate, duplicates, or direction:NAME.")
    ]
    parameters: dict[str, Any]
    done: Annotated[Count, Field(description="How far it is, mostly in products.")]
    total: Annotated[Count | None, Field(description="null: not known.")]
    result: Annotated[dict[str, Any] | None, Field(description="Once it has succeeded.")]
    code: Annotated[str | None, Field(description="Why it did not: canceled, worker_crashed, or an error code.")]
    message: str | None


class Waiting(JsonAnswer):
    code: Annotated[str, Field(description="no_workers, or the code of the error for which it is put off.")]
    message: str
    since: Time


class Job(JsonAnswer):
    id: str
    catalog: str
    state: JobState
    total: Count
    applied: Count
    unchanged: Count
    superseded: Count
    failed: Count
    canceled: Count
    removed: Annotated[
        Count, Field(description="Of `applied`: products that went because a feed did not name them, or by a filter.")
    ]
    not_removed: Annotated[
        str | None,
        Field(
            description="Why not all went: too_many_removed, lines_without_id, names_lost, canceled, or an error code."
        ),
    ]
    errors: Annotated[bool, Field(description="Some changes failed.")]
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    images_per_second: Annotated[
        float | None, Field(description="Images that workers ended, a second since it was begun; null: none yet.")
    ]
    eta_seconds: float | None
    columns: Annotated[
        list[Column] | None, Field(description="Of a feed in CSV: what its columns were taken for, up to 100 of them.")
    ]
    notes: Annotated[
        list[str] | None, Field(description="Of a feed in CSV: what else is to be said, such as a guessed encoding.")
    ]
    task: Annotated[Task | None, Field(description="What it does, where that is no changes.")]
    waiting_for: Annotated[
        Waiting | None, Field(description="Why it does not go on: nobody works on it, or workers put it off.")
    ]


class Jobs(JsonAnswer):
    jobs: list[Job]
    next: str | None


class Item(JsonAnswer):
    product_id: str
    state: Annotated[Literal["failed"] | None, Field(description="null: it has not ended.")]
    code: str | None
    message: str | None
    image: Annotated[str | None, Field(description="Its URL, or the SHA-256 of what was uploaded.")]
    line: Annotated[int | None, Field(description="Of the feed, where that was no change and was skipped.")]


class Items(JsonAnswer):
    items: list[Item]
    next: str | None


class CatalogWaiting(Waiting):
    catalog: str


class Stats(JsonAnswer):
    waiting: Annotated[Count, Field(description="Changes that wait; a removal that has not ended counts as one.")]
    in_flight: Annotated[Count, Field(description="Changes that workers are applying.")]
    changes_per_second: Annotated[
        float, Field(ge=0, description="How many ended, in the last minute or since it began.")
    ]
    drain_seconds: Annotated[
        float | None,
        Field(ge=0, description="Until nothing waits or is in progress, at that rate; null: nothing ended lately."),
    ]
    workers: Annotated[Count, Field(description="Workers that live.")]
    slots: Annotated[Count, Field(description="Batches that they can work on at once.")]
    waiting_for: Annotated[
        list[CatalogWaiting], Field(description="Catalogs whose changes workers put off, and what they wait for.")
    ]


class Readiness(JsonAnswer):
    status: Annotated[
        Literal["ok", "degraded", "unavailable"],
        Field(description="degraded: it answers, and changes of some catalogs wait for what is away."),
    ]
    ledger: Annotated[str, Field(description="ok, or the code of what is wrong.")]
    index: Annotated[str, Field(description="ok, or the code of what is wrong.")]
    catalogs: Annotated[
        dict[str, str], Field(description="Why the changes of a catalog wait, by its name: an error code.")
    ]


class ProblemPage(JsonAnswer):
    code: str
    title: str
    status: Annotated[int, Field(description="Of the problem, when it has a request of its own.")]
    retryable: Annotated[bool, Field(description="Whether the same request can succeed later.")]
    meaning: str
    advice: Annotated[str, Field(description="What to do about it.")]


class Liveness(JsonAnswer):
    status: Literal["ok"]
