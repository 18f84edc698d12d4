"""What duplicates are, what groups they make, and what decisions settle of these."""

import re
from dataclasses import replace
from itertools import combinations
from random import Random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.errors import DataCorrupt
from services.explore.decisions import DECISIONS, Decided, Decisions
from services.explore.decisions import from_bytes as decisions_from
from services.explore.duplicates import Link, Pairs, Pictures, components, group_id, kind_of, links, pair
from services.explore.found_duplicates import FoundDuplicates, from_bytes
from services.explore.kinds import KINDS
from services.hashes import perceptual
from services.query.likeness import Hashes

ONE, OTHER = "a" * 64, "b" * 64
BITS = np.arange(64).reshape(8, 8) % 2 == 0


def seen(color: float = 20, bits: int = 0) -> str:
    """The perceptual hash of a picture of one color, with so many bits changed."""
    changed = BITS.copy().reshape(-1)
    changed[:bits] = ~changed[:bits]
    return perceptual(changed, np.full((8, 8, 3), (50.0, color, 0.0)))


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (Hashes(ONE, None), Hashes(ONE, None), "same_bytes"),
        (Hashes(ONE, seen()), Hashes(OTHER, seen()), "same_picture"),
        (Hashes(None, seen()), Hashes(None, seen()), "same_picture"),
        (Hashes(ONE, seen(20)), Hashes(OTHER, seen(bits=22)), "near_duplicate"),
        (Hashes(ONE, seen(20)), Hashes(OTHER, seen(23)), None),
        (Hashes(ONE, seen()), Hashes(OTHER, seen(bits=23)), None),
        (Hashes(None, None), Hashes(None, None), None),
        (Hashes(ONE, seen()), Hashes(OTHER, None), None),
    ],
)
def test_what_two_pictures_are_is_said_by_their_hashes(one: Hashes, other: Hashes, kind: str | None) -> None:
    assert kind_of(one, other) == kind_of(other, one) == kind


PICTURES = [f"{number:x}" * 64 for number in range(4)]


def plain(pictures: Pictures, pairs: Pairs, decisions: Decisions) -> list[Link]:
    """All links there are, one by one, of all pairs of products."""
    of = {product: picture for picture, products in pictures.items() for product in products}
    found = []
    for one, other in combinations(sorted(of), 2):
        kind = "same_bytes" if of[one] == of[other] else pairs.get(pair(of[one], of[other]))
        both = [
            each
            for each in decisions.all
            if each.pictures.get(one) == of[one] and each.pictures.get(other) == of[other]
        ]
        if kind and not (both and both[-1].decision == "distinct"):
            found.append(Link(one, other, kind, bool(both)))
    return found


def hanging_together(links: list[Link]) -> set[tuple[frozenset[str], str, bool]]:
    """Components by growing them, and their kind by leaving out weak links while they hold."""

    def grown(links: list[Link]) -> set[frozenset[str]]:
        sets = [{link.one, link.other} for link in links]
        for _ in sets:
            sets = [set().union(*(other for other in sets if other & each)) for each in sets]
        return {frozenset(each) for each in sets}

    found = set()
    for whole in grown(links):
        inside = [link for link in links if link.one in whole]
        for at, kind in enumerate(KINDS):
            if whole in grown([link for link in inside if KINDS.index(link.kind) <= at]):
                found.add((whole, kind, any(not link.is_settled for link in inside)))
                break
    return found


@st.composite
def cases(draw: st.DrawFn) -> tuple[Pictures, Pairs, Decisions]:
    products = [f"p{number}" for number in range(draw(st.integers(0, 7)))]
    now = {product: draw(st.sampled_from(PICTURES)) for product in products}
    pictures = {each: [product for product in products if now[product] == each] for each in PICTURES}
    pairs = {
        each: kind
        for each in combinations(PICTURES, 2)
        if (kind := draw(st.sampled_from([None, "same_picture", "near_duplicate"])))
    }
    decided = []
    for number in range(draw(st.integers(0, 3)) if products else 0):
        some = draw(st.lists(st.sampled_from(products), min_size=1, max_size=4, unique=True))
        then = {each: draw(st.sampled_from([now[each], now[each], PICTURES[0]])) for each in some}
        decided.append(Decided(str(number), draw(st.sampled_from(DECISIONS)), "same_bytes", then, (), "now"))
    return pictures, pairs, Decisions(decided)


TOLD_APART = Decided("x", "distinct", "same_bytes", {"p0": PICTURES[0], "p1": PICTURES[0]}, (), "now")


@example(
    (
        {PICTURES[0]: ["p0", "p1"], PICTURES[1]: ["p2"]},
        {(PICTURES[0], PICTURES[1]): "near_duplicate"},
        Decisions([TOLD_APART]),
    )
)
@given(cases())
def test_few_links_make_the_groups_that_all_links_make(case: tuple[Pictures, Pairs, Decisions]) -> None:
    found = components(links(*case))
    whole = {(frozenset(each.products), each.kind, each.is_open) for each in found}
    assert whole == hanging_together(plain(*case)) and len(whole) == len(found)


