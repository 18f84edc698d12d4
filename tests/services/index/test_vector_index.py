"""The contract of `VectorIndex`, law by law, over every implementation."""

import json
import math
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from indexes import SERVER, opened

from services.attributes import checked_attributes
from services.descriptions import AttributeKind, Quantization
from services.errors import AttributeNotIndexed, InvalidInput, InvalidVector
from services.index.vector_index import VectorIndex, point_id
from services.query.filters import parse
from services.records import AttributeUpdate, Facet, Neighbor, Point, Revision, Tombstone, Vector

RED, GREEN, BLUE = ([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0])
ODD_IDS = [
    "a/b",
    "a/../b",
    "..",
    ".",
    "a%2Fb",
    " ",
    "shoe 👟",
    "ä",
    "a\x00b",
    "a\x01b",
    "x" * 512,
    "é",
    "e\u0301",
    "1",
    "01",
]


def vector(*numbers: float) -> Vector:
    raw = np.array(numbers, np.float32)
    return raw / np.linalg.norm(raw)


def point(product_id: str, version: int = 1, looks: list[float] = RED, **fields: Any) -> Point:
    return Point(product_id, version, vector(*looks), **fields)


def test_another_image_at_the_same_version(index: VectorIndex) -> None:
    """A revision applies only where version and image are those that it was made for."""
    stored = [
        point("same", 7, GREEN, attributes={"a": 1}, image="aa", perceptual="A", url="http://a/1"),
        point("bare", 7, GREEN, attributes={"a": 1}),
        point("newer", 8, GREEN, image="aa"),
        point("older", 6, GREEN, image="aa"),
        point("other", 7, GREEN, image="bb"),
        point("done", 7, BLUE, image="cc"),
        Tombstone("removed", 7, 1.0),
    ]
    index.upsert(stored)
    names = ["same", "bare", "newer", "older", "other", "done", "removed", "missing"]
    revisions = [
        Revision(
            point(each, 7, BLUE, norm=2.0, attributes={"a": 1}, image="cc", perceptual="C", url="http://a/1"),
            None if each == "bare" else "aa",
        )
        for each in names
    ]
    assert index.revise(revisions) == [True, True, False, False, False, True, False, False]
    found = index.get(names, vectors=True)
    for revision, now in zip(revisions[:2], found, strict=False):
        assert now == revision.point and now.vector is not None
        np.testing.assert_allclose(now.vector, vector(*BLUE), atol=1e-6)
    assert found[2:] == [*stored[2:6], None, None]
    assert index.count() == 6 and index.revise([]) == []


def test_the_url_of_an_image_stays_until_another_is_named(index: VectorIndex) -> None:
    index.upsert([point("shoe", 1, image="aa", url="http://a/1"), point("hat", 1, image="aa")])
    index.update_attributes([AttributeUpdate("shoe", 2, {}), AttributeUpdate("hat", 2, {}, "aa", "http://a/2")])
    index.update_attributes([AttributeUpdate("shoe", 3, {}, "aa", "http://a/3")])
    assert [each and each.url for each in index.get(["shoe", "hat"])] == ["http://a/3", "http://a/2"]
    index.upsert([point("shoe", 4, image="bb")])
    assert [each and each.url for each in index.get(["shoe"])] == [None]


def scrolled(index: VectorIndex, limit: int = 100, **options: Any) -> Iterator[Point]:
    cursor: str | None = None
    while True:
        points, cursor = index.scroll(after=cursor, limit=limit, **options)
        yield from points
        if cursor is None:
            return


def ids(points: Any) -> list[str]:
    return [each.product_id for each in points]


# Writing


def test_a_point_comes_back_whole(index: VectorIndex) -> None:
    shoe = point("shoe", 7, [3, 0, 4, 0], norm=12.5, attributes={"color": "red"}, image="ab" * 32, perceptual="A" * 268)
    assert index.upsert([shoe]) == [True]
    [stored] = index.get(["shoe"], vectors=True)
    assert stored == shoe
    assert stored.vector is not None
    assert stored.vector.dtype == np.float32
    np.testing.assert_allclose(stored.vector, [0.6, 0, 0.8, 0], atol=1e-7)


def test_vectors_are_left_out_unless_asked_for(index: VectorIndex) -> None:
    index.upsert([point("shoe")])
    assert [each and each.vector for each in index.get(["shoe"])] == [None]
    assert [each.vector for each in scrolled(index)] == [None]
    assert [each.vector is not None for each in scrolled(index, vectors=True)] == [True]


