"""The records that cross boundaries: plain, frozen, without behavior beyond what their fields say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Attributes = Mapping[str, Any]
"""Free JSON of a product: str keys; values str, int, float, bool, None, lists and objects of these."""

Vector = npt.NDArray[np.float32]
"""float32, shape (dim,)."""

Vectors = npt.NDArray[np.float32]
"""float32, shape (n, dim)."""

Pixels = npt.NDArray[np.uint8]
"""uint8, RGB, shape (height, width, 3) of one image or (n, height, width, 3) of a batch."""


Resample = Literal["nearest", "bilinear", "bicubic", "lanczos"]
"""How an image is brought to the size the encoder takes. Part of the fingerprint."""


class State(StrEnum):
    """How a change ended."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    FAILED = "failed"


class AttributeKind(StrEnum):
    """What an indexed attribute holds."""

    KEYWORD = "keyword"
    INTEGER = "integer"
    FLOAT = "float"
    BOOL = "bool"


@dataclass(frozen=True, slots=True)
class CatalogSpec:
    """What is fixed about a catalog, and kept beside its vectors.

    `weights` is `imagenet`, `random:SEED` or a file. `fingerprint` is None only while no encoder has been loaded
    for vectors that were imported without one. `generation` names the folder or collection that holds the vectors.
    `created_at` is RFC 3339 in UTC.
    """

    name: str
    encoder: str
    weights: str
    resample: Resample
    dim: int
    fingerprint: str | None
    generation: str
    created_at: str
    indexed_attributes: Mapping[str, AttributeKind] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Put:
    """A wish to set a product: its image (a file, or the bytes of one) and its attributes.

    `attributes` replaces what is stored; None keeps it (and means {} for a new product). `version` None lets the
    catalog number the change.
    """

    product_id: str
    image: Path | bytes
    attributes: Attributes | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Embedding:
    """A product's raw features, as an archive holds them: no image is needed to put it into a catalog.

    `attributes` None keeps what is stored (and means {} for a new product). `image` is the SHA-256 of the image that
    the features came from, where it is known.
    """

    product_id: str
    features: Vector = field(compare=False)
    attributes: Attributes | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one change ended. `code` and `message` are set when `state` is failed, and only then."""

    product_id: str
    state: State
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """What the index keeps of a product.

    `vector` has length one (cosine needs only the direction) and `norm` is the length that the raw features had:
    `vector * norm` are the features. `image` is the SHA-256 of the original image's bytes in hex, or None where the
    vector was imported without one. `version` orders the changes of a product, 0 <= version < 2**53. In an answer
    `vector` is None where it was not asked for.
    """

    product_id: str
    version: int
    vector: Vector | None = field(default=None, compare=False)
    norm: float = 1.0
    attributes: Attributes = field(default_factory=dict)
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What the index keeps of a removed product, so that an older change cannot bring it back.

    `removed_at` is in seconds since the Unix epoch.
    """

    product_id: str
    version: int
    removed_at: float


@dataclass(frozen=True, slots=True)
class Move:
    """New attributes and a new version for a stored product whose vector stays.

    With `image`, only where the stored image is still that one.
    """

    product_id: str
    version: int
    attributes: Attributes
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A product and how much it looks like the query: cosine, -1..1, larger is nearer."""

    product_id: str
    score: float
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Facet:
    """How many products have `value` for an attribute."""

    value: str | int | bool
    count: int


@dataclass(frozen=True, slots=True)
class Product:
    """A product as the catalog shows it."""

    product_id: str
    attributes: Attributes
    image: str | None
    version: int
    norm: float
