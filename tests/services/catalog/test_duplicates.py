"""Duplicates of a catalog: found whatever interrupts the search, shown as what is there now, and decided about."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from copies import DIM, product
from shops import Place, shop

from services.catalog import duplicate_lists, duplicate_scan
from services.catalog.catalog import Catalog
from services.catalog.catalogs import Catalogs
from services.catalog.duplicate_scan import NAME
from services.errors import Conflict, DecisionsNotFound, FindingNotFound, GroupNotFound, InvalidInput, ProductNotFound
from services.explore import found_duplicates
from services.explore.duplicate_groups import Groups
from services.explore.found_duplicates import from_bytes
from services.images.decoder import Decoder
from services.records import Embedding, State

PLAIN = 60
COPIES = 60


@pytest.fixture(params=["folder", pytest.param("twin", marks=pytest.mark.long)])
def place(request: pytest.FixtureRequest, tmp_path: Path, twin_url: str, decoder: Decoder) -> Place:
    return Place(tmp_path, decoder, {"folder": "", "twin": twin_url}[request.param])


@pytest.fixture
def catalogs(place: Place) -> Iterator[Catalogs]:
    with place.opened() as catalogs:
        yield catalogs


@pytest.fixture
def catalog(catalogs: Catalogs) -> Catalog:
    """60 pictures of one product each, two of them near-duplicates of p0, one that shows the same as p1; a placeholder
    on 60 products, and a near-duplicate of it."""
    catalog = catalogs.create(shop())
    put(catalog, *(product(f"p{n}", n) for n in range(PLAIN)))
    put(catalog, *(product(f"none-{n}", 900) for n in range(COPIES)), product("nearly-none", 900, 1))
    put(catalog, product("near-a", 0, 1), product("near-b", 0, 2), product("same", 1, 3, bits=0))
    return catalog


def put(catalog: Catalog, *products: Embedding) -> None:
    assert {each.state for each in catalog.put_embeddings(products)} == {State.APPLIED}


def sets(page: Groups) -> list[tuple[str, bool, set[str]]]:
    """The groups of a page: kind, whether it is a placeholder, and its products."""
    return [(each.kind, each.placeholder, {member.product_id for member in each.members}) for each in page.groups]


def kept(catalog: Catalog) -> bytes:
    """What was found, as a file."""
    finding = catalog.duplicates.finding()
    assert finding and finding.cursor is None and not catalog.duplicates.is_stale(finding)
    return catalog.findings.read(finding)


def found_anew(catalog: Catalog) -> bytes:
    catalog.findings.remove(NAME)
    catalog.duplicates.look()
    return kept(catalog)


def waiting(catalog: Catalog) -> int:
    """How many pictures a scan looks for, which it does."""
    told: list[tuple[int, int]] = []
    catalog.duplicates.look(lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1]
    return told[0][1] - told[0][0]


PLACEHOLDER = {f"none-{n}" for n in range(COPIES)} | {"nearly-none"}
GROUPS = [
    ("near_duplicate", True, PLACEHOLDER),
    ("same_picture", False, {"p1", "same"}),
    ("near_duplicate", False, {"p0", "near-a", "near-b"}),
]


def test_a_placeholder_hides_nothing_and_all_groups_are_found_and_told(catalog: Catalog) -> None:
    with pytest.raises(FindingNotFound, match="has not been looked through for duplicates: PUT /v1/catalogs/shop/dup"):
        catalog.duplicates.page()
    assert waiting(catalog) == PLAIN + 5, "one search for all copies of a picture"
    page = catalog.duplicates.page()
    assert sets(page) == GROUPS
    assert (page.total, page.next, page.products, page.complete, page.stale) == (3, None, 124, True, False)
    assert page.groups[0].products == 61 and page.groups[1].keep == ("p1",) and page.groups[1].why == "the oldest"
    assert sets(catalog.duplicates.page(kind="near_duplicate", placeholder=False)) == GROUPS[2:]
    assert sets(catalog.duplicates.page(placeholder=True)) == GROUPS[:1]


def test_what_is_nearer_than_a_copy_and_is_on_many_products_does_not_hide_it(catalogs: Catalogs) -> None:
    """Given 60 products with a picture that is nearer to two others than these are to each other, and no duplicate of
    them, I expect the two: among the nearest twenty of each are only those of the one picture."""
    catalog = catalogs.create(shop())
    put(catalog, *(product(f"p{n}", n) for n in range(PLAIN)))
    between = product("x", 0)
    unlike = product("x", 77).perceptual
    put(catalog, *(Embedding(f"m{n}", between.features, {}, image="a" * 64, perceptual=unlike) for n in range(COPIES)))
    put(catalog, product("near-a", 0, 1, near=0.1))
    catalog.remove(["p0"])
    put(catalog, product("near-b", 0, 2, near=0.1))
    catalog.duplicates.look()
    assert ("near_duplicate", False, {"near-a", "near-b"}) in sets(catalog.duplicates.page())


class Interrupted(Exception):
    """Somebody has pressed Ctrl-C."""


def after(count: int) -> Callable[[], None]:
    """A check that interrupts what calls it for the so-and-so-manieth time."""
    left = iter(range(count))

    def check() -> None:
        if next(left, None) is None:
            raise Interrupted

    return check


def test_a_scan_that_was_interrupted_anywhere_goes_on_where_it_was_and_finds_the_same(catalog: Catalog) -> None:
    expected = found_anew(catalog)
    for count, keep_seconds in ((0, 0.0), (1, 1e9), (2, 1e9), (40, 0.0), (PLAIN + 4, 1e9)):
        catalog.findings.remove(NAME)
        with pytest.raises(Interrupted):
            catalog.duplicates.look(check=after(count), keep_seconds=keep_seconds)
        part = catalog.duplicates.finding()
        looked = from_bytes(catalog.findings.read(part)).looked if part else []  # type: ignore[union-attr]
        assert (part is None) == (count < 2) and (part is None or part.cursor == str(len(looked)))
        if part:
            assert not catalog.duplicates.page().complete
        assert waiting(catalog) == PLAIN + 5 - len(looked)
        assert kept(catalog) == expected


def test_a_process_that_dies_has_kept_what_it_had_found_by_then(catalog: Catalog) -> None:
    seen: list[str | None] = []
    catalog.duplicates.look(
        lambda done, _: seen.append((f := catalog.duplicates.finding()) and f.cursor), keep_seconds=0.0
    )
    assert seen[:3] == [None, None, "16"] and catalog.duplicates.finding().cursor is None  # type: ignore[union-attr]


def test_what_another_process_has_found_meanwhile_is_not_replaced_by_a_part(catalog: Catalog) -> None:
    """Given a scan that ends elsewhere while this one goes on, and is interrupted, I expect what that one has found."""
    expected = found_anew(catalog)
    catalog.findings.remove(NAME)

    def check() -> None:
        if catalog.duplicates.finding():
            raise Interrupted

    told: list[int] = []

    def report(done: int, _: int) -> None:
        told.append(done)
        if done == 32:
            catalog.duplicates.look()

    with pytest.raises(Interrupted):
        catalog.duplicates.look(report, check, keep_seconds=1e9)
    assert max(told) == 32 and kept(catalog) == expected


def test_a_later_scan_looks_for_what_is_new_and_finds_what_one_from_the_beginning_does(catalog: Catalog) -> None:
    catalog.duplicates.look()
    assert waiting(catalog) == 0
    put(catalog, product("new", 7, 1), product("p3", 8, 1), product("near-b", 500), product("none-0", 501))
    catalog.remove(["same", "p9"])
    finding = catalog.duplicates.finding()
    assert finding and catalog.duplicates.is_stale(finding)
    assert waiting(catalog) == 4
    incremental = kept(catalog)
    found = {frozenset(members) for _, _, members in sets(catalog.duplicates.page())}
    assert found == {
        frozenset(PLACEHOLDER - {"none-0"}),
        frozenset({"p0", "near-a"}),
        frozenset({"p7", "new"}),
        frozenset({"p8", "p3"}),
    }
    assert found_anew(catalog) == incremental


def test_a_new_placeholder_is_found_to_be_near_to_what_was_looked_for_before(catalog: Catalog) -> None:
    """Given more copies of a new picture than a search ever asks for, I expect the older picture that is near it."""
    catalog.duplicates.look()
    put(catalog, *(product(f"many-{n}", 30, 1) for n in range(210)))
    catalog.duplicates.look()
    assert [each.products for each in catalog.duplicates.page(placeholder=True).groups] == [211, 61]


def test_what_has_gone_or_changed_since_is_left_out_before_the_next_scan(catalog: Catalog) -> None:
    catalog.duplicates.look()
    put(catalog, product("near-b", 500))
    catalog.remove(["same", "none-0"])
    page = catalog.duplicates.page()
    assert sets(page) == [
        ("near_duplicate", True, PLACEHOLDER - {"none-0"}),
        ("near_duplicate", False, {"p0", "near-a"}),
    ]
    assert page.stale


def test_pages_go_on_where_the_one_before_ended_whatever_is_decided_meanwhile(catalog: Catalog) -> None:
    put(catalog, *(product(f"q{n}", n, 9) for n in range(10, 17)))
    catalog.duplicates.look()
    whole = [each.id for each in catalog.duplicates.page(limit=100).groups]
    assert len(whole) == 10
    first = catalog.duplicates.page(limit=4)
    for each in (first.groups[0].id, first.groups[3].id):
        catalog.duplicates.decide(each, "keep")
    second = catalog.duplicates.page(limit=4, cursor=first.next)
    third = catalog.duplicates.page(limit=4, cursor=second.next)
    assert [each.id for page in (first, second, third) for each in page.groups] == whole
    assert (third.next, third.total) == (None, 8)
    with pytest.raises(InvalidInput, match="was not returned by this list"):
        catalog.duplicates.page(cursor="bzA")


def test_decisions_stay_through_scans_and_other_processes_and_can_be_undone(place: Place, catalog: Catalog) -> None:
    catalog.duplicates.look()
    none, same, near = (each.id for each in catalog.duplicates.page().groups)
    decided = catalog.duplicates.decide(same, "remove")
    assert (decided.keep, decided.to_remove, decided.decision) == (("p1",), ("same",), "remove")
    assert catalog.duplicates.decide(near, "distinct").to_remove == ()
    assert catalog.duplicates.decide(none, "remove", ["none-3", "nearly-none"]).keep == ("nearly-none", "none-3")
    assert found_anew(catalog) and catalog.duplicates.page().total == 0

    def of(decision: Any) -> list[str]:
        return [each.id for each in catalog.duplicates.page(decision=decision).groups]

    assert (of("remove"), of("distinct"), of("keep")) == ([none, same], [near], [])
    catalog.duplicates.decide(near, "keep")
    catalog.duplicates.undo(same)
    assert (of(None), of("remove"), of("keep"), of("distinct")) == ([same], [none], [near], [])
    for group in (same, "0" * 16):
        with pytest.raises(GroupNotFound, match="Nothing was decided about a group"):
            catalog.duplicates.undo(group)
    assert catalog.findings.decisions() is not None
    for group in (none, near):
        catalog.duplicates.undo(group)
    assert catalog.findings.decisions() is None and catalog.spec.decisions is None
    assert sets(catalog.duplicates.page()) == GROUPS


def test_a_group_that_has_changed_is_another_one_and_cannot_be_decided_about(catalog: Catalog) -> None:
    catalog.duplicates.look()
    near = catalog.duplicates.page().groups[2].id
    catalog.remove(["near-b"])
    with pytest.raises(GroupNotFound, match="list the groups again"):
        catalog.duplicates.decide(near, "keep")
    same = catalog.duplicates.page().groups[1].id
    for decision, keep, message in (
        ("keep", ["p1"], "with 'keep' all products stay"),
        ("remove", ["p5"], "'p5' is no product of group"),
        ("remove", ["p1", "same"], "no product would go"),
    ):
        with pytest.raises(InvalidInput, match=message):
            catalog.duplicates.decide(same, decision, keep)  # type: ignore[arg-type]
    assert catalog.findings.decisions() is None


def test_a_new_duplicate_opens_a_group_again_and_another_picture_ends_what_was_decided(catalog: Catalog) -> None:
    catalog.duplicates.look()
    _, same, near = (each.id for each in catalog.duplicates.page().groups)
    for group in (same, near):
        catalog.duplicates.decide(group, "keep")
    put(catalog, product("near-c", 0, 3))
    catalog.duplicates.look()
    assert sets(catalog.duplicates.page(placeholder=False)) == [
        ("near_duplicate", False, {"p0", "near-a", "near-b", "near-c"})
    ]
    put(catalog, product("same", 1, 4, bits=2))
    catalog.duplicates.look()
    assert ("near_duplicate", False, {"p1", "same"}) in sets(catalog.duplicates.page())


def test_where_none_is_left_of_those_that_were_to_stay_the_rest_is_open_again(catalog: Catalog) -> None:
    """Given that near-a and near-b were to go for p0, which goes itself, or has another picture, I expect that they
    are shown as nothing had been decided, as long as p0 is not back: the last products of a picture are never to go."""
    catalog.duplicates.look()
    near = catalog.duplicates.page().groups[2].id
    assert catalog.duplicates.decide(near, "remove", ["p0"]).to_remove == ("near-a", "near-b")

    def told() -> list[tuple[set[str], tuple[str, ...]]]:
        """What is open or was to be removed of these products, and what is to go of it."""
        groups = (
            *catalog.duplicates.page(placeholder=False, kind="near_duplicate").groups,
            *catalog.duplicates.page(decision="remove").groups,
        )
        return [({member.product_id for member in each.members}, each.to_remove) for each in groups]

    settled = [({"p0", "near-a", "near-b"}, ("near-a", "near-b"))]
    opened = [({"near-a", "near-b"}, ())]
    catalog.remove(["p0"])
    seen_within(told, opened)
    assert {each.decision for each in catalog.duplicates.of("near-a")} == {None}
    put(catalog, product("p0", 0))
    seen_within(told, settled)
    assert {each.decision for each in catalog.duplicates.of("near-a")} == {"remove"}
    put(catalog, product("p0", 600))
    seen_within(told, opened)
    catalog.remove(["near-a"])
    seen_within(told, [])
    put(catalog, product("p0", 0))
    catalog.duplicates.undo(near)


def seen_within(what: Callable[[], object], expected: object, seconds: float = 300.0) -> None:
    """A list that was made just now may be shown for a moment when the catalog has changed."""
    until = time.monotonic() + seconds
    while (found := what()) != expected and time.monotonic() < until:
        pass
    assert found == expected


def test_decisions_that_are_lost_can_be_forgotten_and_others_not(catalog: Catalog) -> None:
    catalog.duplicates.forget_decisions()
    catalog.duplicates.look()
    catalog.duplicates.decide(catalog.duplicates.page().groups[2].id, "keep")
    with pytest.raises(Conflict, match="is not lost: undo the decisions"):
        catalog.duplicates.forget_decisions()
    assert catalog.duplicates.page(decision="keep").total == 1
    lose_decisions(catalog)
    with pytest.raises(DecisionsNotFound, match="`lookalike duplicates forget --catalog shop`, over HTTP DELETE /v1"):
        catalog.duplicates.page()
    catalog.duplicates.forget_decisions()
    assert sets(catalog.duplicates.page()) == GROUPS and catalog.spec.decisions is None


def lose_decisions(catalog: Catalog) -> None:
    catalog._describe_findings(lambda now: replace(now, decisions="0" * 64))


def test_products_that_go_by_an_earlier_decision_stay_where_a_later_one_says_so(catalog: Catalog) -> None:
    """Given a group that was to lose all but one, which is decided about again when it has one more, I expect that not
    both are followed: together they would take every product of the picture away."""
    catalog.duplicates.look()
    before = catalog.duplicates.page().groups[2].id
    assert catalog.duplicates.decide(before, "remove", ["p0"]).to_remove == ("near-a", "near-b")
    put(catalog, product("near-c", 0, 3))
    catalog.duplicates.look()
    after = catalog.duplicates.page(placeholder=False).groups[1].id

    def to_go() -> list[tuple[str, ...]]:
        return [each.to_remove for each in catalog.duplicates.page(decision="remove").groups]

    catalog.duplicates.decide(after, "remove", ["near-a"])
    assert to_go() == [("near-b", "near-c", "p0")]
    catalog.duplicates.decide(after, "keep")
    assert to_go() == []
    catalog.remove(["near-c"])
    with pytest.raises(GroupNotFound):
        catalog.duplicates.decide(before, "distinct")
    catalog.duplicates.undo(after)
    assert to_go() == [("near-a", "near-b")]


def test_of_a_group_that_is_decided_about_again_in_part_no_product_goes_for_one_that_does(catalog: Catalog) -> None:
    """Given that p0 was to stay, and is to go by a later decision about others, I expect near-b, which was to go for
    it, to stay, until somebody decides about it again."""
    catalog.duplicates.look()
    catalog.duplicates.decide(catalog.duplicates.page().groups[2].id, "remove", ["p0"])
    catalog.remove(["near-b"])
    put(catalog, product("near-c", 0, 3))
    catalog.duplicates.look()
    catalog.duplicates.decide(catalog.duplicates.page(placeholder=False).groups[1].id, "remove", ["near-c"])
    put(catalog, product("near-b", 0, 2))
    found = {each.keep: each.to_remove for each in catalog.duplicates.page(decision="remove").groups}
    assert found == {("p0",): (), ("near-c",): ("near-a", "p0")}


def test_the_duplicates_of_a_product_are_found_without_a_scan_and_say_what_was_decided(catalog: Catalog) -> None:
    found = catalog.duplicates.of("p0")
    assert {(each.product_id, each.kind, each.decision) for each in found} == {
        ("near-a", "near_duplicate", None),
        ("near-b", "near_duplicate", None),
    }
    assert all(each.percentile is not None and each.score > 0.9 for each in found)
    assert catalog.duplicates.of("p5") == [] and len(catalog.duplicates.of("none-1")) == COPIES
    catalog.duplicates.look()
    catalog.duplicates.decide(catalog.duplicates.page().groups[2].id, "distinct")
    assert {each.decision for each in catalog.duplicates.of("p0")} == {"distinct"}
    with pytest.raises(ProductNotFound):
        catalog.duplicates.of("nowhere")


def test_products_without_a_picture_are_no_duplicates_and_one_that_goes_meanwhile_stops_nothing(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(catalog, *(Embedding(f"bare-{n}", np.ones(DIM, np.float32), {}) for n in range(3)))
    monkeypatch.setattr(duplicate_scan, "_AT_ONCE", 1)
    gone = iter(["near-a", "same"])

    def report(done: int, total: int) -> None:
        if done == 1:
            catalog.remove(list(gone))

    catalog.duplicates.look(report)
    page = catalog.duplicates.page()
    assert sets(page) == [GROUPS[0], ("near_duplicate", False, {"p0", "near-b"})] and page.stale
    assert catalog.duplicates.of("bare-0") == []


def test_a_list_is_made_once_and_shows_what_is_there(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.duplicates.look()
    get, asked = catalog._index.get, list[list[str]]()

    def counted(product_ids: Sequence[str], **options: Any) -> Any:
        asked.append(sorted(product_ids))
        return get(product_ids, **options)

    monkeypatch.setattr(catalog._index, "get", counted)
    assert sets(catalog.duplicates.page(limit=1)) == GROUPS[:1]
    asked.clear()
    assert sets(catalog.duplicates.page(limit=2)) == GROUPS[:2]
    assert asked == [sorted(GROUPS[0][2] | GROUPS[1][2])], "only the products that are shown"
    catalog.remove(["p1"])
    catalog.duplicates.decide(catalog.duplicates.page().groups[0].id, "keep")
    page = catalog.duplicates.page()
    assert (sets(page), page.total) == (GROUPS[2:], 1)
    assert sets(catalog.duplicates.page(decision="keep")) == GROUPS[:1]
    catalog.remove([f"none-{n}" for n in range(COPIES)])
    assert sets(catalog.duplicates.page(decision="keep")) == [], "one product is no group"


def test_a_list_that_may_be_older_is_made_anew_where_a_product_that_it_shows_has_gone(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicate_lists, "SHARE", 1e-9)
    catalog.duplicates.look()
    assert sets(catalog.duplicates.page()) == GROUPS
    catalog.remove(["p1"])
    page = catalog.duplicates.page()
    assert (sets(page), page.total) == ([GROUPS[0], GROUPS[2]], 2)


def test_what_another_version_has_found_is_not_taken_for_nothing(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.duplicates.look()
    monkeypatch.setattr(found_duplicates, "FORMAT", 2)
    with pytest.raises(FindingNotFound, match="of another version: have it looked through anew"):
        catalog.duplicates.page()
    catalog.duplicates.look()
    assert sets(catalog.duplicates.page()) == GROUPS