def test_answers_are_in_the_order_asked_for(index: VectorIndex) -> None:
    index.upsert([point("a", 1), point("b", 2)])
    assert index.get(["b", "none", "a", "b"]) == [point("b", 2), None, point("a", 1), point("b", 2)]
    assert index.versions(["b", "none", "a", "b"]) == [2, None, 1, 2]


def test_an_older_version_changes_nothing(index: VectorIndex) -> None:
    index.upsert([point("shoe", 5, RED, attributes={"color": "red"})])
    assert index.upsert([point("shoe", 4, BLUE, attributes={"color": "blue"}), point("hat", 1)]) == [False, True]
    [stored] = index.get(["shoe"], vectors=True)
    assert stored == point("shoe", 5, attributes={"color": "red"})
    np.testing.assert_array_equal(stored.vector, RED)


def test_a_change_delivered_twice_is_applied_twice_and_not_written_again(index: VectorIndex) -> None:
    index.upsert([point("shoe", 5, attributes={"color": "red"})])
    assert index.upsert([point("shoe", 5, attributes={"color": "other"})]) == [True]
    assert index.get(["shoe"]) == [point("shoe", 5, attributes={"color": "red"})]


def test_of_several_for_one_product_the_highest_version_counts(index: VectorIndex) -> None:
    points = [point("shoe", 2, GREEN), point("shoe", 3, BLUE), point("hat", 1), point("shoe", 1, RED)]
    assert index.upsert(points) == [False, True, True, False]
    assert index.get(["shoe"]) == [point("shoe", 3)]
    assert ids(index.search(vector(*BLUE), limit=1)) == ["shoe"]


def test_versions_are_told_apart_up_to_the_largest(index: VectorIndex) -> None:
    largest = 2**53 - 1
    index.upsert([point("shoe", largest - 1)])
    assert index.upsert([point("shoe", largest)]) == [True]
    assert index.upsert([point("shoe", largest - 1)]) == [False]
    assert (index.versions(["shoe"]), index.max_version()) == ([largest], largest)


def test_version_zero_is_a_version(index: VectorIndex) -> None:
    assert index.upsert([point("shoe", 0)]) == [True]
    assert index.versions(["shoe"]) == [0]


def test_nothing_to_write_is_nothing_written(index: VectorIndex) -> None:
    assert (index.upsert([]), index.update_attributes([]), index.get([]), index.versions([])) == ([], [], [], [])
    index.purge([])
    assert index.count() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        np.array([1, 0, 0], np.float32),
        np.array([[1, 0, 0, 0]], np.float32),
        np.array([1, 0, 0, math.nan], np.float32),
        np.array([math.inf, 0, 0, 0], np.float32),
        np.array([0, 0, 0, 0], np.float32),
        np.array([2, 0, 0, 0], np.float32),
        None,
    ],
    ids=["short", "matrix", "nan", "infinite", "zero", "not of length one", "none"],
)
def test_a_wrong_vector_is_refused_before_anything_is_written(index: VectorIndex, wrong: Any) -> None:
    with pytest.raises(InvalidVector):
        index.upsert([point("hat"), Point("shoe", 1, wrong)])
    assert index.count() == 0
    if wrong is not None:
        with pytest.raises(InvalidVector):
            index.search(wrong)


def test_a_vector_in_another_layout_is_stored_as_it_reads(index: VectorIndex) -> None:
    columns = np.asfortranarray(np.stack([vector(1, 2, 3, 4), vector(4, 3, 2, 1)]))
    reversed_view = vector(1, 2, 3, 4)[::-1]
    index.upsert([Point("strided", 1, columns[0]), Point("reversed", 1, reversed_view)])
    strided, reversed_ = index.get(["strided", "reversed"], vectors=True)
    np.testing.assert_allclose(strided.vector, vector(1, 2, 3, 4), atol=1e-6)
    np.testing.assert_allclose(reversed_.vector, vector(4, 3, 2, 1), atol=1e-6)


