"""Directions of a catalog: learned from its products, kept with it, and learned anew when it has changed."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shops import Place, shop

from services.catalog import directions as kept_directions
from services.catalog import space as kept_space
from services.catalog.catalog import Catalog
from services.catalog.catalogs import Catalogs
from services.catalog.definition import Definition, Side, from_bytes, to_bytes
from services.errors import (
    DataCorrupt,
    DataFull,
    DirectionNotFound,
    DirectionWeak,
    IndexUnavailable,
    InvalidFilter,
    InvalidInput,
    LabelUnusable,
    LedgerUnavailable,
    LookalikeError,
    TooFewExamples,
)
from services.images.decoder import Decoder
from services.query.filters import parse
from services.query.query import Query
from services.query.terms import DirectionTerm, ProductTerm, Term
from services.records import Embedding

COUNT = 60


@pytest.fixture(params=["folder", "twin"])
def place(request: pytest.FixtureRequest, tmp_path: Path, twin_url: str, decoder: Decoder) -> Place:
    return Place(tmp_path, decoder, {"folder": "", "twin": twin_url}[request.param])


@pytest.fixture
def catalogs(place: Place) -> Iterator[Catalogs]:
    with place.opened() as catalogs:
        yield catalogs


def embedding(number: int) -> Embedding:
    """Products of two kinds, which differ in many features, and striped ones among them, which differ in a few."""
    features = np.abs(np.random.default_rng(number).normal(1, 0.1, 1280)).astype(np.float32)
    kind, striped = ("mug", "sofa")[number % 2], number // 2 % 2 == 0
    features[:200] *= 1 + 3 * (kind == "mug")
    features[600:620] *= 1 + 3 * striped
    pattern = "striped" if striped else "plain"
    return Embedding(f"p{number}", features, {"kind": kind, "pattern": pattern, "n": number})


def filled(catalogs: Catalogs, count: int = COUNT) -> Catalog:
    catalog = catalogs.create(shop())
    for _ in catalog.put_embeddings(embedding(number) for number in range(count)):
        pass
    return catalog


def of(key: str, value: Any) -> Side:
    return Side(parse({"must": [{"key": key, "match": {"value": value}}]}))


MANY = {"key": "a", "match": {"value": 1}}
STRIPED = Definition(of("pattern", "striped"), of("pattern", "plain"), within="kind")


def test_a_direction_leads_from_one_to_the_other_within_its_kind(catalogs: Catalogs) -> None:
    catalog = filled(catalogs)
    learned = catalog.directions.learn("striped", STRIPED)
    assert (learned.name, learned.positives, learned.negatives, learned.categories) == ("striped", 30, 30, 2)
    assert learned.quality > 0.95 and learned.color_weight == 1.0 and learned.products == COUNT
    assert catalog.directions.all() == (learned,)
    assert catalog.directions.get("striped") == (learned, STRIPED)
    for number in (2, 3):  # a plain mug, and a plain sofa
        product = embedding(number).attributes
        assert product is not None and product["pattern"] == "plain"
        query = Query(near=(Term(ProductTerm(f"p{number}")), Term(DirectionTerm("striped"))), limit=5)
        for each in catalog.query(query).neighbors:
            assert each.attributes["pattern"] == "striped" and each.attributes["kind"] == product["kind"]
    axis = catalog.query(Query(near=(Term(DirectionTerm("striped"), -1.0),), limit=30)).neighbors
    assert {each.attributes["pattern"] for each in axis} == {"plain"}


@pytest.mark.parametrize(
    ("definition", "positives", "negatives"),
    [
        (Definition(of("pattern", "striped")), 30, 30),
        (Definition(Side(product_ids=tuple(f"p{n}" for n in range(0, 40, 4)))), 10, 50),
        (Definition(Side(product_ids=tuple(f"p{n}" for n in range(-3, 40)) * 2), of("n", 59), force=True), 0, 0),
    ],
)
def test_sides_are_filters_or_products_and_the_other_side_may_be_the_rest(
    catalogs: Catalogs, definition: Definition, positives: int, negatives: int
) -> None:
    catalog = filled(catalogs)
    if not positives:
        with pytest.raises(TooFewExamples, match="10 examples on each side"):
            catalog.directions.learn("x", definition)
        assert catalog.directions.all() == ()
        return
    learned = catalog.directions.learn("x", definition)
    assert (learned.positives, learned.negatives) == (positives, negatives)


def test_one_that_tells_nothing_apart_is_refused_unless_forced(catalogs: Catalogs) -> None:
    catalog = filled(catalogs)
    chance = Definition(Side(product_ids=tuple(f"p{n}" for n in range(COUNT) if n % 5 in (0, 3))))
    with pytest.raises(DirectionWeak, match="Direction chance"):
        catalog.directions.learn("chance", chance)
    assert catalog.directions.all() == ()
    forced = catalog.directions.learn("chance", Definition(chance.toward, force=True))
    assert forced.quality < 0.65
    notes = catalog.query(Query(near=(Term(DirectionTerm("chance")),))).notes
    assert [note.code for note in notes] == ["direction_weak"]


@pytest.mark.parametrize(
    ("name", "definition", "says"),
    [
        ("a b", STRIPED, "no direction's"),
        ("", STRIPED, "no direction's"),
        ("x" * 65, STRIPED, "no direction's"),
        ("x", Definition(Side()), "toward: name one side"),
        ("x", Definition(of("a", "b"), Side()), "away_from: name one side"),
        ("x", Definition(Side(parse({}), ("a",))), "toward: name one side"),
        ("x", Definition(Side(product_ids=("a",) * 1001)), "1,001 product IDs"),
        ("x", Definition(of("a", "b"), within="a b"), "'a b' is no attribute"),
        ("x", Definition(of("a", "b"), color_weight=11.0), "color weight 11"),
        ("x", Definition(of("a", "b"), color_weight=0.0), "color weight 0"),
        ("x", Definition(of("a", "b"), color_weight=5.0), "head features"),
        (
            "x",
            Definition(Side(parse({"must": [{"key": "a", "match": {"value": n}} for n in range(256)]}))),
            "256 conditions",
        ),
    ],
)
def test_what_is_wrong_is_named(catalogs: Catalogs, name: str, definition: Definition, says: str) -> None:
    catalog = catalogs.create(shop())
    with pytest.raises(InvalidInput, match=says):
        catalog.directions.learn(name, definition)


def test_names_are_those_of_one_direction_and_what_is_gone_is_not_found(catalogs: Catalogs) -> None:
    catalog = filled(catalogs)
    first = catalog.directions.learn("striped", STRIPED)
    catalog.directions.learn("mugs", Definition(of("kind", "mug")))
    again = catalog.directions.learn("striped", Definition(of("pattern", "striped")))
    assert [each.name for each in catalog.directions.all()] == ["mugs", "striped"]
    assert again.object != first.object and again.created_at == first.created_at
    catalog.directions.remove("striped")
    with pytest.raises(DirectionNotFound, match="no direction 'striped'; it has mugs"):
        catalog.directions.named("striped")
    with pytest.raises(DirectionNotFound):
        catalog.directions.remove("striped")
    with pytest.raises(DirectionNotFound, match="'striped'"):
        catalog.query(Query(near=(Term(ProductTerm("p1")), Term(DirectionTerm("striped")))))


def test_another_process_has_it_and_one_whose_object_is_gone_says_so(place: Place) -> None:
    with place.opened() as first:
        learned = filled(first).directions.learn("striped", STRIPED)
        expected = first.get("shop").directions.named("striped")
    with place.opened() as second:
        catalog = second.get("shop")
        np.testing.assert_array_equal(catalog.directions.named("striped").vector, expected.vector)
        assert catalog.directions.named("striped").filter == STRIPED.toward.filter
        second.intake.media._discard(second.intake.media._path("objects", learned.object))
        catalog.directions._loaded.clear()
        with pytest.raises(DirectionNotFound, match="learn it again"):
            catalog.directions.named("striped")


def put(catalog: Catalog, numbers: range) -> None:
    for _ in catalog.put_embeddings(embedding(number) for number in numbers):
        pass


def looked_at(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query goes along the direction a while later, and what it had done beside it is done."""
    monkeypatch.setattr(kept_directions, "CHECK_SECONDS", 0.0)
    catalog.directions.named("striped")
    monkeypatch.undo()
    assert catalog.beside._background is not None and catalog.beside._background.wait(60)


