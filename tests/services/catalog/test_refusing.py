"""Puts that refuse duplicates: of other products only, the earlier one wins, and again and again the same."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from shops import Place, shop

from services.catalog.catalog import Catalog
from services.images.decoder import Decoder
from services.index.edge import EdgeIndex
from services.records import Change, ChangeKind, Outcome, State


@cache
def drawing(seed: int, quality: int = 95, *, mirrored: bool = False) -> bytes:
    """A JPEG of soft shapes: another quality is another file, and nearly the same picture."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    soft = Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    (soft.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else soft).save(out, "JPEG", quality=quality)
    return out.getvalue()


def put(product_id: str, image: bytes, version: int | None = None, **attributes: Any) -> Change:
    return Change(product_id, image=image, attributes=attributes, version=version, refuse_duplicates=True)


def codes(outcomes: list[Outcome]) -> dict[str, str]:
    """How changes ended, those that were refused by their code."""
    return {each.product_id: each.code or each.state.value for each in outcomes}


@pytest.fixture(params=["folder", "twin"])
def either(request: pytest.FixtureRequest, tmp_path: Path, twin_url: str, decoder: Decoder) -> Iterator[Catalog]:
    """A catalog with one product, in a folder or on a server."""
    with Place(tmp_path, decoder, {"folder": "", "twin": twin_url}[request.param]).opened() as catalogs:
        made = catalogs.create(shop())
        made.apply([Change("first", image=drawing(1))])
        yield made


@pytest.fixture
def catalog(tmp_path: Path, decoder: Decoder) -> Iterator[Catalog]:
    with Place(tmp_path, decoder).opened() as catalogs:
        made = catalogs.create(shop())
        made.apply([Change("first", image=drawing(1))])
        yield made


def test_a_picture_that_another_product_shows_is_refused_and_says_which_one(either: Catalog) -> None:
    outcomes = either.apply(
        [
            put("same", drawing(1)),
            put("near", drawing(1, quality=60)),
            put("mirrored", drawing(1, mirrored=True)),
            put("other", drawing(2)),
            replace(put("taken", drawing(1, quality=70)), refuse_duplicates=False),
        ]
    )
    assert codes(outcomes) == {
        "same": "duplicate",
        "near": "duplicate",
        "mirrored": "applied",
        "other": "applied",
        "taken": "applied",
    }
    told = {each.product_id: each.message or "" for each in outcomes}
    assert "'same' has the same file as picture as product 'first' (same_bytes)" in told["same"]
    assert "product 'first'" in told["near"] and "without refusing duplicates" in told["near"]
    assert either.held(["same", "near", "mirrored", "other", "taken"]) == {"mirrored", "other", "taken"}


def test_a_product_is_no_duplicate_of_itself_and_what_is_there_already_stays(catalog: Catalog) -> None:
    catalog.apply([Change("second", image=drawing(1))])
    again = [put("second", drawing(1)), put("first", drawing(1), color="red")]
    assert codes(catalog.apply(again)) == {"second": "unchanged", "first": "applied"}
    assert catalog.get("first").attributes == {"color": "red"}
    # A new picture of a product that is there is judged as that of a new one, and it keeps the one that it had.
    assert codes(catalog.apply([put("second", drawing(1, quality=60))])) == {"second": "duplicate"}
    before = catalog.get("second").image
    catalog.remove(["first"])
    assert catalog.get("second").image == before
    assert codes(catalog.apply([put("second", drawing(1, quality=60))])) == {"second": "applied"}


@pytest.mark.parametrize("versions", [(None, None, None), (900, 800, 700), (700, 900, 800)])
def test_in_a_batch_the_earlier_change_wins(catalog: Catalog, versions: tuple[int | None, ...]) -> None:
    pictures = (drawing(5), drawing(5, quality=80), drawing(5, quality=60))
    batch = [put(f"p{at}", picture, versions[at]) for at, picture in enumerate(pictures)]
    found = codes(catalog.apply(batch))
    winner = min(range(3), key=lambda at: versions[at] or at)
    assert found == {f"p{at}": "applied" if at == winner else "duplicate" for at in range(3)}


def test_what_a_batch_removes_is_free_and_what_it_fails_to_replace_is_not(catalog: Catalog) -> None:
    catalog.apply([Change("second", image=drawing(2))])
    batch = [put("second", drawing(1), 901), put("third", drawing(2), 902)]
    assert codes(catalog.apply(batch)) == {"second": "duplicate", "third": "duplicate"}
    batch = [
        Change("first", ChangeKind.DELETE, version=903),
        put("heir", drawing(1), 904),
        put("late", drawing(1), 905),
    ]
    assert codes(catalog.apply(batch)) == {"first": "applied", "heir": "applied", "late": "duplicate"}


def test_a_batch_that_is_applied_again_ends_as_before(catalog: Catalog) -> None:
    """A worker that dies between the write and the record leaves it to another one."""
    catalog.apply([Change("gone", image=drawing(3), version=500), Change("changed", image=drawing(4), version=501)])
    batch = [
        put("a", drawing(5), 901),
        put("b", drawing(5, quality=60), 902),
        put("c", drawing(1), 903),
        put("of-gone", drawing(3), 904),
        put("of-changed", drawing(4), 905),
        Change("gone", ChangeKind.DELETE, version=906),
        put("changed", drawing(6), 907),
    ]
    once = catalog.apply(batch)
    assert codes(once) == {
        "a": "applied",
        "b": "duplicate",
        "c": "duplicate",
        "of-gone": "applied",
        "of-changed": "applied",
        "gone": "applied",
        "changed": "applied",
    }
    assert catalog.apply(batch) == once and catalog.apply(batch) == once