def test_odd_product_ids_are_products_of_their_own(index: VectorIndex) -> None:
    assert index.upsert([point(id, n + 1) for n, id in enumerate(ODD_IDS)]) == [True] * len(ODD_IDS)
    assert index.get(ODD_IDS) == [point(id, n + 1) for n, id in enumerate(ODD_IDS)]
    assert sorted(ids(scrolled(index))) == sorted(ODD_IDS)
    assert sorted(ids(index.search(vector(*RED), limit=100, exclude=ODD_IDS[:5]))) == sorted(ODD_IDS[5:])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def alike(stored: Any, sent: Any) -> bool:
    """Equal, and of the same types; floats to 13 digits."""
    if isinstance(sent, dict):
        return stored.keys() == sent.keys() and all(alike(stored[name], sent[name]) for name in sent)
    if isinstance(sent, list):
        return len(stored) == len(sent) and all(map(alike, stored, sent))
    if isinstance(sent, float):
        return type(stored) is float and math.isclose(stored, sent, rel_tol=1e-13, abs_tol=1e-300)
    return type(stored) is type(sent) and stored == sent


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(attributes=st.dictionaries(st.text(), JSON, max_size=4))
def test_whatever_the_check_lets_through_comes_back(index: VectorIndex, attributes: dict[str, Any]) -> None:
    version = index.max_version() + 1
    index.upsert([point("shoe", version, attributes=checked_attributes(attributes))])
    [stored] = index.get(["shoe"])
    assert stored is not None
    assert alike(stored.attributes, attributes)


# Removing


def test_a_tombstone_is_hidden_from_every_read(index: VectorIndex) -> None:
    index.declare({"color": AttributeKind.KEYWORD})
    index.upsert([point("shoe", 1, attributes={"color": "red"}), point("hat", 2, attributes={"color": "red"})])
    assert index.upsert([Tombstone("shoe", 3, 1000.0)]) == [True]
    assert index.get(["shoe"]) == [None]
    assert index.count() == 1
    assert index.count(parse({"must_not": {"key": "color", "match": {"value": "blue"}}})) == 1
    assert index.count(parse({"should": [{"is_empty": {"key": "color"}}, {}]})) == 1
    assert ids(scrolled(index)) == ["hat"]
    assert ids(index.search(vector(*RED))) == ["hat"]
    assert index.facets("color") == [Facet("red", 1)]
    assert index.versions(["shoe"]) == [3]
    assert index.max_version() == 3


def test_a_removed_product_comes_back_only_with_a_newer_version(index: VectorIndex) -> None:
    index.upsert([Tombstone("shoe", 5, 1000.0)])
    assert index.upsert([point("shoe", 4)]) == [False]
    assert (index.get(["shoe"]), index.versions(["shoe"])) == ([None], [5])
    assert index.upsert([point("shoe", 6, GREEN)]) == [True]
    assert index.get(["shoe"]) == [point("shoe", 6)]
    assert ids(index.search(vector(*GREEN))) == ["shoe"]
    assert list(index.tombstones(before=math.inf)) == []


def test_removing_is_guarded_and_repeatable(index: VectorIndex) -> None:
    index.upsert([point("shoe", 5)])
    assert index.upsert([Tombstone("shoe", 4, 1000.0)]) == [False]
    assert index.get(["shoe"]) == [point("shoe", 5)]
    assert [index.upsert([Tombstone("shoe", 6, at)]) for at in (1000.0, 2000.0)] == [[True], [True]]
    assert list(index.tombstones(before=3000.0)) == [Tombstone("shoe", 6, 1000.0)]


def test_tombstones_are_those_of_products_removed_before_a_time(index: VectorIndex) -> None:
    stones = [Tombstone(f"shoe {n}", n, float(n)) for n in range(1, 2502)]
    index.upsert([point("hat"), *stones])
    found = index.tombstones(before=2400.0)
    assert sorted(found, key=lambda stone: stone.version) == stones[:2399]


def test_purging_forgets_tombstones_but_nothing_newer(index: VectorIndex) -> None:
    stones = [Tombstone(id, 5, 1000.0) for id in ("gone", "revived", "removed again")]
    index.upsert(stones)
    index.upsert([point("revived", 6), Tombstone("removed again", 7, 2000.0)])
    index.purge([*stones, Tombstone("never there", 1, 1.0)])
    assert index.versions(["gone", "revived", "removed again"]) == [None, 6, 7]
    assert index.upsert([point("gone", 1)]) == [True]


