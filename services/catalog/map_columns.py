"""What the products of a map have for an attribute, as one array in their order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from services.catalog.copying import read_points
from services.catalog.labels import group_at
from services.descriptions import AttributeKind
from services.index.vector_index import VectorIndex
from services.kinds import leaves
from services.query.query import MAX_LIMIT

NO_VALUE = 65535
"""The code of a product that has no value."""
MOST = 65535
"""Values that a column has at most; the rarest of more count as none."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """What products have for an attribute, the first of several values.

    Attributes:
        kind: Of `keyword`, `codes` are places in `values`, uint16 (n,), or `NO_VALUE`; of `number`, `numbers` are
            float32 (n,), NaN where there is none.
        values: The most frequent first, then by text.
    """

    kind: Literal["keyword", "number"]
    codes: npt.NDArray[np.uint16]
    numbers: npt.NDArray[np.float32]
    values: tuple[str, ...] = ()

    def cells(self) -> npt.NDArray[np.float32] | list[str | None]:
        """The value of each product: numbers as they are, else texts, None where there is none."""
        if self.kind == "number":
            return self.numbers
        return [None if code == NO_VALUE else self.values[code] for code in self.codes.tolist()]


def column_of(index: VectorIndex, key: str, product_ids: Sequence[str], kind: AttributeKind | None) -> Column:
    """The column of an attribute that is declared as this kind; where it is not, of numbers if all values are.

    Raises `IndexUnavailable`.
    """
    texts: dict[str, str] = {}
    numbers: dict[str, float] = {}
    wanted = set(product_ids)
    for point in read_points(index, MAX_LIMIT, vectors=False):
        if point.product_id in wanted and (text := group_at(point.attributes, key)) is not None:
            texts[point.product_id] = text
            if (number := _number(point.attributes, key)) is not None:
                numbers[point.product_id] = number
    is_number = kind.is_number if kind else bool(texts) and len(texts) == len(numbers)
    return _numbers(numbers, product_ids) if is_number else _keywords(texts, product_ids)


def _keywords(texts: dict[str, str], product_ids: Sequence[str]) -> Column:
    counts = Counter(texts.values())
    values = sorted(counts, key=lambda value: (-counts[value], value))[:MOST]
    codes = {value: code for code, value in enumerate(values)}
    found = [codes.get(texts.get(each, ""), NO_VALUE) if each in texts else NO_VALUE for each in product_ids]
    return Column("keyword", np.array(found, np.uint16), np.zeros(0, np.float32), tuple(values))


def _numbers(numbers: dict[str, float], product_ids: Sequence[str]) -> Column:
    # Greater ones than float32 holds are as far as it goes.
    limit = float(np.finfo(np.float32).max)
    found = [min(max(numbers.get(each, np.nan), -limit), limit) if each in numbers else np.nan for each in product_ids]
    return Column("number", np.zeros(0, np.uint16), np.array(found, np.float32))


def _number(attributes: Any, key: str) -> float | None:
    for value in leaves(attributes, key):
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if value is not None and not isinstance(value, dict | list):
            return None
    return None
