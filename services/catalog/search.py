"""Searches of a catalog."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypedDict, Unpack

import numpy as np

from services.catalog.asked import Asked, Asking, no_directions
from services.catalog.diffusion import CANDIDATES, order
from services.catalog.labels import group_at
from services.descriptions import Features
from services.errors import TooFewProducts
from services.images.intake import Picture
from services.index.vector_index import VectorIndex
from services.query.direction import Direction
from services.query.filters import Filter
from services.query.geometry import diverse
from services.query.likeness import Hashes, count_good, likeness
from services.query.query import MAX_LIMIT, Query, check_path
from services.query.space import Space
from services.query.terms import Example, ImageTerm, ProductTerm, Term, VectorTerm
from services.records import Answer, Attributes, Explanation, Neighbor, Note, Pixels, TermShare, Vector, Vectors

DIVERSE = 5
"""Candidates for each diverse answer."""
FEWEST_DIVERSE = 100
"""Candidates at least."""
LOOKED_AT = 10_000
"""The nearest products that groups are made of, at most."""
_WIDER = 4
"""By how much more is asked for, where groups are missing."""


class SearchOptions(TypedDict, total=False):
    """What every search takes: `limit` 1..1000 (10), `offset` (0), `filter` (none), `min_score` -1..1 (none),
    `color_weight` 0..10 (1), by which the colors of a query are multiplied, and `rerank` (no), whether the first 50 are
    ranked again: see `services.catalog.diffusion`."""

    limit: int
    offset: int
    filter: Filter | None
    min_score: float | None
    color_weight: float | None
    rerank: bool


def no_space() -> Space | None:
    """That of a catalog of which nothing is known."""
    return None


class Searcher:
    """Answers queries of one catalog. Thread-safe.

    Args:
        index: Where the vectors are.
        catalog: The catalog's name, for error messages.
        features: Those of its vectors.
        take: Decodes a picture into the encoder's pixels, and hashes it.
        load_encoder: Loads the encoder, or raises why it does not belong to the catalog.
        encode: Pixels to raw features, before any batch that waits.
        space: Gives that of the catalog; None while it has too few products.
        direction: Gives a direction of the catalog. Raises `DirectionNotFound`.
    """

    def __init__(
        self,
        index: VectorIndex,
        catalog: str,
        *,
        features: Features = "head",
        take: Callable[[bytes], Picture],
        load_encoder: Callable[[], None],
        encode: Callable[[Pixels], Vectors],
        space: Callable[[], Space | None] = no_space,
        direction: Callable[[str], Direction] = no_directions,
    ) -> None:
        self._index = index
        self._catalog = catalog
        self._asking = Asking(
            index,
            catalog,
            features=features,
            take=take,
            load_encoder=load_encoder,
            encode=encode,
            direction=direction,
        )
        self._space = space

    def by_vector(self, vector: Vector, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """See `Catalog.search`."""
        return self.answer(Query(near=(Term(VectorTerm(vector)),), **options)).neighbors

    def by_image(self, image: bytes, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """See `Catalog.search_image`."""
        return self.answer(Query(near=(Term(ImageTerm(image)),), **options)).neighbors

    def by_product(self, product_id: str, **options: Unpack[SearchOptions]) -> list[Neighbor]:
        """See `Catalog.neighbors`."""
        return self.answer(Query(near=(Term(ProductTerm(product_id)),), **options)).neighbors

    def answer(self, query: Query) -> Answer:
        """See `Catalog.query`."""
        query.checked()
        space = self._space()
        asked = self._asking.asked(query, space)
        query = replace(query, min_score=self._min_score(query, asked, space))
        found, notes = self._found(query, asked)
        found = self._told(found, asked, space)
        if query.explain:
            found = self._explained(found, asked)
        return Answer(
            neighbors=found,
            good=count_good(found) if space and asked.form.weights else None,
            color_weight=asked.form.color_weight,
            notes=(*asked.notes, *notes),
        )

    def path(
        self,
        start: Example,
        end: Example,
        steps: int,
        *,
        filter: Filter | None = None,
        color_weight: float | None = None,
    ) -> Answer:
        """See `Catalog.path`."""
        check_path(start, end, steps, color_weight)
        space = self._space()
        taken = [each.product_id for each in (start, end) if isinstance(each, ProductTerm)]
        found: list[Neighbor] = []
        notes: tuple[Note, ...] = ()
        used = 1.0
        for asked in self._asking.between(start, end, steps, color_weight, space):
            nearest = self._index.search(asked.vector, limit=1, filter=filter, exclude=taken)
            taken += [each.product_id for each in nearest]
            found += self._told(nearest, asked, space)
            notes, used = asked.notes, asked.form.color_weight
        good = count_good(found) if space else None
        return Answer(neighbors=found, good=good, color_weight=used, notes=notes)

    def _min_score(self, query: Query, asked: Asked, space: Space | None) -> float | None:
        """The lowest score of an answer, whichever way it was given; above 1 where no product can have it."""
        if query.min_percentile is None:
            return query.min_score
        if space is None:
            raise TooFewProducts(
                f"Catalog {self._catalog} has too few products to tell percentiles: leave out min_percentile, or use "
                "min_score."
            )
        lowest = space.min_score(query.min_percentile, asked.form)
        return lowest if query.min_score is None else max(lowest, query.min_score)

    def _found(self, query: Query, asked: Asked) -> tuple[list[Neighbor], list[Note]]:
        if query.min_score is not None and query.min_score > 1:
            return [], []
        if query.group_by is not None:
            return self._grouped(query, asked, query.group_by)
        if query.diversity:
            return self._diverse(query, asked), []
        if query.rerank and query.offset < CANDIDATES:
            # All that are ranked again, whatever page is asked for: each product is on one page.
            most = max(query.offset + query.limit, CANDIDATES)
            found = self._reranked(asked.vector, self._nearest(query, asked, limit=most))
            return found[query.offset : query.offset + query.limit], []
        return self._nearest(query, asked, limit=query.limit, offset=query.offset), []

    def _nearest(self, query: Query, asked: Asked, *, limit: int, offset: int = 0) -> list[Neighbor]:
        return self._index.search(
            asked.vector,
            limit=limit,
            offset=offset,
            filter=query.filter,
            min_score=query.min_score,
            exclude=sorted(query.named | {*query.exclude}),
        )

    def _reranked(self, query: Vector, found: list[Neighbor]) -> list[Neighbor]:
        first = found[:CANDIDATES]
        there, vectors = self._with_vectors(first)
        if not there:
            return found
        ranked = order(query, vectors)
        # Those that were removed at this moment come last.
        gone = [each for each in first if each not in there]
        return [*(there[best] for best in ranked), *gone, *found[CANDIDATES:]]

    def _diverse(self, query: Query, asked: Asked) -> list[Neighbor]:
        candidates = self._nearest(query, asked, limit=max(DIVERSE * query.limit, FEWEST_DIVERSE))
        there, vectors = self._with_vectors(candidates)
        if not there:
            return []
        return [there[row] for row in diverse(asked.vector, vectors, query.diversity, query.limit)]

    def _grouped(self, query: Query, asked: Asked, key: str) -> tuple[list[Neighbor], list[Note]]:
        """The first groups, in the order of their best, the members of each together."""
        wanted = min(query.limit * query.group_size * _WIDER, LOOKED_AT)
        while True:
            found = self._nearest(query, asked, limit=wanted)
            groups = _groups(found, key, query.group_size)
            first = groups[: query.limit]
            is_full = len(first) == query.limit and all(_is_full(each, query.group_size) for each in first)
            if is_full or len(found) < wanted or wanted == LOOKED_AT:
                break
            wanted = min(wanted * _WIDER, LOOKED_AT)
        is_cut = not is_full and len(found) == wanted == LOOKED_AT
        notes = [Note("groups_cut", f"Groups were made of the {LOOKED_AT:,} nearest products only.")] if is_cut else []
        return [each for group in first for each in group], notes

    def _with_vectors(self, found: Sequence[Neighbor]) -> tuple[list[Neighbor], Vectors]:
        """Neighbors with their vectors, float32 (n, dim), without those that were removed at this moment."""
        vectors: dict[str, Vector] = {}
        for start in range(0, len(found), MAX_LIMIT):
            some = found[start : start + MAX_LIMIT]
            points = self._index.get([each.product_id for each in some], vectors=True)
            vectors |= {point.product_id: point.vector for point in points if point and point.vector is not None}
        there = [each for each in found if each.product_id in vectors]
        none = np.empty((0, self._index.dim), np.float32)
        return there, np.stack([vectors[each.product_id] for each in there]) if there else none

    def _told(self, found: Sequence[Neighbor], asked: Asked, space: Space | None) -> list[Neighbor]:
        """Neighbors with what people can read."""
        percentiles: Sequence[float | None] = [None] * len(found)
        if space is not None:
            percentiles = space.percentiles([each.score for each in found], asked.form)
        return [_told(each, percentile, asked) for each, percentile in zip(found, percentiles, strict=True)]

    def _explained(self, found: list[Neighbor], asked: Asked) -> list[Neighbor]:
        there, vectors = self._with_vectors(found)
        shares = vectors @ np.stack([part.vector for part in asked.parts]).T
        terms = {each.product_id: row for each, row in zip(there, shares, strict=True)}
        return [replace(each, explanation=_explanation(each, asked, terms.get(each.product_id))) for each in found]


def _told(found: Neighbor, percentile: float | None, asked: Asked) -> Neighbor:
    # Along a direction alone, nothing is wanted that could be alike.
    judged = percentile if asked.form.weights else None
    hashes = Hashes(found.image, found.perceptual)
    word = likeness(judged, hashes, asked.wanted)
    # Ten times as fast as `replace`, and ten of them are in every answer.
    return Neighbor(
        *(found.product_id, found.score, found.attributes, percentile, word, found.group, found.explanation),
        *(found.image, found.perceptual),
    )


def _groups(found: Sequence[Neighbor], key: str, size: int) -> list[list[Neighbor]]:
    """Neighbors by the value of a key, groups in the order of their first, `size` of each at most."""
    groups: dict[str | int, list[Neighbor]] = {}
    for place, each in enumerate(found):
        value = group_at(each.attributes, key)
        members = groups.setdefault(place if value is None else value, [])
        if len(members) < size:
            members.append(replace(each, group=value))
    return [*groups.values()]


def _is_full(members: Sequence[Neighbor], size: int) -> bool:
    """Whether a group has all that it may show. One without a value has one product."""
    return len(members) == size or members[0].group is None


def _explanation(found: Neighbor, asked: Asked, shares: Vector | None) -> Explanation:
    terms = () if shares is None else zip(asked.parts, shares, strict=True)
    return Explanation(
        terms=tuple(TermShare(part.role, part.operand.written, float(share)) for part, share in terms),
        in_common=_in_common(found.attributes, asked.attributes),
    )


def _in_common(attributes: Attributes, wanted: Sequence[Attributes]) -> Attributes:
    """The attributes that have the same value in all that are wanted."""
    if not wanted:
        return {}
    return {name: value for name, value in attributes.items() if all(_has(each, name, value) for each in wanted)}


def _has(attributes: Attributes, name: str, value: object) -> bool:
    # In JSON true is not 1.
    return name in attributes and type(attributes[name]) is type(value) and attributes[name] == value