def test_purging_takes_any_number_and_never_a_product(index: VectorIndex) -> None:
    stones = [Tombstone(f"shoe {n}", 2, 1000.0) for n in range(1010)]  # more than one page of any index
    index.upsert([*stones, point("hat", 2)])
    index.purge([*stones, Tombstone("hat", 2, 1000.0)])
    assert (list(index.tombstones(before=math.inf)), index.get(["hat"])) == ([], [point("hat", 2)])


# Moving


def test_a_move_replaces_attributes_and_keeps_the_rest(index: VectorIndex) -> None:
    index.upsert([point("shoe", 1, GREEN, norm=3.5, attributes={"a": {"b": 1}, "c": 2}, image="ff", perceptual="A")])
    assert index.update_attributes([AttributeUpdate("shoe", 2, {"a": {"d": 3}})]) == [True]
    [moved] = index.get(["shoe"], vectors=True)
    assert moved == point("shoe", 2, norm=3.5, attributes={"a": {"d": 3}}, image="ff", perceptual="A")
    np.testing.assert_array_equal(moved.vector, GREEN)
    assert index.max_version() == 2


def test_a_move_is_refused_where_it_does_not_belong(index: VectorIndex) -> None:
    index.upsert([point("newer", 9), Tombstone("removed", 1, 1.0), point("other", 1, image="ff"), point("bare", 1)])
    moves = [
        AttributeUpdate("newer", 8, {"x": 1}),
        AttributeUpdate("removed", 8, {"x": 1}),
        AttributeUpdate("missing", 8, {"x": 1}),
        AttributeUpdate("other", 8, {"x": 1}, image="ee"),
        AttributeUpdate("bare", 8, {"x": 1}, image="ee"),
    ]
    assert index.update_attributes(moves) == [False] * 5
    assert index.versions(["newer", "removed", "missing", "other", "bare"]) == [9, 1, None, 1, 1]
    assert index.get(["newer", "missing", "other"]) == [point("newer", 9), None, point("other", 1, image="ff")]


def test_a_move_with_the_stored_image_is_done_and_may_be_repeated(index: VectorIndex) -> None:
    index.upsert([point("shoe", 1, image="ff")])
    moves = [AttributeUpdate("shoe", 2, {"x": 1}, image="ff")]
    assert [index.update_attributes(moves), index.update_attributes(moves)] == [[True], [True]]
    assert index.update_attributes([AttributeUpdate("shoe", 2, {"x": 2}, image="ff")]) == [True]
    assert index.get(["shoe"]) == [point("shoe", 2, attributes={"x": 1}, image="ff")]


def test_of_several_moves_of_one_product_the_highest_version_counts(index: VectorIndex) -> None:
    index.upsert([point("shoe", 1)])
    moves = [
        AttributeUpdate("shoe", 2, {"x": 2}),
        AttributeUpdate("shoe", 4, {"x": 4}),
        AttributeUpdate("shoe", 3, {"x": 3}),
    ]
    assert index.update_attributes(moves) == [False, True, False]
    assert index.update_attributes(
        [AttributeUpdate("shoe", 6, {"x": 6}, image="ff"), AttributeUpdate("shoe", 5, {"x": 5})]
    ) == [False, True]
    assert index.get(["shoe"]) == [point("shoe", 5, attributes={"x": 5})]


def test_moved_attributes_are_what_filters_and_facets_see(index: VectorIndex) -> None:
    index.declare({"color": AttributeKind.KEYWORD})
    index.upsert([point("shoe", 1, attributes={"color": "red"})])
    index.update_attributes([AttributeUpdate("shoe", 2, {"color": "blue"})])
    assert index.facets("color") == [Facet("blue", 1)]
    assert index.count(parse({"must": {"key": "color", "match": {"value": "red"}}})) == 0


# Reading


def test_paging_shows_each_product_once_in_a_stable_order(index: VectorIndex) -> None:
    index.upsert([point(f"shoe {n}", n + 1) for n in range(23)])
    whole = ids(scrolled(index))
    assert sorted(whole) == sorted(f"shoe {n}" for n in range(23))
    for limit in (1, 5, 22, 23, 24):
        assert ids(scrolled(index, limit)) == whole


def test_paging_goes_on_past_products_removed_meanwhile(index: VectorIndex) -> None:
    index.upsert([point(f"shoe {n}", 1) for n in range(9)])
    whole = ids(scrolled(index))
    first, cursor = index.scroll(limit=4)
    index.upsert([Tombstone(id, 2, 1.0) for id in whole[2:6]])
    rest, end = index.scroll(after=cursor, limit=10)
    assert (ids(first), ids(rest), end) == (whole[:4], whole[6:], None)


