"""A filter matches the same products, whether its attribute is indexed or not, whatever values they have."""

import functools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qdrant_edge as qdrant
from indexes import SERVER, opened

from services.descriptions import AttributeKind
from services.errors import AttributeNotIndexed
from services.index.edge import EdgeIndex
from services.index.field_indexes import FieldIndex
from services.index.vector_index import VectorIndex, point_id
from services.query.filters import Filter, parse, steps
from services.records import AttributeUpdate, Facet, OtherKinds, Point
from services.testing import MemoryIndex

LOOK = np.array([1, 0, 0, 0], np.float32)
KEYWORDS = ['"a"', '"b"', '""', '"1"', '"1.5"', '"true"', '["a", "b"]', '["b", null]']
BOOLS = ["true", "false", "[true]", "[true, false]"]
INTEGERS = ["0", "1", "-3", "[1, 2]", "[0, null]", "4503599627370496", "9007199254740992", "-9007199254740992"]
LARGE = [
    "9007199254740993",
    "9007199254740995",
    "[1, -9007199254740993]",
    "9223372036854775807",
    "-9223372036854775808",
]
FLOATS = ["1.0", "0.0", "-0.0", "1.5", "3.7", "1e300", "[1.5, 2]", "[1.0]"]
OTHERS = ['["a", 1]', "[1.5, true]", "[[1]]", '[["a"]]', "{}", '{"y": 1}', '[{"y": "a"}]', '"2020-01-01T00:00:00Z"']
MISSING = ["null", "[]", "[null]"]
ALL = [*KEYWORDS, *BOOLS, *INTEGERS, *LARGE, *FLOATS, *OTHERS, *MISSING]
CONFORMING = {
    AttributeKind.KEYWORD: [*KEYWORDS, *MISSING],
    AttributeKind.INTEGER: [*INTEGERS, *MISSING],
    AttributeKind.FLOAT: [*FLOATS, *INTEGERS, *LARGE, *MISSING],
    AttributeKind.BOOL: [*BOOLS, *MISSING],
}
VALUES = ["a", "", "1", "true", "2020-01-01T00:00:00Z", 0, 1, -3, 9007199254740993, 9223372036854775807, True, False]
SEVERAL: list[Any] = [[], ["a"], ["a", ""], ["b"], [1], [0, 1, 2], [9007199254740993]]
BOUNDS = [-1e300, -1e19, -9007199254740992.0, -3, 0, 1, 1.2, 1.7, 9007199254740992.0, 9007199254740994.0, 1e19, 1e300]
CONDITIONS = [
    *({"match": {"value": value}} for value in VALUES),
    *({"match": {how: values}} for how in ("any", "except") for values in SEVERAL),
    *({"range": {how: bound}} for how in ("gt", "gte", "lt", "lte") for bound in BOUNDS),
    {"range": {"gt": 0, "lt": 2}},
    {"range": {"gte": 1, "lte": 1}},
]
KINDS = {kind.value: kind for kind in AttributeKind}


