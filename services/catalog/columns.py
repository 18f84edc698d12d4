"""Where an evaluation has the vectors of products from: a generation that stores them, or a recipe that makes them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from services.catalog.features import normalized
from services.catalog.open_generation import OpenGeneration
from services.errors import ImageFeatureless, LookalikeError, MediaNotFound
from services.images.intake import Intake, Picture
from services.index.vector_index import VectorIndex
from services.records import ImageSource, Point, RemoteImage, StoredImage, Vector


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
        kept = self._taken([(each, StoredImage(each.image)) for each in points if each.image])
        gone = [each for each in points if isinstance(kept.get(each.product_id, MediaNotFound()), MediaNotFound)]
        fetched = self._taken([(each, RemoteImage(each.url)) for each in gone if each.url])
        found: dict[str, Picture] = {}
        for each in points:
            taken = fetched.get(each.product_id) or kept.get(each.product_id) or MediaNotFound()
            if isinstance(taken, LookalikeError):
                self.faults[taken.code] += 1
            elif taken.hash == each.image:
                found[each.product_id] = taken
            else:
                # What the live generation has is of another picture, so they cannot be compared.
                self.faults[MediaNotFound.code] += 1
        return found

    def _taken(self, wanted: Sequence[tuple[Point, ImageSource]]) -> dict[str, Picture | LookalikeError]:
        if not wanted:
            return {}
        found = self.intake.pictures([(source, None) for _, source in wanted], self.recipe.form)
        taken: dict[str, Picture | LookalikeError] = {}
        for (each, _), picture in zip(wanted, found, strict=True):
            assert not isinstance(picture, Future) and picture is not None, "neither late nor known"
            taken[each.product_id] = picture
        return taken