def test_paging_under_a_filter_shows_what_passes(index: VectorIndex) -> None:
    index.upsert([point(f"shoe {n}", 1, attributes={"n": n}) for n in range(20)])
    low = parse({"must": {"key": "n", "range": {"lt": 7}}})
    assert sorted(ids(scrolled(index, 3, filter=low))) == [f"shoe {n}" for n in range(7)]


@pytest.mark.parametrize(
    "cursor", ["", "x", "0", "1; drop", "{" + point_id("a") + "}", point_id("a").upper(), "\ud800"]
)
def test_a_cursor_nobody_gave_out_is_refused(index: VectorIndex, cursor: str) -> None:
    with pytest.raises(InvalidInput):
        index.scroll(after=cursor)


def test_search_finds_the_nearest_first(index: VectorIndex) -> None:
    index.upsert(
        [point("red", looks=RED, attributes={"a": 1}), point("blue", looks=BLUE), point("both", looks=[1, 0, 1, 0])]
    )
    found = index.search(vector(3, 0, 1, 0))
    assert ids(found) == ["red", "both", "blue"]
    np.testing.assert_allclose([each.score for each in found], [3 / 10**0.5, 4 / 20**0.5, 1 / 10**0.5], atol=1e-6)
    assert found[0] == Neighbor("red", found[0].score, {"a": 1})


def test_search_limits_skips_and_leaves_out(index: VectorIndex) -> None:
    index.upsert([point(f"{n}", looks=[10, n, 0, 0], attributes={"n": n}) for n in range(6)])
    query = vector(*RED)
    assert ids(index.search(query, limit=2)) == ["0", "1"]
    assert ids(index.search(query, limit=2, offset=1)) == ["1", "2"]
    assert ids(index.search(query, limit=9, offset=5)) == ["5"]
    assert ids(index.search(query, offset=6)) == []
    assert ids(index.search(query, limit=2, exclude=["0", "2", "missing"])) == ["1", "3"]
    odd = parse({"must": {"key": "n", "match": {"any": [1, 3, 5]}}})
    assert ids(index.search(query, limit=2, offset=1, filter=odd, exclude=["1"])) == ["5"]


def test_scores_from_the_least_score_up_are_found(index: VectorIndex) -> None:
    index.upsert([point("same", looks=RED), point("near", looks=[3, 4, 0, 0]), point("far", looks=GREEN)])
    query = vector(*RED)
    assert ids(index.search(query, min_score=1.0)) == ["same"]
    assert ids(index.search(query, min_score=0.6)) == ["same", "near"]
    assert ids(index.search(query, min_score=0.61)) == ["same"]
    assert ids(index.search(query, min_score=-1.0)) == ["same", "near", "far"]


@pytest.mark.parametrize("count", [0, 1, 70])
def test_many_vectors_find_what_each_finds(index: VectorIndex, count: int) -> None:
    index.upsert([point(f"{n}", looks=[10, n, n % 3, 1], attributes={"n": n}) for n in range(30)])
    queries = [vector(10, 0.37 * n, n % 7, n % 2) for n in range(count)]
    found = index.search_each(queries, limit=5, min_score=0.7, exclude=["3", "4", "missing"])
    each = [index.search(query, limit=5, min_score=0.7, exclude=["3", "4", "missing"]) for query in queries]
    assert [[(hit.product_id, hit.attributes) for hit in hits] for hits in found] == [
        [(hit.product_id, hit.attributes) for hit in hits] for hits in each
    ]
    for hits, expected in zip(found, each, strict=True):
        np.testing.assert_allclose([hit.score for hit in hits], [hit.score for hit in expected], atol=1e-6)
    with pytest.raises(InvalidVector):
        index.search_each([vector(*RED), np.zeros(len(vector(*RED)), np.float32)])


def test_a_graph_holds_at_most_the_products(index: VectorIndex) -> None:
    index.upsert([point("a", looks=RED), point("b", looks=GREEN), Tombstone("c", 9, 1.0)])
    for _ in range(2):
        graph = index.graph()
        assert graph.vectors == 2 and 0 <= graph.indexed <= 2
        index.optimize()