def test_it_is_learned_anew_when_the_catalog_has_grown(catalogs: Catalogs, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = filled(catalogs, 40)
    before = catalog.directions.learn("striped", STRIPED)
    put(catalog, range(40, 50))
    looked_at(catalog, monkeypatch)
    assert catalog.directions.all() == (before,)
    put(catalog, range(50, 80))
    looked_at(catalog, monkeypatch)
    [after] = catalog.directions.all()
    assert (after.products, after.positives, after.object == before.object) == (80, 40, False)
    assert after.created_at == before.created_at and catalog.directions.get("striped")[1] == STRIPED
    # Where it cannot be learned any more, it stays as it is.
    catalog.remove([f"p{number}" for number in range(80) if number // 2 % 2])
    looked_at(catalog, monkeypatch)
    assert catalog.directions.all() == (after,)


def test_how_much_a_catalog_has_grown_is_looked_at_now_and_then(catalogs: Catalogs) -> None:
    catalog = filled(catalogs, 40)
    catalog.directions.learn("striped", STRIPED)
    put(catalog, range(40, 80))
    for _ in range(3):
        catalog.directions.named("striped")
    assert catalog.beside._background is not None and catalog.beside._background.wait(60)
    assert [each.products for each in catalog.directions.all()] == [80]


def test_what_was_weak_when_learned_anew_is_kept_and_not_forced_for_good(
    catalogs: Catalogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then the two sides are chance, which would be refused."""
    catalog = filled(catalogs, 40)
    ids = tuple(f"p{number}" for number in range(0, 40, 4))
    catalog.directions.learn("striped", Definition(Side(product_ids=ids), of("pattern", "plain")))
    # They become as plain as those that it leads away from, mugs and sofas in turn.
    plain = [embedding(1002 + 4 * number + number % 2) for number in range(len(ids))]
    moved = [Embedding(product_id, each.features, {}) for product_id, each in zip(ids, plain, strict=True)]
    for _ in catalog.put_embeddings(moved):
        pass
    put(catalog, range(40, 80))
    looked_at(catalog, monkeypatch)
    kept, definition = catalog.directions.get("striped")
    assert kept.products == 80 and kept.quality < 0.65 and not definition.force


def test_who_learns_or_removes_it_meanwhile_is_not_overruled(
    catalogs: Catalogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = filled(catalogs)
    mugs = Definition(of("kind", "mug"))

    def meanwhile(change: Callable[[], object]) -> None:
        """A relearning of what is there now ends after the change."""
        [before] = catalog.directions.all()
        learned = catalog.directions._learned

        def slow(*given: Any, **options: Any) -> Any:
            monkeypatch.undo()
            found = learned(*given, **options)
            change()
            return found

        monkeypatch.setattr(catalog.directions, "_learned", slow)
        with suppress(DirectionNotFound):
            catalog.directions._relearn(before)

    catalog.directions.learn("striped", STRIPED)
    meanwhile(lambda: catalog.directions.learn("striped", mugs))
    assert catalog.directions.get("striped")[1] == mugs
    meanwhile(lambda: catalog.directions.remove("striped"))
    assert catalog.directions.all() == ()


def test_examples_are_products_each_once_and_on_one_side(catalogs: Catalogs) -> None:
    catalog = filled(catalogs)
    first, second = tuple(f"p{n}" for n in range(0, 40, 4)), tuple(f"p{n}" for n in range(2, 42, 4))
    learned = catalog.directions.learn("x", Definition(Side(product_ids=first * 3), Side(product_ids=second)))
    assert (learned.positives, learned.negatives) == (10, 10)
    with pytest.raises(TooFewExamples, match=r"Direction x needs 10 .* 9 for it and 10 against"):
        catalog.directions.learn("x", Definition(Side(product_ids=first), Side(product_ids=(*second, "p0"))))
    with pytest.raises(TooFewExamples, match="Direction x: no product is toward: none of its IDs is in the catalog"):
        catalog.directions.learn("x", Definition(Side(product_ids=("nobody",))))
    with pytest.raises(TooFewExamples, match=r"no product is away_from; .*patern.*perhaps pattern is meant"):
        catalog.directions.learn("x", Definition(of("kind", "mug"), of("patern", "plain")))
    with pytest.raises(LabelUnusable, match=r"Direction x: .*within, which is kinds: perhaps kind is meant"):
        catalog.directions.learn("x", Definition(of("pattern", "striped"), within="kinds"))


def test_a_hundred_directions_are_enough(catalogs: Catalogs, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = filled(catalogs)
    monkeypatch.setattr(kept_directions, "MAX_DIRECTIONS", 1)
    catalog.directions.learn("striped", STRIPED)
    catalog.directions.learn("striped", STRIPED)
    with pytest.raises(InvalidInput, match="has 1 directions"):
        catalog.directions.checked("mugs", STRIPED)


@pytest.mark.parametrize(
    "definition",
    [
        STRIPED,
        Definition(Side(product_ids=("a", "b")), None, None, 5.0, True),
        Definition(of("a", True), Side(product_ids=("c",))),
    ],
)
def test_a_file_holds_all_of_it(definition: Definition) -> None:
    vector = np.arange(5, dtype=np.float32)
    again, found = from_bytes(to_bytes(definition, vector))
    assert again == definition
    np.testing.assert_array_equal(found, vector)
    for wrong in (b"", to_bytes(definition, vector)[:-9], to_bytes(definition, vector.astype(np.float64))):
        with pytest.raises(DataCorrupt):
            from_bytes(wrong)


def test_the_rest_of_a_filter_that_is_nested_too_deep_is_refused() -> None:
    deep: dict[str, Any] = {"key": "a", "match": {"value": 1}}
    for _ in range(8):
        deep = {"must": [deep]}
    with pytest.raises(InvalidFilter, match="nested"):
        Side(parse(deep)).others()


def test_a_space_is_made_once_and_anew_when_the_catalog_has_grown(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_space, "CHECK_SECONDS", 0.0)
    with place.opened() as catalogs:
        catalog = filled(catalogs, kept_space.FEWEST - 1)
        assert catalog.space.now() is None and catalog.spec.space is None
        for _ in catalog.put_embeddings([embedding(kept_space.FEWEST)]):
            pass
        space = catalog.space.now()
        assert space is not None and space.products == kept_space.FEWEST
        named = catalog.spec.space
        for _ in catalog.put_embeddings(embedding(number) for number in range(50, 60)):
            pass
        assert catalog.space.now() is space and catalog.spec.space == named
        for _ in catalog.put_embeddings(embedding(number) for number in range(60, 80)):
            pass
        grown = catalog.space.now()
        assert grown is not None and grown.products == kept_space.FEWEST + 30
        assert catalog.spec.space not in (None, named)
        expected = grown.to_bytes()
    monkeypatch.setattr(kept_space, "CHECK_SECONDS", 60.0)
    with place.opened() as again:
        found = again.get("shop").space.now()
        assert found is not None and found.to_bytes() == expected
        # One that is gone from media is made anew.
        hash = again.get("shop").spec.space
        assert hash is not None
        again.intake.media._discard(again.intake.media._path("objects", hash))
    with place.opened() as last:
        found = last.get("shop").space.now()
        assert found is not None and found.to_bytes() == expected
        assert last.intake.media.read_object(hash) == expected


@pytest.mark.parametrize("error", [DataFull, LedgerUnavailable, IndexUnavailable])
def test_what_cannot_be_kept_now_is_no_reason_not_to_answer_and_is_kept_later(
    place: Place, monkeypatch: pytest.MonkeyPatch, error: type[LookalikeError]
) -> None:
    def full(data: bytes) -> str:
        raise error("Not now.")

    with place.opened() as catalogs:
        catalog = filled(catalogs)
        monkeypatch.setattr(catalogs.intake.media, "put_object", full)
        answer = catalog.query(Query(near=(Term(ProductTerm("p1")), Term(ProductTerm("p2")))))
        assert answer.good is not None and catalog.spec.space is None
        # What is in memory is used on.
        assert catalog.space.now() is catalog.space.now()
        monkeypatch.undo()
        monkeypatch.setattr(kept_space, "CHECK_SECONDS", 0.0)
        assert catalog.space.now() is not None and catalog.spec.space is not None


def test_products_that_go_while_a_space_is_made_of_them_leave_none(catalogs: Catalogs) -> None:
    catalog = filled(catalogs, 5)
    assert kept_space.sampled(catalog.beside.live.index, 100, "head") is None