@example(
    (
        {PICTURES[0]: ["p0", "p1"], PICTURES[1]: ["p2"]},
        {(PICTURES[0], PICTURES[1]): "near_duplicate"},
        Decisions(
            [
                Decided("0", "distinct", "same_bytes", {"p0": PICTURES[0], "p1": PICTURES[0]}, (), "now"),
                Decided("1", "distinct", "same_bytes", {"p0": PICTURES[0], "p2": PICTURES[1]}, (), "now"),
            ]
        ),
    )
)
@given(cases())
def test_a_group_that_was_decided_about_is_open_no_more_until_a_product_comes(
    case: tuple[Pictures, Pairs, Decisions],
) -> None:
    pictures, pairs, decisions = case
    of = {product: picture for picture, products in pictures.items() for product in products}
    for group in [each for each in components(links(*case)) if each.is_open]:
        for decision in DECISIONS:
            then = {each: of[each] for each in group.products}
            decided = decisions.having(Decided("x", decision, group.kind, then, (), "now"))
            after = components(links(pictures, pairs, decided))
            assert not [each for each in after if each.is_open and {*each.products} & {*group.products}]
            more = {**pictures, then[group.products[0]]: [*pictures[then[group.products[0]]], "new"]}
            [reopened] = [each for each in components(links(more, pairs, decided)) if "new" in each.products]
            assert reopened.is_open and group.products[0] in reopened.products
            if decision != "distinct":
                # And those that were told apart from all of them before, but not from the new one.
                assert {*reopened.products} >= {*group.products, "new"}
            changed = {**pictures, "f" * 64: ["elsewhere"]}
            assert components(links(changed, pairs, decided)) == after


def test_a_thousand_products_of_one_picture_make_as_many_links() -> None:
    """Given a placeholder on all of them, pairs of it with others, and a decision about a half, I expect links that are
    few: half a million pairs would be looked at for each list."""
    products = [f"p{number}" for number in range(1000)]
    decided = Decided("x", "keep", "same_bytes", dict.fromkeys(products[::2], PICTURES[0]), (), "now")
    pictures = {PICTURES[0]: products, PICTURES[1]: ["other"]}
    found = [*links(pictures, {(PICTURES[0], PICTURES[1]): "near_duplicate"}, Decisions([decided]))]
    assert len(found) <= 1010
    [whole] = components(found)
    assert (len(whole.products), whole.kind, whole.is_open) == (1001, "near_duplicate", True)


@given(st.lists(st.text(), unique=True), st.randoms())
def test_a_group_is_called_by_its_products_in_whatever_order(products: list[str], random: Random) -> None:
    shuffled = random.sample(products, len(products))
    assert group_id(products) == group_id(shuffled) and re.fullmatch("[0-9a-f]{16}", group_id(products))
    assert group_id(products) != group_id([*products, "one more \ud800"])
    assert group_id(["ab", "c"]) != group_id(["a", "bc"])


def test_decisions_are_the_same_file_for_the_same_decisions_and_come_back() -> None:
    first = Decided("a", "remove", "same_bytes", {"b": ONE, "a": ONE}, ("a",), "2026-01-01T00:00:00Z")
    other = Decided("b", "distinct", "near_duplicate", {"\ud800": ONE, "c": OTHER}, (), "2026-01-02T00:00:00Z")
    decisions = Decisions([first, other])
    turned = Decisions([replace(first, pictures={"a": ONE, "b": ONE}), other])
    assert decisions_from(decisions.to_bytes()).all == decisions.all and turned.to_bytes() == decisions.to_bytes()
    assert decisions.having(replace(first, decision="keep")).all == (other, replace(first, decision="keep"))
    assert decisions.without("a").without("b").to_bytes() is None and decisions_from(None).all == ()
    for wrong in (b"", b"[]", b'{"format":2,"duplicates":[]}', b'{"format":1,"duplicates":[{"id":"a"}]}'):
        with pytest.raises(DataCorrupt, match="decided about duplicates is damaged"):
            decisions_from(wrong)


def test_what_a_scan_found_is_the_same_file_whatever_order_it_was_found_in() -> None:
    looked = np.array([5, 2**64 - 1, 1], np.uint64)
    pairs: Pairs = {(ONE, OTHER): "near_duplicate", (ONE, seen()): "same_picture"}
    found = FoundDuplicates(looked, {ONE: ("b", "a"), OTHER: ("c",), seen(): ("d",)}, pairs)
    turned = FoundDuplicates(looked[::-1], dict(reversed(found.pictures.items())), dict(reversed(pairs.items())))
    assert found.to_bytes() == turned.to_bytes()
    again = from_bytes(found.to_bytes())
    assert again is not None and again.looked.tolist() == [1, 5, 2**64 - 1]
    assert again.pictures == {ONE: ("a", "b"), OTHER: ("c",), seen(): ("d",)} and again.pairs == pairs
    assert [from_bytes(wrong) for wrong in (b"", b"PK", found.to_bytes()[:-30])] == [None] * 3
