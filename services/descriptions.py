"""What describes a catalog: its encoder, its generations, the kinds of its attributes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple

Resample = Literal["nearest", "bilinear", "bicubic", "lanczos"]
"""How an image is brought to the size the encoder takes. Part of the fingerprint."""

Features = Literal["head", "tuned"]
"""The recipe by which a network's layers become a vector. Part of the fingerprint.

`head` is the network's last layer, as the script took it. `tuned` joins several layers, of the whole picture instead of
one stretched to a square, and colors, in 128 numbers, by what is learned from the catalog's own pictures.
"""

LAYERS_DIM = 96
"""Numbers that `tuned` features have of the layers; 224 gave the same precision."""
COLOR_DIM = 32
"""Numbers that `tuned` features have of the colors; they come last."""

Fit = Literal["stretch", "pad"]
"""How an image becomes a square: its sides are stretched, or it is padded with white."""


class Form(NamedTuple):
    """What pixels an encoder takes: the side of the square, and how an image is brought to it."""

    size: int
    resample: Resample
    fit: Fit = "stretch"


Quantization = Literal["none", "scalar", "turbo"]
"""How a catalog's vectors are compressed beside the whole ones, which rank again what the compressed ones found: not,
to one byte a number, or to 4 bits (TurboQuant)."""


class AttributeKind(StrEnum):
    """What an indexed attribute holds: text, whole numbers, numbers, true and false, or lists of them."""

    KEYWORD = "keyword"
    INTEGER = "integer"
    FLOAT = "float"
    BOOL = "bool"

    @property
    def is_number(self) -> bool:
        """Whether its values have an order of size."""
        return self in (AttributeKind.INTEGER, AttributeKind.FLOAT)


class GenerationState(StrEnum):
    """What a generation is to its catalog.

    The live one answers. The next one is built beside it. One that is about to become the live one is switching: until
    it is, no change counts as applied that it does not have, too. A previous one was live and is kept for a while. One
    that is dropped is being removed.
    """

    LIVE = "live"
    NEXT = "next"
    SWITCHING = "switching"
    PREVIOUS = "previous"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Generation:
    """One encoder's vectors of one catalog.

    `id` names the folder or collection that holds them. `since` is when it got its state, and `drop_at` when a previous
    one may be dropped; times are RFC 3339 in UTC. The other fields mean what they mean in `CatalogSpec`.
    """

    id: str
    encoder: str
    weights: str
    resample: Resample
    dim: int
    fingerprint: str | None
    quantization: Quantization
    state: GenerationState
    created_at: str
    since: str
    drop_at: str | None = None
    features: Features = "head"
    learned: str | None = None
    space: str | None = None


@dataclass(frozen=True, slots=True)
class LearnedDirection:
    """A direction of a catalog, as far as lists show it; what it was learned from, and its vector, are the object in
    media that has the SHA-256 `object`.

    `fingerprint` is that of the vectors that it was learned from, `products` how many the catalog had then. `quality`
    is the area under the ROC curve, 0.5 to 1, `positives` and `negatives` are the examples of either side, `categories`
    how many of these both sides had. Times are RFC 3339 in UTC.
    """

    name: str
    object: str
    fingerprint: str | None
    quality: float
    color_weight: float
    positives: int
    negatives: int
    categories: int
    products: int
    created_at: str
    learned_at: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of all products of a catalog: the object in media that has the SHA-256 `object`.

    `name` says what it is: `duplicates`, `map`, or `outliers:KEY` for an attribute. `fingerprint` is that of the
    vectors that it was found of, `products` how many were looked at, `version` the highest that the catalog had when
    that began, `found_at` RFC 3339 in UTC. `cursor` is from where the next process goes on; None: it is complete.
    """

    name: str
    object: str
    fingerprint: str | None
    products: int
    version: int
    found_at: str
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class CatalogSpec:
    """What is fixed about a catalog, and kept beside its vectors.

    `id` is different for a later catalog of the same name: 32 hex digits. `created_at` is RFC 3339 in UTC.

    `encoder`, `weights` (`imagenet`, `random:SEED` or a file), `resample`, `dim`, `fingerprint` (None only while no
    encoder has been loaded for the catalog), `quantization`, `generation` (the folder or collection that holds the
    vectors), `generation_created_at` (None: when the catalog was), `features`, `learned` (what `tuned` features have
    learned: the SHA-256 of an object in media) and `space` (that of its `services.query.space`; None: not known yet)
    are those of the live generation. `generations` are the others that are kept, in the order in which they got their
    states. `directions` and `findings` are ordered by name. `decisions` is the object in media that holds what people
    have decided about duplicates; None: nothing yet.
    """

    name: str
    id: str
    encoder: str
    weights: str
    resample: Resample
    dim: int
    fingerprint: str | None
    generation: str
    created_at: str
    indexed_attributes: Mapping[str, AttributeKind] = field(default_factory=dict)
    quantization: Quantization = "none"
    generation_created_at: str | None = None
    generations: tuple[Generation, ...] = ()
    features: Features = "head"
    learned: str | None = None
    space: str | None = None
    directions: tuple[LearnedDirection, ...] = ()
    findings: tuple[Finding, ...] = ()
    decisions: str | None = None

    @property
    def objects(self) -> tuple[str, ...]:
        """The objects in media that it names: what the features of its generations have learned, their spaces, the
        directions, findings, and decisions."""
        of_others = (hash for each in self.generations for hash in (each.learned, each.space))
        learned, found = (each.object for each in self.directions), (each.object for each in self.findings)
        named = (self.learned, self.space, *of_others, *learned, *found, self.decisions)
        return tuple(dict.fromkeys(each for each in named if each is not None))

    @property
    def kept(self) -> tuple[Generation, ...]:
        """The other generations, without those that are being removed."""
        return tuple(each for each in self.generations if each.state is not GenerationState.DROPPED)