@pytest.mark.parametrize("quantization", ["scalar", "turbo"])
@pytest.mark.parametrize("kind", ["edge", SERVER])
def test_compressed_vectors_find_what_whole_ones_do(
    kind: str, quantization: Quantization, tmp_path: Path, twin_url: str
) -> None:
    raw = np.random.default_rng(5).normal(size=(2050, 64)).astype(np.float32)
    looks, queries = np.split(raw / np.linalg.norm(raw, axis=1, keepdims=True), [2000])
    with opened(kind, 64, tmp_path / "index", twin_url, quantization) as index:
        index.upsert([Point(str(n), 1, look) for n, look in enumerate(looks)])
        index.optimize()
        found = [index.search(query) for query in queries]
        kept = index.get(["7"], vectors=True)[0]
    exact = [np.argsort(-(looks @ query))[:10] for query in queries]
    same = [{int(each.product_id) for each in hits} & {*best} for hits, best in zip(found, exact, strict=True)]
    assert sum(map(len, same)) >= 0.97 * 10 * len(queries)
    # Scores are those of the whole vectors, which are kept.
    for query, hits in zip(queries, found, strict=True):
        scores = [looks[int(each.product_id)] @ query for each in hits]
        np.testing.assert_allclose([each.score for each in hits], scores, atol=1e-6)
    assert kept and kept.vector is not None
    np.testing.assert_allclose(kept.vector, looks[7], atol=1e-6)


def test_searching_an_empty_index_finds_nothing(index: VectorIndex) -> None:
    assert (index.search(vector(*RED)), index.scroll(), index.max_version()) == ([], ([], None), 0)


# Attributes


def test_facets_count_products_by_value_most_first(index: VectorIndex) -> None:
    index.declare({"color": AttributeKind.KEYWORD, "size.eu": AttributeKind.INTEGER, "sale": AttributeKind.BOOL})
    colors = ["red", "red", "blue", "green", "blue", "red", None, ["red", "red", "blue"]]
    for n, color in enumerate(colors):
        index.upsert([point(str(n), attributes={"color": color, "size": {"eu": 40 + n % 2}, "sale": n == 0})])
    assert index.facets("color") == [Facet("red", 4), Facet("blue", 3), Facet("green", 1)]
    assert index.facets("color", limit=1) == [Facet("red", 4)]
    assert index.facets('"color"') == index.facets("color")
    assert index.facets("size.eu") == [Facet(40, 4), Facet(41, 4)]
    assert index.facets("sale") == [Facet(False, 7), Facet(True, 1)]
    big = parse({"must": {"key": "size.eu", "match": {"value": 41}}})
    assert index.facets("color", filter=big) == [Facet("red", 3), Facet("blue", 1), Facet("green", 1)]


def test_equal_counts_are_in_the_order_of_their_values_wherever_the_list_is_cut(index: VectorIndex) -> None:
    index.declare({"color": AttributeKind.KEYWORD})
    index.upsert([point(c, attributes={"color": c}) for c in "zäa😀mbé"])
    for limit in range(1, 8):
        assert [facet.value for facet in index.facets("color", limit=limit)] == sorted("zäa😀mbé")[:limit]


@pytest.mark.parametrize("attribute", ["color", "price", "a..b", "", '"', "color[]"])
def test_facets_need_a_declared_attribute_of_countable_kind(index: VectorIndex, attribute: str) -> None:
    index.declare({"price": AttributeKind.FLOAT, "other": AttributeKind.KEYWORD})
    with pytest.raises(AttributeNotIndexed):
        index.facets(attribute)


def test_declaring_twice_is_harmless(index: VectorIndex) -> None:
    kinds = {"color": AttributeKind.KEYWORD, '"a b".c[]': AttributeKind.INTEGER}
    index.declare(kinds)
    index.upsert([point("shoe", attributes={"color": "red", "a b": {"c": [1, 2]}})])
    index.declare(kinds)
    assert index.facets("color") == [Facet("red", 1)]
    assert index.facets('"a b".c[]') == [Facet(1, 1), Facet(2, 1)]


def test_an_attribute_declared_late_is_indexed_for_what_is_stored(index: VectorIndex) -> None:
    index.upsert([point("shoe", attributes={"color": "red"})])
    index.declare({"color": AttributeKind.KEYWORD})
    assert index.facets("color") == [Facet("red", 1)]


