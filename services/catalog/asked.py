"""A query as one vector: its terms are found, and added up."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from services.catalog.features import normalized
from services.catalog.plan import not_found
from services.descriptions import Features
from services.errors import (
    DirectionNotFound,
    ImageError,
    ImageFeatureless,
    InvalidInput,
    InvalidQuery,
    InvalidVector,
)
from services.images.intake import Picture
from services.index.vector_index import VectorIndex
from services.query.direction import Direction
from services.query.geometry import STEP, UNLIKE, combined, places, sent, slerp
from services.query.likeness import Hashes
from services.query.query import Query
from services.query.space import Form, Space
from services.query.terms import (
    IMAGE,
    VECTOR,
    DirectionTerm,
    Example,
    ImageTerm,
    Operand,
    ProductTerm,
    Term,
    VectorTerm,
)
from services.records import Attributes, Note, Pixels, Point, Role, Vector, Vectors


@dataclass(frozen=True, slots=True)
class Part:
    """What one term adds to a query."""

    role: Role
    operand: Operand
    vector: Vector


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as one vector.

    Attributes:
        vector: float32 (dim,), of length one: what is compared with stored vectors.
        parts: What it is the sum of, but for its length.
        form: What it has in common with queries of other examples.
        wanted: The hashes of the pictures that are wanted.
        attributes: Those of the products that are wanted.
        notes: What a caller should know.
    """

    vector: Vector
    parts: tuple[Part, ...]
    form: Form
    wanted: tuple[Hashes, ...]
    attributes: tuple[Attributes, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """An example: its vector, of length one, its hashes, and the attributes of a product."""

    vector: Vector
    hashes: Hashes = field(default_factory=lambda: Hashes(None, None))
    attributes: Attributes | None = None


_Weighted = tuple[Role, Operand, float]


class Asking:
    """Makes vectors of queries. Thread-safe.

    Args:
        index: Where the vectors of products are.
        catalog: The catalog's name, for error messages.
        features: Those of its vectors.
        take: Decodes a picture into the encoder's pixels, and hashes it.
        load_encoder: Loads the encoder, or raises why it does not belong to the catalog.
        encode: Pixels to raw features, before any batch that waits.
        direction: Gives a direction of the catalog. Raises `DirectionNotFound`.
    """

    def __init__(
        self,
        index: VectorIndex,
        catalog: str,
        *,
        features: Features,
        take: Callable[[bytes], Picture],
        load_encoder: Callable[[], None],
        encode: Callable[[Pixels], Vectors],
        direction: Callable[[str], Direction],
    ) -> None:
        self._index = index
        self._catalog = catalog
        self._features = features
        self._take = take
        self._load_encoder = load_encoder
        self._encode = encode
        self._direction = direction

    def asked(self, query: Query, space: Space | None) -> Asked:
        """What a checked query asks; `space` is that of the catalog, None where it is not known.

        Raises `ProductNotFound`, `DirectionNotFound`, `InvalidVector`, `ImageError`s, `EncoderError`s,
        `EncoderMismatch`; `InvalidQuery` where it points nowhere, `InvalidInput` where colors cannot be weighed.
        """
        examples = self._examples([each for each in query.operands if not isinstance(each, DirectionTerm)])
        directions = self._directions(query)
        color_weight = self._color_weight(query, directions)
        is_single = len(query.operands) == 1 and not directions and not query.unlike
        if is_single and all(term.weight > 0 for term in query.near):
            [(operand, found)] = examples.items()
            at = found.vector if color_weight == 1 else places(found.vector[np.newaxis], None, color_weight)[0]
            parts = [Part("near" if query.near else "like", operand, sent(at, color_weight))]
            return self._whole(parts, Form((1.0,), color_weight, centered=False), [found], [])
        mean, notes = self._mean(space)
        weights = _weights(query)
        parts = self._parts(weights, examples, mean, color_weight)
        ahead = [
            Part("near", term.operand, self._ahead(directions[term.operand.name], term.weight))
            for term in query.near
            if isinstance(term.operand, DirectionTerm)
        ]
        notes += [note for each in directions.values() for note in _notes(each, query)]
        form = Form(tuple(weight for _, _, weight in weights), color_weight, ahead=_summed(ahead))
        wanted = [*(term.operand for term in query.near if term.weight > 0), *query.like]
        found_wanted = [examples[each] for each in wanted if not isinstance(each, DirectionTerm)]
        return self._whole([*parts, *ahead], form, found_wanted, notes)

    def between(
        self,
        start: Example,
        end: Example,
        steps: int,
        color_weight: float | None,
        space: Space | None,
    ) -> list[Asked]:
        """What so many places between two examples ask, in even steps on the arc from one to the other.

        Raises what `asked` does.
        """
        query = Query(near=(Term(start), Term(end)), color_weight=color_weight)
        found = self._examples([start, end])
        weight = self._color_weight(query, {})
        mean, notes = self._mean(space)
        ends = places(np.stack([found[start].vector, found[end].vector]), mean, weight)
        whole: list[Asked] = []
        for step in range(1, steps + 1):
            share = step / (steps + 1)
            part = Part("near", start, sent(slerp(ends[0], ends[1], share), weight))
            whole.append(self._whole([part], Form((1 - share, share), weight), [], notes))
        return whole

    def _ahead(self, direction: Direction, amount: float) -> Vector:
        """What going along a direction adds to a place of length one, as it is sent."""
        return np.float32(STEP * amount) * sent(direction.vector, direction.color_weight)

    def _parts(
        self, weights: Sequence[_Weighted], examples: dict[Operand, _Found], mean: Vector | None, color_weight: float
    ) -> list[Part]:
        """What examples add up to a place, which has length one together. Raises `InvalidQuery`."""
        if not weights:
            return []
        vectors = np.stack([examples[operand].vector for _, operand, _ in weights])
        at = places(vectors, mean, color_weight)
        if (~at.any(axis=1)).any():
            lost = weights[int((~at.any(axis=1)).argmax())][1]
            raise InvalidQuery(f"The {lost} lies in the middle of catalog {self._catalog}, so it points nowhere.")
        whole = combined([np.float32(weight) * place for (_, _, weight), place in zip(weights, at, strict=True)])
        if whole is None:
            raise InvalidQuery(
                f"The query points nowhere: nothing is left of {_listed([operand for _, operand, _ in weights])}; "
                "change a weight, or leave a term out."
            )
        length = np.linalg.norm(whole)
        return [
            Part(role, operand, sent(np.float32(weight / length) * place, color_weight))
            for (role, operand, weight), place in zip(weights, at, strict=True)
        ]

    def _whole(self, parts: Sequence[Part], form: Form, wanted: Sequence[_Found], notes: Sequence[Note]) -> Asked:
        whole = combined([part.vector for part in parts])
        if whole is None:
            raise InvalidQuery(
                f"The query points nowhere: nothing is left of {_listed([part.operand for part in parts])} with a "
                f"color weight of {form.color_weight:g}; change it, or a weight."
            )
        vector, length = normalized(whole)
        return Asked(
            vector=vector,
            parts=tuple(Part(each.role, each.operand, each.vector / np.float32(length)) for each in parts),
            form=form,
            wanted=tuple(each.hashes for each in wanted),
            attributes=tuple(each.attributes for each in wanted if each.attributes is not None),
            notes=tuple(notes),
        )

    def _examples(self, operands: Sequence[Example]) -> dict[Operand, _Found]:
        """Each example once, pictures encoded together."""
        found: dict[Operand, _Found] = {}
        asked = list(dict.fromkeys(operands))
        product_ids = [each.product_id for each in asked if isinstance(each, ProductTerm)]
        for product_id, point in zip(product_ids, self._points(product_ids), strict=True):
            if point is None or point.vector is None:
                raise not_found(product_id, self._catalog)
            # Its length is one but for what float32 rounds, which must not show in the scores.
            hashes = Hashes(point.image, point.perceptual)
            found[ProductTerm(product_id)] = _Found(self._query_vector(point.vector), hashes, point.attributes)
        for each in asked:
            if isinstance(each, VectorTerm):
                with _named(each):
                    found[each] = _Found(self._query_vector(each.vector))
        return found | self._pictures([each for each in asked if isinstance(each, ImageTerm)])

    def _points(self, product_ids: Sequence[str]) -> list[Point | None]:
        return self._index.get(product_ids, vectors=True) if product_ids else []

    def _pictures(self, terms: Sequence[ImageTerm]) -> dict[Operand, _Found]:
        if not terms:
            return {}
        pictures = []
        for each in terms:
            with _named(each):
                pictures.append(self._take(each.image))
        self._load_encoder()
        raw = self._encode(np.stack([each.pixels for each in pictures]))
        found: dict[Operand, _Found] = {}
        for term, picture, features in zip(terms, pictures, raw, strict=True):
            with _named(term):
                found[term] = _Found(normalized(features)[0], Hashes(picture.hash, picture.perceptual))
        return found

    def _query_vector(self, vector: Vector) -> Vector:
        dim = self._index.dim
        if vector.shape != (dim,):
            raise InvalidVector(f"The vector has {vector.size} numbers; catalog {self._catalog} has {dim}.")
        try:
            return normalized(vector)[0]
        except ImageFeatureless:
            raise InvalidVector("The vector is all zeros or not finite, so it points nowhere; give another.") from None

    def _directions(self, query: Query) -> dict[str, Direction]:
        names = [term.operand.name for term in query.near if isinstance(term.operand, DirectionTerm)]
        return {name: self._direction(name) for name in dict.fromkeys(names)}

    def _color_weight(self, query: Query, directions: dict[str, Direction]) -> float:
        if query.color_weight is None:
            ahead = [term for term in query.near if isinstance(term.operand, DirectionTerm)]
            if not ahead:
                return 1.0
            strongest = max(ahead, key=lambda term: abs(term.weight))
            assert isinstance(strongest.operand, DirectionTerm)
            return directions[strongest.operand.name].color_weight
        if self._features != "tuned":
            raise InvalidInput(
                f"Catalog {self._catalog} has {self._features} features, in which colors are no part of their own: "
                "leave out color_weight, or build tuned features with `lookalike reindex --features tuned`."
            )
        return query.color_weight

    def _mean(self, space: Space | None) -> tuple[Vector | None, list[Note]]:
        """The middle of the catalog, from which places are seen; None: vectors are stored as seen from there."""
        if self._features == "tuned":
            return None, []
        if space is None:
            return None, [NOT_CENTERED]
        return space.mean, []


@contextmanager
def _named(term: ImageTerm | VectorTerm) -> Iterator[None]:
    """What is wrong with a picture or a vector says which it is, unless it is the only one there can be."""
    try:
        yield
    except (ImageError, InvalidVector) as error:
        if term.name in (IMAGE, VECTOR):
            raise
        raise type(error)(f"{term}: {error}") from error


NOT_CENTERED = Note(
    "not_centered",
    "The catalog has too few products to know the middle of its space, from which terms are added up; more products "
    "make such queries better.",
)


def no_directions(name: str) -> Direction:
    """That of a catalog without directions."""
    raise DirectionNotFound(f"There is no direction {name!r}.")


def _weights(query: Query) -> list[_Weighted]:
    """The examples of a query, and what each counts."""
    return [
        *(("near", term.operand, term.weight) for term in query.near if not isinstance(term.operand, DirectionTerm)),
        *(("like", each, 1 / len(query.like)) for each in query.like),
        *(("unlike", each, -UNLIKE / len(query.unlike)) for each in query.unlike),
    ]


def _summed(ahead: Sequence[Part]) -> bytes:
    return np.sum([each.vector for each in ahead], axis=0, dtype=np.float32).tobytes() if ahead else b""


def _notes(direction: Direction, query: Query) -> list[Note]:
    found: list[Note] = []
    if direction.is_weak:
        found.append(
            Note(
                "direction_weak",
                f"Direction {direction.name} is weak (quality {direction.quality:.2f}): what it leads to is often "
                "something else; learn it from more, or clearer, examples.",
            )
        )
    leads_there = any(term.operand == DirectionTerm(direction.name) and term.weight > 0 for term in query.near)
    if leads_there and direction.filter is not None and query.filter is None:
        found.append(
            Note(
                "filter_would_do",
                f"Direction {direction.name} leads to what a filter finds exactly, as far as the attribute is known: "
                f"{direction.filter_text}",
            )
        )
    return found


def _listed(operands: Sequence[Operand]) -> str:
    texts = [str(each) for each in dict.fromkeys(operands)]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
