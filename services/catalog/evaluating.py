"""Evaluating the generations of a catalog, or a recipe that none has, against the catalog's own labels."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TypedDict

import numpy as np

from services.catalog.catalog import Catalog
from services.catalog.catalogs import Catalogs
from services.catalog.columns import Column, Encoded, Live, Stored
from services.catalog.comparing import from_anywhere
from services.catalog.encoders import CatalogEncoder
from services.catalog.labels import group_at, values_at
from services.catalog.learning import FEWEST, learned_from
from services.catalog.open_generation import OpenGeneration
from services.catalog.question import Question, learns, recipe_spec
from services.descriptions import CatalogSpec, Generation, as_live, live
from services.encoders.networks import form_of
from services.encoders.tuned.encoder import TunedEncoder
from services.encoders.tuned.learned import digest
from services.errors import IndexUnavailable, LabelUnusable
from services.explore.evaluation import nothing
from services.explore.queries import Queries, queries_of
from services.explore.report import LabelReport, reported
from services.index.vector_index import VectorIndex
from services.records import Point, Vector, Vectors

PAGE = 64
SEED = 0
RECIPE = "recipe"

Watch = Callable[[int, int], object]
"""Called with how many products were looked at, and of how many. What it raises ends the evaluation."""


class ColumnReport(TypedDict):
    """What is evaluated. `name` is the generation's state, or `recipe`; of a recipe, `generation` is None. `missing`
    are labeled products that it has no vectors of, and `faults` says why, by error code, where that is known."""

    name: str
    generation: str | None
    encoder: str
    weights: str
    resample: str
    features: str
    missing: int
    faults: dict[str, int]


class Evaluation(TypedDict):
    """The answer. `sample` products were looked at; `products` of them have a label, and vectors in all columns, of
    which the first is the live generation."""

    catalog: str
    group: str | None
    sample: int
    products: int
    columns: list[ColumnReport]
    labels: list[LabelReport]


@dataclass(slots=True)
class _Sample:
    """What is known of the products of a sample that have a label, and vectors in all columns."""

    question: Question
    columns: Sequence[Column]
    looked_at: int = 0
    unlabeled: int = 0
    product_ids: list[str] = field(default_factory=list)
    values: list[list[frozenset[str]]] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    vectors: list[list[Vector]] = field(default_factory=list)
    missing: Counter[int] = field(default_factory=Counter)

    def add(self, points: Sequence[Point]) -> None:
        """Looks at some products more. Raises what the columns do."""
        question = self.question
        self.looked_at += len(points)
        values = {each.product_id: [values_at(each.attributes, key) for key in question.labels] for each in points}
        labeled = [each for each in points if any(values[each.product_id])]
        self.unlabeled += len(points) - len(labeled)
        found = [column.vectors(labeled) for column in self.columns]
        for at, theirs in enumerate(found):
            self.missing[at] += sum(each.product_id not in theirs for each in labeled)
        for each in labeled:
            if all(each.product_id in theirs for theirs in found):
                self.product_ids.append(each.product_id)
                self.values.append(values[each.product_id])
                self.groups.append(group_at(each.attributes, question.group) if question.group else None)
                self.vectors.append([theirs[each.product_id] for theirs in found])

    def queries(self, at: int) -> Queries:
        """Those of one of the labels."""
        return queries_of(self.product_ids, [each[at] for each in self.values], self.groups)

    def of(self, queries: Queries) -> list[Vectors]:
        """By column, the vectors of a label's products."""
        return [
            np.array([self.vectors[row][column] for row in queries.rows], np.float32)
            for column in range(len(self.columns))
        ]


