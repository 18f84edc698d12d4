"""What a catalog is asked: what to look for, which products may answer, and how they are arranged."""

import math
from dataclasses import dataclass
from typing import Self

from services.errors import InvalidInput, InvalidQuery
from services.names import checked_product_id
from services.query.filters import Filter, checked_keys
from services.query.terms import MAX_TERMS, Example, ImageTerm, Operand, ProductTerm, Term

MAX_LIMIT = 1000
MAX_COLOR_WEIGHT = 10
MAX_DIVERSE = 200
"""The largest page of diverse answers: five times as many are compared with each other."""
MAX_PICTURES = 8
"""Pictures among the terms: each is fetched or sent, decoded and encoded while somebody waits."""
MAX_GROUP = 100
MAX_STEPS = 50
"""Products between the ends of a path."""
MAX_EXCLUDED = 1000
MAX_EXPLAINED = 100
"""The largest page of which each answer is explained, term by term."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for, and how.

    What is looked for is the sum of the terms of `near`, of the mean of `like`, and of the mean of `unlike` taken away
    a quarter. Products that are named as terms are not among the answers.

    Attributes:
        near: Weighted terms. A single one of positive weight, with nothing else, finds what is like it.
        like: Examples of what is wanted.
        unlike: Examples of what is not.
        filter: Which products may answer.
        exclude: IDs of those that may not.
        min_score: The lowest cosine of an answer, -1..1.
        min_percentile: The lowest percentile of an answer, 0..100: see `services.query.space`.
        color_weight: Of tuned features, by how much colors are multiplied, 0..10. None: 1, or the weight of the
            direction that counts most.
        rerank: Whether the first 50 are ranked again by what is near to each other, too.
        diversity: 0..1: how much answers should differ from each other rather than be near. 0: not at all.
        group_by: The key of an attribute; products that share a value of it are a group, of which `group_size` answer.
            A product without it is a group of its own.
        group_size: See there.
        limit: How many answers there are, 1..1000; with `group_by`, how many groups.
        offset: How many of the first answers are left out.
        explain: Whether each answer says how much of its score is each term's.
    """

    near: tuple[Term, ...] = ()
    like: tuple[Example, ...] = ()
    unlike: tuple[Example, ...] = ()
    filter: Filter | None = None
    exclude: tuple[str, ...] = ()
    min_score: float | None = None
    min_percentile: float | None = None
    color_weight: float | None = None
    rerank: bool = False
    diversity: float = 0.0
    group_by: str | None = None
    group_size: int = 1
    limit: int = 10
    offset: int = 0
    explain: bool = False

    @property
    def operands(self) -> tuple[Operand, ...]:
        """Those of all terms."""
        return (*(term.operand for term in self.near), *self.like, *self.unlike)

    @property
    def named(self) -> frozenset[str]:
        """The IDs of products that are terms."""
        return frozenset(each.product_id for each in self.operands if isinstance(each, ProductTerm))

    def checked(self) -> Self:
        """It itself. Raises `InvalidQuery` and other `InvalidInput`s, which name what is wrong."""
        self._check_terms()
        checked_limit(self.limit)
        checked_score(self.min_score)
        checked_weight(self.color_weight)
        if self.offset < 0:
            raise InvalidInput(f"The offset {self.offset} is refused; it starts at 0.")
        if self.min_percentile is not None and not 0 <= self.min_percentile <= 100:
            raise InvalidInput(f"The lowest percentile {self.min_percentile} is refused; it goes from 0 to 100.")
        if not 0 <= self.diversity <= 1:
            raise InvalidInput(f"The diversity {self.diversity} is refused; it goes from 0 to 1.")
        if not 1 <= self.group_size <= MAX_GROUP:
            raise InvalidInput(f"The group size {self.group_size} is refused; it goes from 1 to {MAX_GROUP}.")
        if len(self.exclude) > MAX_EXCLUDED:
            raise InvalidInput(f"The query excludes {len(self.exclude):,} products; it may exclude {MAX_EXCLUDED:,}.")
        for each in self.exclude:
            checked_product_id(each)
        self._check_arrangement()
        return self

    def _check_terms(self) -> None:
        if not self.operands:
            raise InvalidQuery("The query has no terms: give near, like or unlike.")
        if len(self.operands) > MAX_TERMS:
            raise InvalidQuery(f"The query has {len(self.operands)} terms; it may have {MAX_TERMS}.")
        pictures = len({each for each in self.operands if isinstance(each, ImageTerm)})
        if pictures > MAX_PICTURES:
            raise InvalidQuery(f"The query has {pictures} pictures; it may have {MAX_PICTURES}.")
        for term in self.near:
            term.checked()
        for each in (*self.like, *self.unlike):
            Term(each).checked()

    def _check_arrangement(self) -> None:
        arranged = [name for name, is_so in self._arrangements if is_so]
        if len(arranged) > 1:
            raise InvalidInput(f"The query has {' and '.join(arranged)}, which do not go together: leave all but one.")
        if self.group_by is not None:
            checked_keys([self.group_by])
        if self.group_size != 1 and self.group_by is None:
            raise InvalidInput("group_size is for group_by: name the attribute, or leave it out.")
        if self.limit * self.group_size > MAX_LIMIT:
            raise InvalidInput(
                f"{self.limit} groups of {self.group_size} are refused: there are {MAX_LIMIT:,} answers at most."
            )
        if self.explain and self.limit * self.group_size > MAX_EXPLAINED:
            raise InvalidInput(
                f"{self.limit * self.group_size} answers are not explained; lower the limit to {MAX_EXPLAINED} or less."
            )
        if self.diversity and self.limit > MAX_DIVERSE:
            raise InvalidInput(f"The limit {self.limit} is refused; with diversity it goes from 1 to {MAX_DIVERSE}.")
        if self.offset and (self.group_by is not None or self.diversity):
            raise InvalidInput(
                f"A query with {'group_by' if self.group_by is not None else 'diversity'} has one page: leave out "
                "offset and cursor, and raise the limit."
            )

    @property
    def _arrangements(self) -> tuple[tuple[str, bool], ...]:
        return (("rerank", self.rerank), ("diversity", bool(self.diversity)), ("group_by", self.group_by is not None))


def check_path(start: Example, end: Example, steps: int, color_weight: float | None) -> None:
    """Raises `InvalidQuery` and other `InvalidInput`s where there is no such path between two examples."""
    if not 1 <= steps <= MAX_STEPS:
        raise InvalidInput(f"The steps {steps} are refused; a path has 1 to {MAX_STEPS}.")
    for each in (start, end):
        Term(each).checked()
    checked_weight(color_weight)
    if start == end:
        raise InvalidQuery(f"The path leads from {start} to itself: name another end.")


def checked_score(score: float | None) -> float | None:
    """The lowest score itself. Raises `InvalidInput` outside of -1..1."""
    if score is not None and not -1 <= score <= 1:
        raise InvalidInput(f"The lowest score {score} is refused; it goes from -1 to 1.")
    return score


def checked_weight(weight: float | None) -> float | None:
    """The color weight itself. Raises `InvalidInput` outside of 0..`MAX_COLOR_WEIGHT`."""
    if weight is not None and not (math.isfinite(weight) and 0 <= weight <= MAX_COLOR_WEIGHT):
        raise InvalidInput(f"The color weight {weight} is refused; it goes from 0 to {MAX_COLOR_WEIGHT}.")
    return weight


def checked_limit(limit: int) -> int:
    """The limit itself. Raises `InvalidInput` outside of 1..`MAX_LIMIT`."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"The limit {limit} is refused; it goes from 1 to {MAX_LIMIT}.")
    return limit