def test_what_does_not_ask_costs_no_search(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[int] = []
    search = EdgeIndex.search_each

    def counted(self: EdgeIndex, vectors: Sequence[Any], **options: Any) -> Any:
        searched.append(len(vectors))
        return search(self, vectors, **options)

    monkeypatch.setattr(EdgeIndex, "search_each", counted)
    catalog.apply([Change(f"p{at}", image=drawing(10 + at)) for at in range(3)])
    catalog.apply([put("p0", drawing(10), color="red"), put("bad", b"no picture")])
    assert searched == []
    assert codes(catalog.apply([put("new", drawing(20)), Change("other", image=drawing(21))])).keys() == {
        "new",
        "other",
    }
    assert sum(searched) == 1, "of the new pictures that ask, alone"


def test_a_patch_with_a_picture_is_not_refused(catalog: Catalog) -> None:
    catalog.apply([Change("second", image=drawing(2))])
    patch = Change("second", ChangeKind.PATCH, image=drawing(1), refuse_duplicates=True)
    assert [each.state for each in catalog.apply([patch])] == [State.APPLIED]


def test_a_product_whose_change_is_refused_keeps_its_picture_from_those_before_it(either: Catalog) -> None:
    either.apply([Change("second", image=drawing(2), version=500)])
    batch = [put("heir", drawing(2, quality=60), 901), put("second", drawing(1), 902), put("late", drawing(3), 903)]
    ends = {"heir": "duplicate", "second": "duplicate", "late": "applied"}
    assert codes(either.apply(batch)) == ends and codes(either.apply(batch)) == ends


STORED = {"p0": 0, "p1": 1, "p2": 2}
"""What products show before a batch: which drawing."""
Wanted = tuple[str, int | None]
"""What a change of a batch wants a product to show; None: it is to go."""
batches = st.lists(
    st.tuples(st.sampled_from([f"p{n}" for n in range(6)]), st.none() | st.integers(0, 4)),
    min_size=1,
    max_size=5,
    unique_by=lambda each: each[0],
)


def one_by_one(batch: Sequence[Wanted]) -> tuple[set[str], set[str]]:
    """Which changes are refused where each is applied after the one before, and because of which products."""
    shown: dict[str, int] = dict(STORED)
    refused, because = set[str](), set[str]()
    for product, wanted in batch:
        others = {other for other, picture in shown.items() if picture == wanted and other != product}
        because |= others
        if others:
            refused.add(product)
        elif wanted is None:
            shown.pop(product, None)
        else:
            shown[product] = wanted
    return refused, because


def after(batch: Sequence[Wanted], refused: set[str]) -> Mapping[str, int | None]:
    """What products show when a batch has been applied; None: they are not there."""
    return STORED | {product: wanted for product, wanted in batch if product not in refused}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches)
# The first takes what the second, which is refused, does not give away.
@example([("p3", 2), ("p2", 1)])
def test_a_batch_ends_as_its_changes_one_after_another_would_and_shows_nothing_twice(
    catalog: Catalog, batch: list[Wanted]
) -> None:
    catalog.remove(["first", *(f"p{n}" for n in range(6))])
    versions = count(catalog._index.max_version() + 1000)
    stored = [Change(each, image=drawing(at), version=next(versions)) for each, at in STORED.items()]
    assert {each.state for each in catalog.apply(stored)} == {State.APPLIED}
    changes = [
        Change(product, ChangeKind.DELETE, version=next(versions))
        if wanted is None
        # Another file than the one that is stored.
        else put(product, drawing(wanted, quality=60 + at), next(versions))
        for at, (product, wanted) in enumerate(batch)
    ]

    def ended() -> set[str]:
        return {each.product_id for each in catalog.apply(changes) if each.code == "duplicate"}

    refused = ended()
    shown = {product: picture for product, picture in after(batch, refused).items() if picture is not None}
    assert len({*shown.values()}) == len(shown), "no picture twice"
    wanted = dict(batch)
    for each in refused:
        assert any(picture == wanted[each] for product, picture in shown.items() if product != each), "for a reason"
    expected, because = one_by_one(batch)
    freed = because & STORED.keys() & wanted.keys() - refused
    assert freed or refused == expected, "what a batch replaces is free whatever its place"
    assert ended() == refused, "applied again it ends as before"


def test_a_product_that_is_judged_again_is_no_duplicate_of_itself(catalog: Catalog) -> None:
    """Its change is refused for the sake of one that is refused in turn, since the picture is kept, and so passes."""
    batch = [put("heir", drawing(1, quality=60), 901), put("first", drawing(1, quality=70), 902)]
    ends = {"heir": "duplicate", "first": "applied"}
    assert codes(catalog.apply(batch)) == ends and codes(catalog.apply(batch)) == ends
