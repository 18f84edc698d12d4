"""Where an evaluation has the vectors of products from: a generation that stores them, or a recipe that makes them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from services.catalog.features import normalized
from services.catalog.open_generation import OpenGeneration
from services.catalog.pictures import pictures_of
from services.errors import ImageFeatureless, MediaNotFound
from services.images.intake import Intake, Picture
from services.index.vector_index import VectorIndex
from services.records import Point, Vector


class Column(Protocol):
    """Vectors of products, each of length one."""

    def vectors(self, points: Sequence[Point]) -> Mapping[str, Vector]:
        """Those of products by ID, without those that cannot be had. `points` are what the live generation has of them,
        vectors included."""


class Live:
    """What the live generation has."""

    def vectors(self, points: Sequence[Point]) -> Mapping[str, Vector]:
        return {each.product_id: each.vector for each in points if each.vector is not None}


@dataclass(frozen=True, slots=True)
class Stored:
    """What another generation has, in its index."""

    index: VectorIndex

    def vectors(self, points: Sequence[Point]) -> Mapping[str, Vector]:
        """Raises `IndexUnavailable`."""
        found = self.index.get([each.product_id for each in points], vectors=True)
        return {each.product_id: each.vector for each in found if each and each.vector is not None}


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a recipe makes of products' pictures now, of which nothing is stored.

    Pictures are the originals that are kept, else those at the products' URLs, where these are still the same ones.

    Attributes:
        recipe: What encodes; it has no index.
        intake: Where images come from.
        faults: Why products have no vector, by error code: how many.
    """

    recipe: OpenGeneration
    intake: Intake
    faults: Counter[str] = field(default_factory=Counter)

    def vectors(self, points: Sequence[Point]) -> Mapping[str, Vector]:
        """Raises `EncoderError`s, `EncoderMismatch`, `DataFull`, `DecodingUnavailable`, `Closed`."""
        pictures = self._pictures(points)
        if not pictures:
            return {}
        found: dict[str, Vector] = {}
        pixels = np.stack([each.forms[self.recipe.form] for each in pictures.values()])
        for product_id, raw in zip(pictures, self.recipe.encode(pixels), strict=True):
            try:
                found[product_id], _ = normalized(raw)
            except ImageFeatureless as error:
                self.faults[error.code] += 1
        return found

    def _pictures(self, points: Sequence[Point]) -> dict[str, Picture]:
        taken = pictures_of(points, self.intake, self.recipe.form)
        found: dict[str, Picture] = {}
        for each in points:
            picture = taken[each.product_id]
            if not isinstance(picture, Picture):
                self.faults[picture.code] += 1
            elif picture.hash == each.image:
                found[each.product_id] = picture
            else:
                # What the live generation has is of another picture, so they cannot be compared.
                self.faults[MediaNotFound.code] += 1
        return found