@pytest.fixture(params=["memory", "edge", "edge with a graph", "twin", SERVER])
def implementation(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def index(implementation: str, tmp_path: Path, twin_url: str) -> Iterator[VectorIndex]:
    with opened(implementation.partition(" ")[0], 4, tmp_path / "index", twin_url) as index:
        yield index


def points(values: Iterable[str]) -> list[Point]:
    """Products named by their value, which they have under the name of each kind, and one that has none."""
    named = [Point(text, 1, LOOK, attributes=dict.fromkeys(KINDS, json.loads(text))) for text in values]
    return [*named, Point("missing", 1, LOOK)]


def filters(key: str) -> list[Filter]:
    conditions: list[Any] = [{"key": key, **each} for each in CONDITIONS]
    conditions.append({"is_empty": {"key": key}})
    return [parse({clause: each}) for each in conditions for clause in ("must", "must_not")]


def matched(index: VectorIndex, filter: Filter) -> list[str]:
    found = sorted(point.product_id for point in index.scroll(limit=1000, filter=filter)[0])
    assert index.count(filter) == len(found)
    return found


@functools.cache
def unindexed(values: tuple[str, ...], key: str) -> list[tuple[Filter, set[str]]]:
    """What every filter of a key matches where nothing is indexed."""
    bare = MemoryIndex(4)
    bare.upsert(points(values))
    return [(filter, {*matched(bare, filter)}) for filter in filters(key)]


def check(index: VectorIndex, implementation: str, values: Iterable[str], keys: Iterable[str]) -> None:
    """Every filter matches what it matches where nothing is indexed."""
    if implementation.endswith("graph"):
        index.optimize()
    for key in keys:
        for filter, expected in unindexed(tuple(values), key):
            text = filter.model_dump_json(exclude_defaults=True)
            # Qdrant's local mode, which stands in for a server here, compares all integers exactly.
            apart = {*LARGE} if implementation in ("twin", "server") and "range" in text else set()
            assert set(matched(index, filter)) - apart == expected - apart, text


def is_indexed(index: VectorIndex, attribute: str) -> bool:
    """What the index says itself, and whether facets agree, where they can tell."""
    kinds: Any = index._kinds if isinstance(index, MemoryIndex) else index._fields.read()  # type: ignore[attr-defined]
    found = {key if isinstance(key, tuple) else steps(key): kind for key, kind in kinds.items()}
    if attribute != "float":
        try:
            index.facets(attribute)
        except AttributeNotIndexed:
            assert steps(attribute) not in found
        else:
            assert steps(attribute) in found
    return steps(attribute) in found


def test_the_conditions_tell_the_values_apart() -> None:
    bare = MemoryIndex(4)
    bare.upsert(points(ALL))
    answers = {tuple(matched(bare, filter)) for filter in filters("float")}
    assert len(answers) >= 80


@pytest.mark.parametrize("late", [False, True], ids=["declared first", "declared later"])
def test_values_of_every_kind(index: VectorIndex, implementation: str, late: bool) -> None:
    stored = points(ALL)
    declared = [None if late else index.declare(KINDS), index.upsert(stored), index.declare(KINDS) if late else None]
    assert [bool(each) for each in declared] == [False, True, late]
    check(index, implementation, ALL, KINDS)
    assert not any(is_indexed(index, name) for name in KINDS)


@pytest.mark.parametrize("late", [False, True], ids=["declared first", "declared later"])
@pytest.mark.parametrize("kind", AttributeKind)
def test_values_of_the_declared_kind_are_indexed(
    index: VectorIndex, implementation: str, kind: AttributeKind, late: bool
) -> None:
    stored = points(CONFORMING[kind])
    if late:
        index.upsert(stored)
    assert index.declare({kind.value: kind}) == {}
    if not late:
        index.upsert(stored)
    check(index, implementation, CONFORMING[kind], [kind.value])
    assert is_indexed(index, kind.value)


@pytest.mark.parametrize("late", [False, True], ids=["declared first", "declared later"])
def test_integers_that_no_float_holds_are_still_counted(index: VectorIndex, implementation: str, late: bool) -> None:
    """A range compares them as floats, so an index of integers is not asked for that, but for all else."""
    stored = points([*INTEGERS, *LARGE])
    if late:
        index.upsert(stored)
    assert index.declare({"integer": AttributeKind.INTEGER}) == {}
    if not late:
        index.upsert(stored)
    check(index, implementation, [*INTEGERS, *LARGE], ["integer"])
    assert is_indexed(index, "integer")
    assert Facet(9007199254740993, 1) in index.facets("integer", limit=100)


def test_one_value_of_another_kind_ends_the_index_and_its_end_lets_it_begin_anew(index: VectorIndex) -> None:
    color = {"color": AttributeKind.KEYWORD}
    index.declare(color)
    index.upsert([Point("red", 1, LOOK, attributes={"color": "red"})])
    assert index.facets("color") == [Facet("red", 1)]
    index.update_attributes([AttributeUpdate("red", 2, {"color": 7})])
    with pytest.raises(AttributeNotIndexed):
        index.facets("color")
    assert index.declare(color) == {"color": OtherKinds(AttributeKind.KEYWORD, 1, {"red": "7"})}
    index.update_attributes([AttributeUpdate("red", 3, {"color": ["blue", None]})])
    assert index.declare(color) == {}
    assert index.facets("color") == [Facet("blue", 1)]


def test_a_declaration_counts_products_of_other_kinds_and_shows_some(index: VectorIndex) -> None:
    prices: dict[str, Any] = {f"p{n}": "on request" for n in range(2000)}
    prices |= {"text": "x" * 200, "list": [1, "2"], "deep": [[1]], "object": {"a": 1}}
    sound: dict[str, Any] = {"none": None, "integer": 12, "float": 1.5, "both": [1, 2.5, None], "empty": []}
    index.upsert([Point(name, 1, LOOK, attributes={"price": value}) for name, value in (prices | sound).items()])
    index.upsert([Point("size", 1, LOOK, attributes={"sizes": [{"eu": 40}, {"eu": "41"}]}), Point("bare", 1, LOOK)])
    declared = {"price": AttributeKind.FLOAT, "sizes[].eu": AttributeKind.INTEGER, '"sale"': AttributeKind.BOOL}
    found = index.declare(declared)
    assert {name: (each.kind, each.products) for name, each in found.items()} == {
        "price": (AttributeKind.FLOAT, 2004),
        "sizes[].eu": (AttributeKind.INTEGER, 1),
    }
    assert found["sizes[].eu"].examples == {"size": '"41"'}
    shown = {**dict.fromkeys(prices, '"on request"'), "text": '"' + 76 * "x" + "...", "list": '"2"'}
    shown |= {"deep": "[1]", "object": '{"a": 1}'}
    first = sorted(prices, key=point_id)[:10]
    assert found["price"].examples == {name: shown[name] for name in first}
    assert is_indexed(index, "sale")


def test_an_index_of_an_older_version_is_looked_at_when_it_is_declared_again(tmp_path: Path) -> None:
    """Older versions indexed whatever there was."""
    index = EdgeIndex.open(tmp_path / "index", 4)
    for name, kind in {
        "integer": qdrant.PayloadSchemaType.Integer,
        "keyword": qdrant.PayloadSchemaType.Keyword,
    }.items():
        index._update(qdrant.UpdateOperation.create_field_index(f"attributes.{name}", kind))
    index.close()
    index = EdgeIndex.open(tmp_path / "index", 4)
    stored = [Point("a", 1, LOOK, attributes={"keyword": "a", "integer": 1})]
    index.upsert(stored)
    assert index._fields.read() == {name: FieldIndex(KINDS[name], checked=False) for name in ("integer", "keyword")}
    index.upsert([Point("b", 1, LOOK, attributes={"keyword": "b", "integer": 9007199254740993})])
    assert index._fields.read()["integer"] == FieldIndex(AttributeKind.INTEGER, checked=False, ranges=False)
    assert index.facets("integer") == [Facet(1, 1), Facet(9007199254740993, 1)]
    assert index.declare({"integer": AttributeKind.INTEGER, "keyword": AttributeKind.KEYWORD}) == {}
    assert index._fields.read() == {
        "integer": FieldIndex(AttributeKind.INTEGER, ranges=False),
        "keyword": FieldIndex(AttributeKind.KEYWORD),
    }
    index.close()
    index = EdgeIndex.open(tmp_path / "index", 4)
    assert index._fields.read()["keyword"] == FieldIndex(AttributeKind.KEYWORD)
    index.close()


def test_without_these_rules_an_index_would_change_what_filters_match(tmp_path: Path) -> None:
    """Why attributes with other values are not indexed: Qdrant's index of one kind leaves the others out."""
    with opened("edge", 4, tmp_path / "index", "") as index:
        assert isinstance(index, EdgeIndex)
        index.upsert(points(ALL))
        for name, kind in {
            "integer": qdrant.PayloadSchemaType.Integer,
            "keyword": qdrant.PayloadSchemaType.Keyword,
        }.items():
            index._update(qdrant.UpdateOperation.create_field_index(f"attributes.{name}", kind))
            with pytest.raises(AssertionError, match=name):
                check(index, "edge", ALL, [name])
