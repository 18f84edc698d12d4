"""The map of a catalog as it is kept: where its products stand, and the landmarks among which others are placed."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from services.arrays import packed, unpacked
from services.explore.layout import Places, framed, placed
from services.explore.regions import SIDE, Labels, Points, Region
from services.records import Point, Vectors

MARGIN = 0.04
"""The share of the frame around the landmarks. Nothing stands there: others are placed between landmarks."""
_PARTS = ("about", "landmarks", "places", "product_ids", "marks", "points", "labels")
Marks = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Map:
    """A map. Products are in one order in all that it has of them.

    Attributes:
        version: Counts the layouts of a catalog; while it stays, products that stay keep their places.
        grown_from: How many products the catalog had when its landmarks were laid out.
        landmarks: float16 (m, dim).
        places: float32 (m, 2), theirs, 0..65535.
        product_ids: n of them.
        marks: What tells whether a product has another vector than when it was placed, uint64 (n,).
        points: uint16 (n, 2).
        labels: The number of the region of each product, or `NO_REGION`, uint16 (n,).
        regions: Those with most products first.
    """

    version: int
    grown_from: int
    landmarks: npt.NDArray[np.float16]
    places: Places
    product_ids: tuple[str, ...]
    marks: Marks
    points: Points
    labels: Labels
    regions: tuple[Region, ...] = ()

    def place(self, vectors: Vectors) -> Points:
        """Where vectors stand: uint16 (n, 2)."""
        return quantized(placed(vectors, self._landmarks, self.places))

    @cached_property
    def _landmarks(self) -> Vectors:
        return self.landmarks.astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What is shown of a map: products, and where they stand, as a `Map` has them."""

    product_ids: tuple[str, ...]
    points: Points
    labels: Labels
    regions: tuple[Region, ...]


def quantized(places: Places) -> Points:
    """Places in the frame as whole numbers."""
    return np.clip(np.rint(places), 0, SIDE).astype(np.uint16)


def in_frame(places: Places) -> Places:
    """Places of landmarks, scaled to the frame of a map."""
    return framed(places, SIDE, MARGIN)


def mark_of(point: Point) -> int:
    """What changes with a product's vector, as far as that is known: its image, or its version where it has none."""
    return point.version if point.image is None else int(point.image[:16], 16)


@dataclass(frozen=True, slots=True)
class Summary:
    """What is to be known of a map without what grows with its products: see `Map`."""

    version: int
    regions: tuple[Region, ...]


def summary_bytes(map: Map) -> bytes:
    """The file of a map's summary, some kB."""
    return json.dumps({"version": map.version, "regions": [asdict(each) for each in map.regions]}).encode()


def summary_of(data: bytes) -> Summary:
    """The summary of its file. Raises what `from_bytes` does."""
    return _summary(json.loads(data))


def to_bytes(map: Map) -> bytes:
    """The file of a map."""
    about: dict[str, Any] = {"version": map.version, "grown_from": map.grown_from}
    about["regions"] = [asdict(each) for each in map.regions]
    return packed(
        about=_text(about),
        landmarks=map.landmarks,
        places=map.places,
        product_ids=_text(map.product_ids),
        marks=map.marks,
        points=map.points,
        labels=map.labels,
    )


def from_bytes(data: bytes) -> Map:
    """The map of a file. Raises `ValueError`, `TypeError` or `KeyError` where it is damaged."""
    parts = unpacked(data, _PARTS)
    about = json.loads(parts["about"].tobytes())
    summary = _summary(about)
    return Map(
        version=summary.version,
        grown_from=about["grown_from"],
        landmarks=parts["landmarks"],
        places=parts["places"],
        product_ids=tuple(json.loads(parts["product_ids"].tobytes())),
        marks=parts["marks"],
        points=parts["points"],
        labels=parts["labels"],
        regions=summary.regions,
    )


def drawn_of(data: bytes) -> tuple[Summary, Points, Labels]:
    """What is drawn of the map of a file, without what else is in it. Raises what `from_bytes` does."""
    about, points, labels = unpacked(data, ("about", "points", "labels")).values()
    return _summary(json.loads(about.tobytes())), points, labels


def product_ids_of(data: bytes) -> tuple[str, ...]:
    """The products of the map of a file, without what else is in it. Raises what `from_bytes` does."""
    [ids] = unpacked(data, ("product_ids",)).values()
    return tuple(json.loads(ids.tobytes()))


def _summary(about: Mapping[str, Any]) -> Summary:
    return Summary(about["version"], tuple(Region(**each) for each in about["regions"]))


def _text(value: object) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)
