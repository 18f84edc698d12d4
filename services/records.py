"""The records that cross boundaries: plain, frozen, without behavior beyond what their fields say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from services.descriptions import AttributeKind
from services.errors import LookalikeError

Attributes = Mapping[str, Any]
"""Free JSON of a product: str keys; values str, int, float, bool, None, lists and objects of these."""

Vector = npt.NDArray[np.float32]
"""float32, shape (dim,)."""

Vectors = npt.NDArray[np.float32]
"""float32, shape (n, dim)."""

Pixels = npt.NDArray[np.uint8]
"""uint8, RGB, shape (height, width, 3) of one image or (n, height, width, 3) of a batch."""


class State(StrEnum):
    """How a change ended."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    CANCELED = "canceled"


class JobState(StrEnum):
    """Where a job is. One of which some changes failed has succeeded, with errors."""

    RECEIVING = "receiving"
    ENQUEUED = "enqueued"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class Lane(StrEnum):
    """Who waits: a person for a few changes, or nobody for many."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class ChangeKind(StrEnum):
    """A put sets a product, a patch changes one that is there, a delete removes it."""

    PUT = "put"
    PATCH = "patch"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """An image that is to be fetched."""

    url: str


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image that lies in media: the SHA-256 of its bytes in hex."""

    hash: str


ImageSource = Path | bytes | RemoteImage | StoredImage
"""Where a change has its image from: a file, the bytes themselves, a URL, or media."""


@dataclass(frozen=True, slots=True)
class Change:
    """A wish to put, patch or delete one product.

    A put has an image; its `attributes` replace what is stored, None keeps it (and means {} for a new product). A
    patch has attributes (JSON Merge Patch, RFC 7396), an image, or both. A delete has neither. `version` orders the
    changes of a catalog, 0 < version < 2**53; None lets the catalog number it. With `refuse_duplicates` a put fails
    where its image is new to its product, and that of another product or nearly (`services.catalog.refusing`).
    """

    product_id: str
    kind: ChangeKind = ChangeKind.PUT
    image: ImageSource | None = None
    attributes: Attributes | None = None
    version: int | None = None
    refuse_duplicates: bool = False

    @property
    def has_image(self) -> bool:
        return self.kind is not ChangeKind.DELETE and self.image is not None


