"""Products as queries: which of them are asked what is like them, and which answers are right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from services.records import Vectors

Rows = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]

Cosines = npt.NDArray[np.float32]

CELLS = 1 << 21
"""Cosines that are in memory at a time, so that memory does not grow with the square of the products."""


@dataclass(frozen=True)
class Queries:
    """The labeled products of a sample, in the order of their IDs, and those of them that are queries.

    A product is asked against all others that are labeled and not of its group; those that share a value with it are
    relevant. It is a query if there is one.

    Attributes:
        product_ids: Of the n labeled products, ascending.
        values: Of each, the values of its label; none is empty.
        rows: Where each is in the sample that they were taken from: int64 (n,).
        groups: Equal numbers where two are of one group; a product without a group has its own: int64 (n,).
        asked: Which of the n are queries, ascending: int64 (q,).
        unlabeled: Products of the sample without a value.
        alone: Labeled products that share no value with one outside their group, so that no answer would be right.
    """

    product_ids: Sequence[str]
    values: Sequence[frozenset[str]]
    rows: Rows
    groups: Rows
    asked: Rows
    unlabeled: int
    alone: int

    @cached_property
    def members(self) -> Mapping[str, Rows]:
        """Which of the n products have a value, by value."""
        return _members(self.values)

    @property
    def chunks(self) -> Sequence[Rows]:
        """The queries in parts whose cosines fit into `CELLS`."""
        size = max(1, CELLS // max(1, len(self.product_ids)))
        return [self.asked[at : at + size] for at in range(0, len(self.asked), size)]

    def relevant(self, some: Rows) -> Marks:
        """For some of the n products, which of the n are right answers: bool (len(some), n)."""
        found = np.zeros((len(some), len(self.product_ids)), bool)
        for at, row in enumerate(some):
            for value in self.values[row]:
                found[at, self.members[value]] = True
        return found & self._candidates(some)

    def cosines(self, vectors: Vectors, some: Rows) -> Cosines:
        """How alike some of the n products are to each: float32 (len(some), n), no candidate minus infinity.

        Args:
            vectors: Of the n products, in their order: float32 (n, dim), each of length one.
            some: Which are asked.
        """
        cosines: Cosines = vectors[some] @ vectors.T
        cosines[~self._candidates(some)] = -np.inf
        return cosines

    def _candidates(self, some: Rows) -> Marks:
        marks: Marks = self.groups[some][:, None] != self.groups[None, :]
        return marks


def ranked(cosines: Cosines) -> Rows:
    """The columns of each row in the order of their cosines, largest first, equal ones by column: int64, same shape."""
    # One number has both, the cosine above the column: sorting these takes a third of the time of a stable argsort. The
    # bits of a float are ordered as it is, once those of negative ones are turned around; 0.0 - x is never -0.0.
    bits = (0.0 - cosines).view(np.int32)
    bits ^= (bits >> 31) & 0x7FFFFFFF
    keys = bits.astype(np.int64) << 32
    keys |= np.arange(cosines.shape[1])
    keys.sort(axis=1)
    keys &= 0xFFFFFFFF
    return keys


def queries_of(product_ids: Sequence[str], values: Sequence[frozenset[str]], groups: Sequence[str | None]) -> Queries:
    """The queries among the products of a sample.

    Args:
        product_ids: All different.
        values: Of each, the values of its label; empty: it has none.
        groups: Of each, what it is a variant of; None: of nothing.
    """
    labeled = [row for row in range(len(product_ids)) if values[row]]
    rows = sorted(labeled, key=lambda row: product_ids[row])
    theirs = [values[row] for row in rows]
    numbers = _numbers([groups[row] for row in rows])
    # A value that two groups have gives each of its products an answer from outside.
    shared = {value for value, found in _members(theirs).items() if len(set(numbers[found].tolist())) > 1}
    asked = [at for at, of in enumerate(theirs) if of & shared]
    return Queries(
        product_ids=[product_ids[row] for row in rows],
        values=theirs,
        rows=np.array(rows, np.int64),
        groups=numbers,
        asked=np.array(asked, np.int64),
        unlabeled=len(product_ids) - len(rows),
        alone=len(rows) - len(asked),
    )


def _numbers(groups: Sequence[str | None]) -> Rows:
    seen: dict[tuple[str | None, int | None], int] = {}
    keys = ((group, None if group is not None else row) for row, group in enumerate(groups))
    return np.array([seen.setdefault(key, len(seen)) for key in keys], np.int64)


def _members(values: Sequence[frozenset[str]]) -> dict[str, Rows]:
    found: dict[str, list[int]] = {}
    for row, of in enumerate(values):
        for value in of:
            found.setdefault(value, []).append(row)
    return {value: np.array(rows, np.int64) for value, rows in found.items()}