class Evaluating:
    """Evaluates a catalog. Nothing is changed or stored by it.

    Args:
        catalogs: The catalogs of this process.
        name: The catalog's name.
        question: What is asked.
        fewest: Pictures that tuned features need to learn from.
    """

    def __init__(self, catalogs: Catalogs, name: str, question: Question, *, fewest: int = FEWEST) -> None:
        self._catalogs = catalogs
        self._name = name
        self._question = question.checked()
        self._fewest = fewest

    def evaluate(self, watch: Watch = lambda done, total: None, check: Callable[[], object] = nothing) -> Evaluation:
        """Reads a sample of products, and what the recipe asks for is encoded; then each label is evaluated.

        Tuned features of a recipe learn before, from the catalog's pictures, as those of a generation would.

        The sample is the same each time, as long as the catalog is.

        Args:
            watch: See `Watch`; called before the first page and after each.
            check: Called often while features learn, and while nothing is read; what it raises ends the evaluation.

        Raises:
            InvalidInput, GenerationNotFound, EncoderUnknown, GenerationUnchanged, TooFewImages, LabelUnusable: See
                `Question.check`.
            LabelUnusable: Also where fewer than two products of the sample share a value with another.
            IndexUnavailable: Also where a generation is dropped meanwhile.
            EncoderError, DecodingUnavailable, DataFull, Closed: What the recipe needs cannot be had.
        """
        catalog = self._catalogs.renewed(self._name)
        self._question.check(catalog, self._fewest)
        with self._columns(catalog, check) as (columns, described):
            sample = self._read(catalog.beside.live.index, columns, watch)
        for at, (column, each) in enumerate(zip(columns, described, strict=True)):
            each["missing"] = sample.missing[at]
            each["faults"] = dict(column.faults) if isinstance(column, Encoded) else {}
        return {
            "catalog": self._name,
            "group": self._question.group,
            "sample": sample.looked_at,
            "products": len(sample.product_ids),
            "columns": described,
            "labels": [self._report(sample, at, check) for at in range(len(self._question.labels))],
        }

    def _read(self, index: VectorIndex, columns: Sequence[Column], watch: Watch) -> _Sample:
        sample = _Sample(self._question, columns)
        total = min(index.count(), self._question.sample)
        products = islice(_once(from_anywhere(index, SEED)), self._question.sample)
        watch(0, total)
        while points := list(islice(products, PAGE)):
            sample.add(points)
            watch(sample.looked_at, max(total, sample.looked_at))
        return sample

    def _report(self, sample: _Sample, at: int, check: Callable[[], object]) -> LabelReport:
        check()
        label, queries = self._question.labels[at], sample.queries(at)
        if len(queries.asked) < 2:
            outside = f" outside its {self._question.group}" if self._question.group else ""
            raise LabelUnusable(
                f"Of {sample.looked_at} products of catalog {self._name}, {len(queries.product_ids)} have a value at "
                f"{label} and vectors to compare, and {len(queries.asked)} share it with another{outside}: take "
                "another label, or a larger sample."
            )
        found = reported(label, queries, sample.of(queries), check)
        found["unlabeled"] += sample.unlabeled
        return found

    @contextmanager
    def _columns(
        self, catalog: Catalog, check: Callable[[], object]
    ) -> Iterator[tuple[list[Column], list[ColumnReport]]]:
        """What is evaluated, the live generation first, and its description."""
        spec, recipe = catalog.spec, self._question.recipe
        generations = [live(spec), *self._question.others(spec)]
        columns: list[Column] = [Live(), *(Stored(self._index(catalog, each)) for each in generations[1:])]
        described = [_described(each.state.value, each.id, each) for each in generations]
        if not recipe:
            yield columns, _told_apart(described)
            return
        made = recipe_spec(spec, recipe)
        try:
            columns.append(Encoded(self._opened(catalog, made, check), self._catalogs.intake))
            yield columns, _told_apart([*described, _described(RECIPE, None, made)])
        finally:
            self._catalogs.release(made)

    def _index(self, catalog: Catalog, generation: Generation) -> VectorIndex:
        self._catalogs.registry.prepare(as_live(catalog.spec, generation))
        return catalog.beside.index_of(generation.id)

    def _opened(self, catalog: Catalog, recipe: CatalogSpec, check: Callable[[], object]) -> OpenGeneration:
        encoder = self._learned(catalog, recipe, check) if learns(recipe) else self._catalogs.encoder(recipe)
        check()
        encoder.fingerprint()
        check()

        def no_index() -> VectorIndex:
            raise IndexUnavailable("A recipe has no vectors that are stored.")

        return OpenGeneration(recipe, no_index, encoder, form_of(recipe))

    def _learned(self, catalog: Catalog, recipe: CatalogSpec, check: Callable[[], object]) -> CatalogEncoder:
        network, index = self._catalogs.network(recipe), catalog.beside.live.index
        data = learned_from(recipe, index, self._catalogs.intake, network, lambda _: check(), self._fewest)
        return TunedEncoder(network, digest(data), lambda _: data)


def _described(name: str, id: str | None, made: CatalogSpec | Generation) -> ColumnReport:
    return {
        "name": name,
        "generation": id,
        "encoder": made.encoder,
        "weights": made.weights,
        "resample": made.resample,
        "features": made.features,
        "missing": 0,
        "faults": {},
    }


def _told_apart(columns: list[ColumnReport]) -> list[ColumnReport]:
    """The columns with names that differ."""
    seen: Counter[str] = Counter()
    for each in columns:
        seen[each["name"]] += 1
        if seen[each["name"]] > 1:
            each["name"] += f" {seen[each['name']]}"
    return columns


def _once(points: Iterator[Point]) -> Iterator[Point]:
    seen: set[str] = set()
    for each in points:
        if each.product_id not in seen:
            seen.add(each.product_id)
            yield each