def made_by(made: CatalogSpec | Generation) -> tuple[str, str, Resample, Features]:
    """What makes vectors, as far as it is described: encoder, weights, resampling and features."""
    return made.encoder, made.weights, made.resample, made.features


def rfc3339(moment: datetime) -> str:
    """A moment in UTC, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def live(spec: CatalogSpec) -> Generation:
    """The live generation of a catalog."""
    at = spec.generation_created_at or spec.created_at
    return Generation(
        id=spec.generation,
        encoder=spec.encoder,
        weights=spec.weights,
        resample=spec.resample,
        dim=spec.dim,
        fingerprint=spec.fingerprint,
        quantization=spec.quantization,
        state=GenerationState.LIVE,
        created_at=at,
        since=at,
        features=spec.features,
        learned=spec.learned,
        space=spec.space,
    )


def as_live(spec: CatalogSpec, generation: Generation) -> CatalogSpec:
    """The description of a catalog with another of its generations as the live one, and no others beside it."""
    return replace(
        spec,
        encoder=generation.encoder,
        weights=generation.weights,
        resample=generation.resample,
        dim=generation.dim,
        fingerprint=generation.fingerprint,
        quantization=generation.quantization,
        generation=generation.id,
        generation_created_at=generation.created_at,
        generations=(),
        features=generation.features,
        learned=generation.learned,
        space=generation.space,
    )


def with_space(now: CatalogSpec, id: str, hash: str) -> CatalogSpec:
    """The description with the space of a generation, if it still has that generation."""
    if id == now.generation:
        return replace(now, space=hash)
    others = (replace(each, space=hash) if each.id == id else each for each in now.generations)
    return replace(now, generations=tuple(others))


def with_directions(now: CatalogSpec, more: Iterable[LearnedDirection]) -> CatalogSpec:
    """The description with these directions, each in the place of one that has its name."""
    found = {each.name: each for each in (*now.directions, *more)}
    return replace(now, directions=tuple(found[name] for name in sorted(found)))


def with_findings(now: CatalogSpec, more: Iterable[Finding]) -> CatalogSpec:
    """The description with these findings, each in the place of one that has its name."""
    found = {each.name: each for each in (*now.findings, *more)}
    return replace(now, findings=tuple(found[name] for name in sorted(found)))


def with_what_it_lacks(now: CatalogSpec, other: CatalogSpec) -> CatalogSpec:
    """The description with the directions and findings of another one that it has not, and with its decisions if there
    are none."""
    complete = with_directions(with_findings(other, now.findings), now.directions)
    return replace(
        now,
        directions=complete.directions,
        findings=complete.findings,
        decisions=now.decisions or other.decisions,
    )


def to_generations(described: Iterable[Mapping[str, Any]]) -> tuple[Generation, ...]:
    """Generations out of the JSON of their fields. Raises `TypeError`, `KeyError` and `ValueError` for what is none."""
    return tuple(Generation(**{**each, "state": GenerationState(each["state"])}) for each in described)


def to_directions(described: Iterable[Mapping[str, Any]]) -> tuple[LearnedDirection, ...]:
    """Directions out of the JSON of their fields. Raises `TypeError` for what is none."""
    return tuple(LearnedDirection(**each) for each in described)


def to_findings(described: Iterable[Mapping[str, Any]]) -> tuple[Finding, ...]:
    """Findings out of the JSON of their fields. Raises `TypeError` for what is none."""
    return tuple(Finding(**each) for each in described)
