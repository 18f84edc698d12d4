"""Queries of every kind, on every index: what they find is what their words say, computed one by one."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from indexes import QDRANT_URL, opened

from services.catalog.search import Searcher
from services.descriptions import LAYERS_DIM, Features
from services.encoders.recipes import TUNED_DIM
from services.errors import DirectionNotFound, InvalidQuery, InvalidVector, ProductNotFound, TooFewProducts
from services.images.intake import Picture
from services.query.direction import Direction
from services.query.filters import Filter, parse
from services.query.query import Query
from services.query.space import Space
from services.query.terms import DirectionTerm, Example, ImageTerm, ProductTerm, Term, VectorTerm
from services.records import Answer, Point, Vector, Vectors
from services.testing import MemoryIndex

PRODUCTS = 300
COLORS = ("red", "green", "blue", "white")
HEAD_DIM = 24
Floats = np.ndarray[Any, np.dtype[np.float64]]


def unit(rows: Any) -> Floats:
    found = np.asarray(rows, np.float64)
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


def vectors(features: Features, count: int, seed: int) -> Vectors:
    """Of length one: head features of which none is negative, or tuned ones, with a color part of one length."""
    rows = np.random.default_rng(seed).normal(size=(count, TUNED_DIM if features == "tuned" else HEAD_DIM))
    if features == "head":
        return np.asarray(unit(np.abs(rows)), np.float32)
    layers, colors = unit(rows[:, :LAYERS_DIM]), unit(rows[:, LAYERS_DIM:]) * np.sqrt(0.1)
    return np.asarray(unit(np.hstack([layers, colors])), np.float32)


def attributes(number: int) -> dict[str, Any]:
    found: dict[str, Any] = {"color": COLORS[number % 4], "price": number % 50}
    return found if number % 7 else {"price": number % 50}


def directions(features: Features) -> dict[str, Direction]:
    first, second = vectors(features, 2, 9)
    weight = 5.0 if features == "tuned" else 1.0
    return {
        "plain": Direction("plain", first),
        "colored": Direction(
            "colored", second, weight, 0.7, parse({"must": [{"key": "color", "match": {"value": "red"}}]})
        ),
    }


class Shop:
    """One catalog on every index, and what its queries should find."""

    def __init__(self, features: Features, stack: ExitStack, folder: Path, twin_url: str) -> None:
        self.features: Features = features
        self.stored = vectors(features, PRODUCTS, 1)
        mean = self.stored.mean(axis=0) if features == "head" else np.zeros(TUNED_DIM, np.float32)
        self.space = Space(PRODUCTS, mean, self.stored[:64])
        self.directions = directions(features)
        points = [Point(f"p{n}", 1, vector, 1.0, attributes(n), f"{n:064x}") for n, vector in enumerate(self.stored)]
        self.searchers: dict[str, Searcher] = {}
        for kind in ("memory", "edge", "twin", *(["server"] if QDRANT_URL else [])):
            index = stack.enter_context(opened(kind, self.stored.shape[1], folder / kind, twin_url))
            index.upsert(points)
            self.searchers[kind] = Searcher(
                *(index, "shop"),
                features=features,
                take=lambda image: Picture(image.hex(), np.frombuffer(image, np.uint8)[None, None, :], ""),
                load_encoder=lambda: None,
                encode=lambda pixels: np.stack([self.seen(each) for each in pixels]),
                space=lambda: self.space,
                direction=self.direction,
            )

    def direction(self, name: str) -> Direction:
        if name not in self.directions:
            raise DirectionNotFound(f"There is no direction {name!r}.")
        return self.directions[name]

    def seen(self, pixels: Any) -> Vector:
        """What the encoder makes of a picture, whose bytes are a seed."""
        return np.float32(7) * vectors(self.features, 1, int.from_bytes(pixels.tobytes()[:2]))[0]

    def answers(self, query: Query) -> dict[str, Answer]:
        return {kind: searcher.answer(query) for kind, searcher in self.searchers.items()}

    # The same a second time, in float64 and one by one.

    def vector_of(self, example: Example) -> Floats:
        match example:
            case ProductTerm(product_id):
                return unit(self.stored[int(product_id[1:])])
            case ImageTerm(image):
                return unit(self.seen(np.frombuffer(image, np.uint8)))
            case VectorTerm(vector):
                return unit(vector)
        raise AssertionError(example)

    def scaled(self, vector: Floats, weight: float) -> Floats:
        if self.features == "head":
            return vector
        return vector * np.repeat([1.0, np.sqrt(weight)], [LAYERS_DIM, TUNED_DIM - LAYERS_DIM])

    def expected(self, query: Query) -> tuple[Floats, float]:
        """What is sent to the index, of length one, and the color weight."""
        ahead = [term for term in query.near if isinstance(term.operand, DirectionTerm)]
        weight = query.color_weight
        if weight is None:
            strongest = max(ahead, key=lambda term: abs(term.weight), default=None)
            weight = self.directions[strongest.operand.name].color_weight if strongest else 1.0  # type: ignore[union-attr]
        examples = [(term.operand, term.weight) for term in query.near if term not in ahead]
        if len(examples) == 1 and examples[0][1] > 0 and not (ahead or query.like or query.unlike):
            return unit(self.scaled(self.scaled(self.vector_of(examples[0][0]), weight), weight)), weight  # type: ignore[arg-type]
        if not query.near and len(query.like) == 1 and not query.unlike:
            return unit(self.scaled(self.scaled(self.vector_of(query.like[0]), weight), weight)), weight

        def place(example: Example) -> Floats:
            return unit(self.scaled(self.vector_of(example) - self.space.mean, weight))

        total = np.zeros(self.stored.shape[1])
        for operand, amount in examples:
            total += amount * place(operand)  # type: ignore[arg-type]
        if query.like:
            total += np.mean([place(each) for each in query.like], axis=0)
        if query.unlike:
            total -= 0.25 * np.mean([place(each) for each in query.unlike], axis=0)
        if total.any():
            total = self.scaled(unit(total), weight)
        for term in ahead:
            direction = self.directions[term.operand.name]  # type: ignore[union-attr]
            total = total + 2 * term.weight * self.scaled(direction.vector.astype(np.float64), direction.color_weight)
        return unit(total), weight

    def scores(self, query: Query, passes: Callable[[int], bool]) -> dict[str, float]:
        """Of all products that may answer."""
        sent, _ = self.expected(query)
        lowest = -2.0 if query.min_score is None else query.min_score
        found = {f"p{n}": float(unit(self.stored[n]) @ sent) for n in range(PRODUCTS) if passes(n)}
        left = query.named | {*query.exclude}
        return {each: score for each, score in found.items() if each not in left and score >= lowest}


@pytest.fixture(scope="module", params=["head", "tuned"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, twin_url: str) -> Iterator[Shop]:
    with ExitStack() as stack:
        yield Shop(request.param, stack, tmp_path_factory.mktemp(request.param), twin_url)


def a_filter(choice: random.Random) -> tuple[Filter | None, Callable[[int], bool]]:
    color, most = choice.choice(COLORS), choice.randrange(10, 60)
    of_color = {"key": "color", "match": {"value": color}}
    found: list[tuple[Filter | None, Callable[[int], bool]]] = [
        (None, lambda number: True),
        (parse({"must": [of_color]}), lambda number: attributes(number).get("color") == color),
        (parse({"must_not": [of_color]}), lambda number: attributes(number).get("color") != color),
        (parse({"must": [{"key": "price", "range": {"lt": most}}]}), lambda number: attributes(number)["price"] < most),
    ]
    return choice.choice(found)


def a_query(choice: random.Random, features: Features) -> tuple[Query, Callable[[int], bool]]:
    """One of any kind, and which products, by number, its filter passes."""

    def example() -> Example:
        return choice.choice(
            [
                ProductTerm(f"p{choice.randrange(PRODUCTS)}"),
                ProductTerm(f"p{choice.randrange(PRODUCTS)}"),
                ImageTerm(choice.randbytes(2), "shoe.jpg"),
                VectorTerm(vectors(features, 1, choice.randrange(100, 10**6))[0] * np.float32(3)),
            ]
        )

    def term() -> Term:
        weight = choice.choice([1.0, 0.5, -0.3, 2.0])
        return Term(DirectionTerm(choice.choice(["plain", "colored"])) if choice.random() < 0.3 else example(), weight)

    filter, passes = a_filter(choice)
    kind = choice.choice(["one", "near", "like", "all"])
    near = tuple(term() for _ in range(choice.randint(1, 4))) if kind in ("near", "all") else ()
    query = Query(
        near=near if kind != "one" else (Term(example()),),
        like=tuple(example() for _ in range(choice.randint(1, 5))) if kind in ("like", "all") else (),
        unlike=tuple(example() for _ in range(choice.randint(0, 5))) if kind in ("like", "all") else (),
        filter=filter,
        exclude=tuple(f"p{choice.randrange(PRODUCTS)}" for _ in range(choice.choice([0, 0, 5]))),
        min_score=choice.choice([None, None, 0.1]),
        color_weight=choice.choice([None, 0.0, 1.0, 5.0]) if features == "tuned" else None,
        limit=choice.randint(1, 30),
    )
    return query, passes


@pytest.mark.long
def test_every_index_finds_what_is_computed_one_by_one(shop: Shop) -> None:
    choice = random.Random(7)
    for _ in range(150):
        query, passes = a_query(choice, shop.features)
        check_against_brute_force(shop, query, passes)


@pytest.mark.parametrize("seed", range(6))
def test_a_few_queries_of_every_kind(shop: Shop, seed: int) -> None:
    check_against_brute_force(shop, *a_query(random.Random(100 + seed), shop.features))


def check_against_brute_force(shop: Shop, query: Query, passes: Callable[[int], bool]) -> None:
    scores = shop.scores(query, passes)
    best = sorted(scores.values(), reverse=True)[query.offset : query.offset + query.limit]
    for kind, answer in shop.answers(query).items():
        assert answer.color_weight == shop.expected(query)[1]
        # The last digits decide between equals, so it is scores that are compared in their order.
        assert [each.score for each in answer.neighbors] == pytest.approx(best, abs=1e-5), (kind, query)
        for each in answer.neighbors:
            assert each.score == pytest.approx(scores[each.product_id], abs=1e-5), (kind, query)
            assert each.percentile is not None
        if all(isinstance(each, DirectionTerm) for each in query.operands):
            assert answer.good is None and {each.likeness for each in answer.neighbors} <= {None}
        else:
            assert answer.good == sum(each.likeness not in (None, "weak") for each in answer.neighbors)
            assert all(each.likeness for each in answer.neighbors)


A, B, C = (ProductTerm(f"p{number}") for number in range(3))


def test_a_single_term_finds_what_neighbors_do_and_is_no_answer_itself(shop: Shop) -> None:
    for kind, searcher in shop.searchers.items():
        neighbors = searcher.by_product("p0", limit=20)
        assert "p0" not in {each.product_id for each in neighbors}, kind
        for query in (
            Query(near=(Term(A),), limit=20),
            Query(near=(Term(A, 3.0),), limit=20),
            Query(like=(A,), limit=20),
        ):
            assert searcher.answer(query).neighbors == neighbors, kind


def test_what_cancels_points_nowhere_and_is_named(shop: Shop) -> None:
    nowhere = [
        Query(near=(Term(A), Term(A, -1.0))),
        Query(near=(Term(A), Term(A, -1.0), Term(DirectionTerm("plain")))),
        Query(near=(Term(A, 0.5), Term(B, 1.0), Term(A, -0.5), Term(B, -1.0))),
        Query(near=(Term(DirectionTerm("plain")), Term(DirectionTerm("plain"), -1.0))),
    ]
    for searcher in shop.searchers.values():
        for query in nowhere:
            with pytest.raises(InvalidQuery, match=r"points nowhere.*('p0'|'plain')"):
                searcher.answer(query)


def test_what_is_not_there_is_named(shop: Shop) -> None:
    for searcher in shop.searchers.values():
        with pytest.raises(ProductNotFound, match="'nobody'"):
            searcher.answer(Query(near=(Term(A), Term(ProductTerm("nobody"), -1.0))))
        with pytest.raises(DirectionNotFound, match="'nowhere'"):
            searcher.answer(Query(near=(Term(A), Term(DirectionTerm("nowhere")))))


def test_shares_add_up_to_the_score_and_common_attributes_are_common(shop: Shop) -> None:
    query = Query(near=(Term(A), Term(DirectionTerm("plain"), 0.5)), like=(B,), unlike=(C,), explain=True, limit=5)
    for kind, answer in shop.answers(query).items():
        for each in answer.neighbors:
            assert each.explanation is not None
            terms = each.explanation.terms
            assert [(share.role, share.term) for share in terms] == [
                *(("near", "p0"), ("like", "p1"), ("unlike", "p2"), ("near", "direction:plain"))
            ], kind
            assert sum(share.share for share in terms) == pytest.approx(each.score, abs=1e-5)
            both = attributes(0).items() & attributes(1).items()
            assert each.explanation.in_common == dict(both & each.attributes.items())


def test_pages_join_and_a_percentile_cuts_where_it_says(shop: Shop) -> None:
    query = Query(near=(Term(A), Term(B)), limit=100)
    for searcher in shop.searchers.values():
        whole = searcher.answer(query).neighbors
        parts = [
            each for at in range(0, 100, 25) for each in searcher.answer(replace(query, offset=at, limit=25)).neighbors
        ]
        assert [each.score for each in parts] == pytest.approx([each.score for each in whole], abs=1e-6)
        lowest = whole[9].percentile
        assert lowest is not None
        cut = searcher.answer(replace(query, min_percentile=lowest)).neighbors
        expected = [each for each in whole if each.percentile is not None and each.percentile >= lowest]
        assert abs(len(cut) - len(expected)) <= 1 and {each.percentile for each in cut} <= {
            each.percentile for each in expected
        }
        nothing = searcher.answer(replace(query, min_percentile=100.0, min_score=0.9999))
        assert (nothing.neighbors, nothing.good) == ([], 0)


def test_groups_are_full_in_the_order_of_their_best(shop: Shop) -> None:
    query = Query(near=(Term(A), Term(B)), group_by="color", group_size=3, limit=4)
    scores = shop.scores(query, lambda number: True)
    ranked = sorted(scores, key=lambda each: -scores[each])
    groups: dict[str, list[str]] = {}
    for each in ranked:
        groups.setdefault(attributes(int(each[1:])).get("color", each), []).append(each)
    expected = [member for group in [*groups.values()][:4] for member in group[:3]]
    for kind, answer in shop.answers(query).items():
        assert [each.product_id for each in answer.neighbors] == expected, kind
        assert [each.group for each in answer.neighbors] == [
            attributes(int(each[1:])).get("color") for each in expected
        ]
        assert answer.notes == ()


def test_more_is_asked_for_until_there_are_enough_groups() -> None:
    """Of the nearest hundred all are of one group; and where one group has no second product, all are looked at."""
    index = MemoryIndex(3)
    near, far = np.array([1, 0, 0], np.float32), np.array([0, 1, 0], np.float32)
    index.upsert([Point(f"near{n}", 1, near, attributes={"group": "a"}) for n in range(100)])
    index.upsert([Point(f"far{n}", 1, far, attributes={"group": "bc"[n % 2]}) for n in range(3)])
    nothing: Any = None
    searcher = Searcher(index, "shop", take=nothing, load_encoder=nothing, encode=nothing)
    query = Query(near=(Term(VectorTerm(near)),), group_by="group", limit=2)
    assert [each.group for each in searcher.answer(query).neighbors] == ["a", "b"]
    both = searcher.answer(replace(query, group_size=2, limit=3))
    assert sorted(each.group or "" for each in both.neighbors) == ["a", "a", "b", "b", "c"]


def test_along_a_direction_alone_nothing_is_alike(shop: Shop) -> None:
    for answer in shop.answers(Query(near=(Term(DirectionTerm("plain")),))).values():
        assert answer.good is None
        assert all(each.percentile is not None and each.likeness is None for each in answer.neighbors)


def test_which_picture_or_vector_is_wrong_is_named(shop: Shop) -> None:
    searcher = shop.searchers["memory"]
    with pytest.raises(InvalidVector, match=r"vector 'near\[1\]': The vector has 2 numbers"):
        searcher.answer(Query(near=(Term(A), Term(VectorTerm(np.ones(2, np.float32), "near[1]")))))
    with pytest.raises(InvalidVector, match=r"^The vector has 2 numbers"):
        searcher.by_vector(np.ones(2, np.float32))


def test_all_groups_that_there_are_answer_where_more_are_asked_for(shop: Shop) -> None:
    """More is asked for until there is no more."""
    red = parse({"must": [{"key": "color", "match": {"any": ["red", "blue"]}}]})
    for answer in shop.answers(Query(near=(Term(A),), group_by="color", filter=red, limit=50)).values():
        assert [each.group for each in answer.neighbors] in (["red", "blue"], ["blue", "red"])


def test_diverse_answers_are_the_same_everywhere_and_differ_more(shop: Shop) -> None:
    query = Query(near=(Term(A), Term(B)), limit=10)
    near = shop.searchers["memory"].answer(query).neighbors
    found = [
        [each.product_id for each in answer.neighbors]
        for answer in shop.answers(replace(query, diversity=0.5)).values()
    ]
    assert all(each == found[0] for each in found)
    assert not {"p0", "p1"} & {*found[0]} and len({*found[0]}) == 10

    def alike(ids: list[str]) -> float:
        rows = unit(shop.stored[[int(each[1:]) for each in ids]])
        return float(np.triu(rows @ rows.T, 1).sum())

    assert alike(found[0]) < alike([each.product_id for each in near])


def test_a_direction_says_that_it_is_weak_and_that_a_filter_would_do(shop: Shop) -> None:
    query = Query(near=(Term(A), Term(DirectionTerm("colored"))))
    for answer in shop.answers(query).values():
        assert [note.code for note in answer.notes] == ["direction_weak", "filter_would_do"]
        assert '{"must":[{"key":"color","match":{"value":"red"}}]}' in answer.notes[1].message
        assert answer.color_weight == (5.0 if shop.features == "tuned" else 1.0)
    away = Query(near=(Term(A), Term(DirectionTerm("colored"), -1.0)))
    assert [note.code for note in shop.searchers["memory"].answer(away).notes] == ["direction_weak"]


def test_a_path_has_no_product_twice_and_leads_from_one_end_to_the_other(shop: Shop) -> None:
    first = [answer.neighbors for answer in [s.path(A, B, 6) for s in shop.searchers.values()]]
    for found in first:
        ids = [each.product_id for each in found]
        assert ids == [each.product_id for each in first[0]] and len({*ids, "p0", "p1"}) == 8

    def to_the_end(product_id: str) -> float:
        start, end, at = (unit(shop.vector_of(each) - shop.space.mean) for each in (A, B, ProductTerm(product_id)))
        return float(at @ end - at @ start)

    assert to_the_end(first[0][0].product_id) < to_the_end(first[0][-1].product_id)
    for searcher in shop.searchers.values():
        with pytest.raises(InvalidQuery, match="to itself"):
            searcher.path(A, A, 3)


def test_few_products_have_no_percentiles(shop: Shop) -> None:
    index = shop.searchers["memory"]._index
    nothing: Any = None
    searcher = Searcher(index, "shop", features=shop.features, take=nothing, load_encoder=nothing, encode=nothing)
    answer = searcher.answer(Query(near=(Term(A), Term(B))))
    assert answer.good is None and {(each.percentile, each.likeness) for each in answer.neighbors} == {(None, None)}
    assert [note.code for note in answer.notes] == (["not_centered"] if shop.features == "head" else [])
    with pytest.raises(TooFewProducts, match="min_percentile"):
        searcher.answer(Query(near=(Term(A),), min_percentile=50))