@pytest.mark.parametrize("name", ["", "a..b", "a b", '"', "a[x]", "\ud800"], ids=ascii)
def test_a_name_that_is_none_cannot_be_declared(index: VectorIndex, name: str) -> None:
    with pytest.raises(InvalidInput):
        index.declare({"color": AttributeKind.KEYWORD, name: AttributeKind.KEYWORD})
    with pytest.raises(AttributeNotIndexed):
        index.facets("color")


ODD_IDS = ["WS-1", "WS-1 ", "WS-1\u00a0", "a/b", "\n", "cafe\u0301", "caf\u00e9"]


@pytest.mark.parametrize("named", [*([each] for each in ODD_IDS), ODD_IDS[:3], [], ["none"]], ids=ascii)
def test_has_id_names_products_byte_for_byte(index: VectorIndex, named: list[str]) -> None:
    index.upsert([point(each, number, attributes={"n": number}) for number, each in enumerate(ODD_IDS, 1)])
    index.upsert([Tombstone("none", 1, 1000.0)])
    there = {each for each in named if each in ODD_IDS}
    has_id = {"has_id": named}
    for source, expected in [
        ({"must": has_id}, there),
        ({"should": [has_id]}, there),
        ({"must_not": has_id}, set(ODD_IDS) - there),
        ({"should": [has_id, {"key": "n", "match": {"value": 1}}]}, there | {"WS-1"}),
        ({"must": [{"must_not": [{"must": has_id}]}, {"key": "n", "range": {"gt": 1}}]}, {*ODD_IDS[1:]} - there),
    ]:
        filter = parse(source)
        assert set(ids(scrolled(index, filter=filter))) == expected
        assert set(ids(index.search(vector(*RED), filter=filter))) == expected
        assert index.count(filter) == len(expected)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"key": "x", "match": {"value": True}}, ["[true]", "true"]),
        ({"key": "x", "match": {"value": False}}, ["false"]),
        ({"key": "x", "match": {"value": 1}}, ["1", "[1, 2]"]),
        ({"key": "x", "match": {"value": "a"}}, ['"a"', '["a", 1.5]']),
        ({"key": "x", "match": {"any": ["a", ""]}}, ['""', '"a"', '["a", 1.5]']),
        ({"key": "x", "match": {"any": []}}, []),
        ({"key": "x", "range": {"gte": 1, "lt": 2}}, ["1", "1.0", "1.5", '["a", 1.5]', "[1, 2]"]),
        ({"is_empty": {"key": "x"}}, ["[]", "missing", "null"]),
        ({"key": "x.y", "match": {"value": 1}}, ['{"y": 1}']),
        ({"key": "x[].y", "match": {"value": 1}}, ['[{"y": 1}]']),
    ],
    ids=json.dumps,
)
def test_a_condition_matches_json_by_type(index: VectorIndex, condition: Any, expected: list[str]) -> None:
    values = ["true", "false", "1", "0", "1.0", "1.5", '"a"', '"1"', '""', "null", "[]", "[null]", "{}"]
    values += ["[true]", "[1, 2]", '["a", 1.5]', '{"y": 1}', '[{"y": 1}]', "[[1]]"]
    index.upsert([point("missing"), *(point(text, attributes={"x": json.loads(text)}) for text in values)])
    assert sorted(ids(scrolled(index, filter=parse({"must": condition})))) == expected


# Threads


def in_threads(*works: Callable[[], None]) -> None:
    """Runs them at once, switching between them as often as Python can. Raises what one raised."""
    failures: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=run, args=[work]) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    for failure in failures:
        raise failure


def test_the_answer_of_a_write_is_not_disturbed_by_other_threads(index: VectorIndex) -> None:
    """A tombstone that was applied is reported so, although another thread purges it at once."""
    applied: list[bool] = []
    done = threading.Event()

    def remove() -> None:
        try:
            for version in range(1, 400):
                applied.extend(index.upsert([Tombstone("shoe", version, 1.0)]))
        finally:
            done.set()

    def purge() -> None:
        while not done.is_set():
            index.purge([Tombstone("shoe", len(applied) + ahead, 1.0) for ahead in range(4)])

    in_threads(remove, purge)
    assert applied == [True] * 399


def test_threads_that_write_one_product_leave_the_newest(index: VectorIndex) -> None:
    def write(start: int) -> Callable[[], None]:
        return lambda: [index.upsert([point("shoe", version)]) for version in range(start, 300, 3)] and None

    in_threads(write(1), write(2), write(3))
    assert (index.versions(["shoe"]), index.count()) == ([299], 1)
