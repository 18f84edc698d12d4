"""What a service answers, as records: what it says beyond this is left out, what an older one does not say is None."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

from lookalike.vectors import Vectors, to_numpy

Record = TypeVar("Record")

JobState = Literal["receiving", "enqueued", "processing", "succeeded", "failed", "canceled"]
Likeness = Literal["same_picture", "near_duplicate", "very_alike", "alike", "weak"]
ENDS = ("applied", "unchanged", "superseded", "failed", "canceled")
"""What becomes of changes, as jobs count them."""


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that a service has. `hash` is the SHA-256 of its bytes: a change may name it in place of a file."""

    hash: str
    id: str = ""
    url: str | None = None
    thumbnail_url: str | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """A product. `vector` is None unless it was asked for."""

    product_id: str
    attributes: Mapping[str, Any]
    image: Image | None
    version: int
    vector: Sequence[float] | None = None

    def to_numpy(self) -> Vectors:
        """Its vector: float32, shape (dim,). Raises `ValueError` where it was not asked for."""
        if self.vector is None:
            raise ValueError("the vector was not asked for: list products with with_vector=True")
        return to_numpy(self.vector)


@dataclass(frozen=True, slots=True)
class TermShare:
    """How much of a score one term of a query makes."""

    role: Literal["near", "like", "unlike"]
    term: str
    share: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a product answers: the share of each term, which together are its score, and what it has in common with all
    products that are wanted."""

    terms: Sequence[TermShare]
    in_common: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A product of an answer. `score` is the cosine, -1 to 1; `percentile` says how many random pairs of products are
    less alike, 0 to 100, and `likeness` the same in a word; both are None in a catalog of few products."""

    product_id: str
    score: float
    attributes: Mapping[str, Any]
    percentile: float | None = None
    likeness: Likeness | None = None
    group: str | None = None
    explanation: Explanation | None = None
    image: Image | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What to know of an answer. `code` is stable, `message` is a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class FilterWarning:
    """Why nothing was found: no product has a value at `key`. `suggestion` is a key that may be meant."""

    code: str
    message: str
    key: str
    suggestion: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found, best first, to be iterated.

    Attributes:
        neighbors: What was found.
        good: How many of them are at least alike: 0 says that there is no good match. None: not known.
        next: The `cursor` of the next page; None: this is the last one.
        color_weight: The one that was used, of a query.
        notes: What to know of this answer.
        warnings: Why nothing was found.
    """

    neighbors: Sequence[Neighbor]
    good: int | None = None
    next: str | None = None
    color_weight: float | None = None
    notes: Sequence[Note] = ()
    warnings: Sequence[FilterWarning] = ()

    def __iter__(self) -> Iterator[Neighbor]:
        return iter(self.neighbors)

    def __len__(self) -> int:
        return len(self.neighbors)


@dataclass(frozen=True, slots=True)
class Task:
    """What a job does that is no changes."""

    kind: str
    parameters: Mapping[str, Any]
    done: int
    total: int | None
    result: Mapping[str, Any] | None
    code: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """The changes of one request, and what has become of them: `applied`, `unchanged`, `superseded`, `failed` and
    `canceled` grow to `total`. Times are RFC 3339."""

    id: str
    catalog: str
    state: JobState
    total: int
    applied: int
    unchanged: int
    superseded: int
    failed: int
    canceled: int
    errors: bool
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    removed: int = 0
    not_removed: str | None = None
    images_per_second: float | None = None
    eta_seconds: float | None = None
    task: Task | None = None
    waiting_for: Mapping[str, Any] | None = None

    @property
    def is_finished(self) -> bool:
        return self.finished_at is not None

    @property
    def done(self) -> int:
        """How many changes have ended, or how far the task is."""
        return self.task.done if self.task else sum(getattr(self, name) for name in ENDS)


@dataclass(frozen=True, slots=True)
class Item:
    """A change of a job that failed, or that has not ended: then `state` is None."""

    product_id: str
    state: Literal["failed"] | None
    code: str | None
    message: str | None
    image: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class CatalogInfo:
    """A catalog as the service describes it."""

    name: str
    products: int
    encoder: str
    weights: str
    resample: str
    features: str
    quantization: str
    dim: int
    fingerprint: str | None
    trained: bool
    created_at: str
    indexed_attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facet:
    """How many products have a value."""

    value: str | int | bool
    count: int


@dataclass(frozen=True, slots=True)
class Facets:
    """What products have for an indexed attribute: the most frequent `values`, or for numbers how many there are, the
    smallest, the largest and a `histogram`, as the HTTP API says it."""

    key: str
    kind: str
    values: Sequence[Facet] | None
    numbers: Mapping[str, Any] | None


def of(kind: type[Record], json: Mapping[str, Any], **made: Any) -> Record:
    """A record of the fields of a JSON object; `made` are those that are records themselves."""
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in json.items() if name in known} | made)


def image_of(json: Any) -> Image | None:
    """A picture, which services tell by its hash, or as an object."""
    if isinstance(json, str):
        return Image(json)
    return None if json is None else of(Image, json)


def product_of(json: Mapping[str, Any]) -> Product:
    return of(Product, json, image=image_of(json.get("image")))


def neighbor_of(json: Mapping[str, Any]) -> Neighbor:
    told = json.get("explanation")
    explanation = told and of(Explanation, told, terms=[of(TermShare, each) for each in told["terms"]])
    return of(Neighbor, json, explanation=explanation, image=image_of(json.get("image")))


def answer_of(json: Mapping[str, Any]) -> Answer:
    return of(
        Answer,
        json,
        neighbors=[neighbor_of(each) for each in json["neighbors"]],
        notes=[of(Note, each) for each in json.get("notes", ())],
        warnings=warnings_of(json),
    )


def warnings_of(json: Mapping[str, Any]) -> list[FilterWarning]:
    return [of(FilterWarning, each) for each in json.get("warnings", ())]


def job_of(json: Mapping[str, Any]) -> Job:
    task = json.get("task")
    return of(Job, json, task=task and of(Task, task))


def facets_of(json: Mapping[str, Any]) -> Facets:
    values = json["values"]
    return of(Facets, json, values=None if values is None else [of(Facet, each) for each in values])
