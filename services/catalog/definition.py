"""What a direction is learned from, and the file that keeps it together with its vector."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from services.arrays import packed, unpacked
from services.errors import DataCorrupt, InvalidInput, LookalikeError
from services.names import checked_product_id
from services.query.filters import MAX_IDS, Filter, as_json, checked_keys, parse
from services.query.query import MAX_COLOR_WEIGHT
from services.records import Vector


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two sets: the products that match a filter, or those of some IDs."""

    filter: Filter | None = None
    product_ids: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        if self.filter is not None:
            return {"filter": as_json(self.filter)}
        return {"product_ids": [*self.product_ids]}

    def others(self) -> "Side":
        """All other products. Raises `InvalidFilter` where the filter is nested too deep for that."""
        if self.filter is None:
            return Side(parse({"must_not": {"has_id": [*self.product_ids]}}))
        return Side(parse({"must_not": [self.json()["filter"]]}))

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Self:
        """Raises `InvalidFilter`."""
        given = described.get("filter")
        return cls(None if given is None else parse(given), tuple(described.get("product_ids", ())))


@dataclass(frozen=True, slots=True)
class Definition:
    """What a direction is learned from.

    Attributes:
        toward: What it leads to.
        away_from: What it leads away from. None: all other products, if `toward` is a filter.
        within: The key of an attribute by which products are alike otherwise, such as their category: sides are
            compared within its values only. None: all are one category.
        color_weight: 0..10: with which it is learned and used. None: the best of some.
        force: Keep it although it is too weak to be of use.
    """

    toward: Side
    away_from: Side | None = None
    within: str | None = None
    color_weight: float | None = None
    force: bool = False

    def json(self) -> dict[str, Any]:
        """It as JSON."""
        return {
            "toward": self.toward.json(),
            "away_from": None if self.away_from is None else self.away_from.json(),
            "within": self.within,
            "color_weight": self.color_weight,
            "force": self.force,
        }

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Self:
        """What `json` gave. Raises `KeyError`, `InvalidFilter`."""
        away = described["away_from"]
        rest = {name: described[name] for name in ("within", "color_weight", "force")}
        return cls(Side.of(described["toward"]), None if away is None else Side.of(away), **rest)

    def checked(self, features: str) -> Self:
        """It itself. Raises `InvalidInput`s."""
        for name, side in (("toward", self.toward), ("away_from", self.away_from)):
            if side is not None and (side.filter is None) == (not side.product_ids):
                raise InvalidInput(f"{name}: name one side of the direction by a filter, or by product IDs.")
            if side is not None and len(side.product_ids) > MAX_IDS:
                raise InvalidInput(f"{name}: it has {len(side.product_ids):,} product IDs; it may have {MAX_IDS:,}.")
            for each in side.product_ids if side else ():
                checked_product_id(each)
        if self.away_from is None:
            self.toward.others()
        if self.within is not None:
            checked_keys([self.within])
        if self.color_weight is not None and not 0 < self.color_weight <= MAX_COLOR_WEIGHT:
            raise InvalidInput(
                f"The color weight {self.color_weight:g} is refused; it is above 0 and goes to {MAX_COLOR_WEIGHT}."
            )
        if self.color_weight not in (None, 1) and features != "tuned":
            raise InvalidInput(
                f"The catalog has {features} features, in which colors are no part of their own: leave out "
                "color_weight."
            )
        return self


def to_bytes(definition: Definition, vector: Vector) -> bytes:
    """A direction as a file: what it is learned from, and its vector, float32 (dim,)."""
    text = json.dumps(definition.json(), sort_keys=True).encode()
    return packed(vector=vector, definition=np.frombuffer(text, np.uint8))


def from_bytes(data: bytes) -> tuple[Definition, Vector]:
    """What a direction is learned from, and its vector, out of its file. Raises `DataCorrupt` where it is none."""
    try:
        vector, text = unpacked(data, ("vector", "definition")).values()
        definition = Definition.of(json.loads(text.tobytes()))
    except (ValueError, KeyError, TypeError, LookalikeError) as error:
        raise DataCorrupt("A direction is damaged.") from error
    if vector.ndim != 1 or vector.dtype != np.float32:
        raise DataCorrupt("A direction is of another kind.")
    return definition, vector