@dataclass(frozen=True, slots=True)
class Embedding:
    """A product's raw features, as an archive holds them: no image is needed to put it into a catalog.

    `attributes` None keeps what is stored (and means {} for a new product). `image` is the SHA-256 of the image that
    the features came from, `perceptual` its perceptual hash and `url` where it was fetched, where they are known.
    """

    product_id: str
    features: Vector = field(compare=False)
    attributes: Attributes | None = None
    image: str | None = None
    perceptual: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one change ended. `code` and `message` are set when `state` is failed, and only then."""

    product_id: str
    state: State
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What has happened to changes since the last one.

    Attributes:
        counts: How many ended, by state.
        failures: The outcomes of changes that failed, which may have been counted before.
        uploaded: How many images a service has looked at and has, if it takes them.
        job: The job that the changes have become.
        removed: How many products were removed because nothing names them any more; `counts` has them, too.
        not_removed: Why not all were.
    """

    counts: Mapping[State, int] = field(default_factory=dict)
    failures: tuple[Outcome, ...] = ()
    uploaded: int = 0
    job: str | None = None
    removed: int = 0
    not_removed: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """What the index keeps of a product.

    `vector` has length one (cosine needs only the direction) and `norm` is the length that the raw features had:
    `vector * norm` are the features. `image` is the SHA-256 of the original image's bytes in hex, or None where the
    vector was imported without one. `perceptual` is its perceptual hash (`services.images.perceptual`), or None where
    it is not known. `url` is where the image was fetched, None where it came otherwise. `version` orders the changes of
    a product, 0 <= version < 2**53. In an answer `vector` is None where it was not asked for.
    """

    product_id: str
    version: int
    vector: Vector | None = field(default=None, compare=False)
    norm: float = 1.0
    attributes: Attributes = field(default_factory=dict)
    image: str | None = None
    perceptual: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """Another image of a stored product, whose version and attributes stay: `point` has them, and the new vector.

    It applies only where the stored product still has this version and the image `image`.
    """

    point: Point
    image: str | None


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What the index keeps of a removed product, so that an older change cannot bring it back.

    `removed_at` is in seconds since the Unix epoch.
    """

    product_id: str
    version: int
    removed_at: float


@dataclass(frozen=True, slots=True)
class AttributeUpdate:
    """New attributes and a new version for a stored product whose vector stays.

    With `image`, only where the stored image is still that one. `url` is where that image is now; None: where it was.
    """

    product_id: str
    version: int
    attributes: Attributes
    image: str | None = None
    url: str | None = None


Likeness = Literal["same_picture", "near_duplicate", "very_alike", "alike", "weak"]
"""How alike a product is to a query, in a word: see `services.query.likeness`."""


Role = Literal["near", "like", "unlike"]
"""Where a term stands in a query."""


@dataclass(frozen=True, slots=True)
class TermShare:
    """How much of a score one term of a query makes: all of them together are the score."""

    role: Role
    term: str
    share: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a product answers: the share of each term, and the attributes that it has in common with all products that
    are wanted."""

    terms: tuple[TermShare, ...]
    in_common: Attributes


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A product and how much it looks like the query.

    `score` is the cosine, -1..1, larger is nearer. `percentile` says how many random pairs of products are less alike,
    0..100, and `likeness` the same in a word; None where the catalog has too few products to know. `group` is the value
    that products were grouped by, None where it has none. `image` and `perceptual` are the hashes of its picture.
    """

    product_id: str
    score: float
    attributes: Attributes
    percentile: float | None = None
    likeness: Likeness | None = None
    group: str | None = None
    explanation: Explanation | None = None
    image: str | None = field(default=None, compare=False)
    perceptual: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Note:
    """What a caller should know of an answer. `code` is stable, `message` is a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query found, best first.

    `good` is how many of them are at least alike; 0 means that there is no good match, None that the catalog has too
    few products to know, or that only directions were asked for. `color_weight` is the one that was used.
    """

    neighbors: list[Neighbor]
    good: int | None
    color_weight: float
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Graph:
    """How much of an index its search graph holds.

    `vectors` are those of all products, `indexed` those of them in the graph; a search compares with all others, one by
    one. `search_seconds` is the median of the last searches in this process since the graph was built; None where there
    was none, or where another process searches.
    """

    vectors: int
    indexed: int
    search_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Facet:
    """How many products have `value` for an attribute."""

    value: str | int | bool
    count: int


@dataclass(frozen=True, slots=True)
class OtherKinds:
    """The products that have a value of another kind than an attribute's declared one.

    `examples` are values of some of them, by product ID, as JSON and shortened.
    """

    kind: AttributeKind
    products: int
    examples: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FilterWarning:
    """Why a filter may pass no product: no product has a value at `key`. `suggestion` is a key that may be meant."""

    code: str
    message: str
    key: str
    suggestion: str | None


@dataclass(frozen=True, slots=True)
class Product:
    """A product as the catalog shows it.

    `image` is the SHA-256 of its image, `url` where that was fetched. `vector` is float32 (dim,), of length one; None
    where it was not asked for.
    """

    product_id: str
    attributes: Attributes
    image: str | None
    version: int
    url: str | None = None
    vector: Vector | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Task:
    """What a job does that is no changes: `kind` says what, `parameters` are its own.

    `done` of `total` (None: not known) counts what its kind says, products mostly. `checkpoint` is from where another
    worker goes on; None once it has ended. `result` is set where it succeeded, `code` and perhaps `message` where not.
    """

    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    done: int = 0
    total: int | None = None
    checkpoint: Any = None
    result: Mapping[str, Any] | None = None
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What work waits for, as the error for which it is put off, and since when (seconds since the Unix epoch)."""

    code: str
    message: str
    since: float


@dataclass(frozen=True, slots=True)
class Job:
    """The changes accepted by one request, and how far they are.

    Every change counts once, in `applied`, `unchanged`, `superseded`, `failed` or `canceled`, when it ends: their sum
    grows to `total` and never goes back. `errors`: some failed. Times are seconds since the Unix epoch. `said` is what
    was to be told of the feed: `columns` and `notes` of CSV.

    Products that a job removes because its feed does not name them, or because they match its filter, are found when
    everything before has ended; each is then one more change in `total`. `removed` are those of them that were applied,
    and `not_removed` says why not all were: `too_many_removed`, `lines_without_id`, `canceled` or an error's code.

    A job that is a `task` has no changes. `images` are those of changes that workers have ended. `waiting_for` is why
    it does not go on, where that is known.
    """

    id: str
    catalog: str
    state: JobState
    total: int
    applied: int
    unchanged: int
    superseded: int
    failed: int
    canceled: int
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    said: Mapping[str, Any] = field(default_factory=dict)
    removed: int = 0
    not_removed: str | None = None
    task: Task | None = None
    waiting_for: Waiting | None = None
    images: int = 0

    @property
    def done(self) -> int:
        return self.applied + self.unchanged + self.superseded + self.failed + self.canceled

    @property
    def errors(self) -> bool:
        return self.failed > 0


@dataclass(frozen=True, slots=True)
class Item:
    """One change of a job. `state` is None while it waits or is worked on; `image` is its URL or hash; `line` is the
    number of a feed's line that was no change."""

    product_id: str
    state: State | None
    code: str | None = None
    message: str | None = None
    image: str | None = None
    line: int | None = None


def failed(product_id: str, error: LookalikeError) -> Outcome:
    """The outcome of a change that ended with this error."""
    return Outcome(product_id, State.FAILED, error.code, str(error))
