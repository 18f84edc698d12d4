"""Generations: the next one becomes what a catalog made with its encoder would be, whatever happens meanwhile."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from indexes import QDRANT_URL, SERVER
from shops import FIRST, SECOND, Place, applied, assert_same, at_url, of_live, of_other, script, seen, shop

from services import failpoints
from services.catalog.catalogs import Catalogs
from services.catalog.generations import Generations
from services.catalog.passes import Pass
from services.catalog.switching import dropped, switching
from services.descriptions import AttributeKind, GenerationState
from services.encoders.encoder import Encoder
from services.errors import (
    Conflict,
    FetchNotFound,
    GenerationExists,
    GenerationIncomplete,
    GenerationLive,
    GenerationNotFound,
    GenerationUnchanged,
    IndexUnavailable,
    InvalidVector,
    WeightsUnreachable,
)
from services.images.decoder import Decoder
from services.records import Change, ChangeKind, State
from services.testing import load_stub

MadeWith = Callable[[str, Sequence[Change]], dict[str, Any]]


@pytest.fixture(params=["folder", "twin", SERVER])
def place(request: pytest.FixtureRequest, tmp_path: Path, twin_url: str, decoder: Decoder) -> Place:
    return Place(tmp_path, decoder, {"folder": "", "twin": twin_url, "server": QDRANT_URL}[request.param])


@pytest.fixture
def made_with(tmp_path: Path, decoder: Decoder) -> MadeWith:
    """What a catalog has that was made with an encoder from the beginning, out of these changes."""

    def made_with(encoder: str, changes: Sequence[Change]) -> dict[str, Any]:
        with Place(tmp_path / uuid4().hex, decoder).opened() as catalogs:
            catalogs.create(shop(encoder))
            applied(lambda: catalogs.get("shop"), changes)
            return of_live(catalogs.get("shop"))

    return made_with


@pytest.fixture
def catalogs(place: Place) -> Iterator[Catalogs]:
    with place.opened() as catalogs:
        yield catalogs


def generations(catalogs: Catalogs, **options: Any) -> Generations:
    return Generations(catalogs, "shop", page=4, **options)


def states(catalogs: Catalogs) -> list[tuple[str, str]]:
    return [(each.encoder, each.state.value) for each in generations(catalogs).all()]


def settled(catalogs: Catalogs) -> None:
    assert catalogs.background.wait(20)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_built_while_changes_came_is_what_its_encoder_would_have_made(
    catalogs: Catalogs, made_with: MadeWith, seed: int
) -> None:
    changes = script(seed, 45)
    before, meanwhile, after = changes[:20], iter(changes[20:35]), changes[35:]
    catalogs.create(shop())
    applied(lambda: catalogs.get("shop"), before)
    found = generations(catalogs)
    began = found.begin({"encoder": SECOND})

    def change(_: Pass) -> None:
        applied(lambda: catalogs.get("shop"), list(islice(meanwhile, 5)))

    found.build(began.id, watch=change)
    applied(lambda: catalogs.get("shop"), list(meanwhile))
    done = found.promote(began.id)
    assert (done.missing, done.after) == (0, None)
    assert_same(of_live(catalogs.get("shop")), made_with(SECOND, changes[:35]))
    assert_same(of_other(catalogs.get("shop"), found.all()[1].id), made_with(FIRST, changes[:35]))
    applied(lambda: catalogs.get("shop"), after)
    found.rollback()
    assert_same(of_live(catalogs.get("shop")), made_with(FIRST, changes))
    assert_same(of_other(catalogs.get("shop"), began.id), made_with(SECOND, changes))


def test_changes_go_to_both_without_a_further_pass(catalogs: Catalogs, made_with: MadeWith) -> None:
    changes = script(3, 20)
    catalogs.create(shop())
    began = generations(catalogs).begin({"encoder": SECOND})
    for each in changes:
        applied(lambda: catalogs.get("shop"), [each])
        settled(catalogs)
    assert_same(of_other(catalogs.get("shop"), began.id), made_with(SECOND, changes))


@pytest.mark.parametrize("point", ["bring", "brought"])
def test_a_build_that_is_cut_off_at_any_page_goes_on(place: Place, made_with: MadeWith, point: str) -> None:
    changes = script(4, 40)
    with place.opened() as catalogs:
        catalogs.create(shop())
        applied(lambda: catalogs.get("shop"), changes)
        generations(catalogs).begin({"encoder": SECOND})
    ended = False
    pages = cuts = 0

    def cut() -> None:
        nonlocal pages
        pages += 1
        if pages % 2 == 1:
            raise KeyboardInterrupt

    while not ended:
        with place.opened() as catalogs:
            found = generations(catalogs)
            with failpoints.enabled(point, cut):
                try:
                    found.build(found.all()[1].id)
                    ended = True
                except KeyboardInterrupt:
                    cuts += 1
    assert cuts >= 2
    with place.opened() as catalogs:
        found = generations(catalogs)
        assert found.promote().brought == 0
        assert_same(of_live(catalogs.get("shop")), made_with(SECOND, changes))


def test_a_build_goes_on_where_it_stopped(catalogs: Catalogs) -> None:
    catalogs.create(shop())
    applied(lambda: catalogs.get("shop"), [Change(f"p{n}", image=seen(n, n), version=n + 1) for n in range(10)])
    found = generations(catalogs)
    id = found.begin({"encoder": SECOND}).id
    first = found.build(id, stopping=lambda: True)
    assert (first.products, first.brought) == (4, 4) and first.after
    second = found.build(id, after=first.after)
    assert (second.products, second.brought, second.after) == (6, 6, None)
    again = found.build(id)
    assert (again.products, again.brought, again.missing) == (10, 0, 0)


def test_a_promoted_catalog_answers_with_the_new_encoder_only(catalogs: Catalogs) -> None:
    catalogs.create(shop())
    applied(lambda: catalogs.get("shop"), [Change(f"p{n}", image=seen(n, n), version=n + 1) for n in range(5)])
    old = catalogs.get("shop")
    old_vector = np.ones(old.spec.dim, np.float32)
    found = generations(catalogs)
    began = found.begin({"encoder": SECOND})
    found.promote()
    new = catalogs.get("shop")
    assert (new.spec.generation, new.spec.encoder, new.spec.dim) == (began.id, SECOND, 2048)
    assert new.spec.fingerprint == began.fingerprint == f"stub/{SECOND}/imagenet/nearest"
    for catalog in (old, new):
        # A request that began before the switch ends on the generation that it began on.
        [best] = catalog.search_image(seen(3, 3), limit=1)
        assert best.product_id == "p3" and best.score == pytest.approx(1.0, abs=1e-3)
        assert [each.product_id for each in catalog.neighbors("p1")]
    assert len(old.search(old_vector)) == 5
    with pytest.raises(InvalidVector):
        new.search(old_vector)
    assert {point.vector.shape for point in new.points() if point.vector is not None} == {(2048,)}


def test_a_switch_and_back_and_again_loses_no_change(place: Place, made_with: MadeWith) -> None:
    changes = script(5, 40)
    parts = [changes[at : at + 10] for at in range(0, 40, 10)]
    with place.opened() as catalogs:
        catalogs.create(shop())
        applied(lambda: catalogs.get("shop"), parts[0])
        generations(catalogs).begin({"encoder": SECOND})
    for part, switch in zip(parts[1:], ("promote", "rollback", "promote"), strict=True):
        with place.opened() as catalogs:
            getattr(generations(catalogs), switch)()
            applied(lambda catalogs=catalogs: catalogs.get("shop"), part)  # type: ignore[misc]
    with place.opened() as catalogs:
        assert states(catalogs) == [(SECOND, "live"), (FIRST, "previous")]
        assert_same(of_live(catalogs.get("shop")), made_with(SECOND, changes))


def test_a_process_with_an_older_description_loses_nothing(place: Place, made_with: MadeWith) -> None:
    """Given two processes on one server, of which one goes on as if nothing had been switched, I expect its changes in
    the generation that is live, as soon as they count as applied."""
    if not place.is_shared:
        pytest.skip("one process at a time has a data folder open")
    changes = script(6, 35)
    with place.opened() as one, place.opened(fresh_seconds=1000.0) as other:
        one.create(shop())
        old = other.get("shop")
        applied(lambda: old, changes[:15])
        began = generations(one).begin({"encoder": SECOND})
        applied(lambda: old, changes[15:20])
        generations(one).promote()
        for each in changes[20:]:
            [outcome] = old.apply([each])
            live = one.get("shop")
            point = {p.product_id: p.version for p in live.points()} | {
                t.product_id: t.version for t in live.tombstones()
            }
            assert outcome.state is State.FAILED or point[each.product_id] >= (each.version or 0)
        assert one.get("shop").spec.generation == began.id
        assert_same(of_live(one.get("shop")), made_with(SECOND, changes))


def test_who_searches_and_writes_while_it_is_switched_notices_nothing(place: Place, made_with: MadeWith) -> None:
    """Given writers and readers in as many processes as the place allows, if generations are switched to and fro, then
    no request fails, none is answered by two generations, and each change is in the live one when it counts."""
    changes = script(7, 50)
    with ExitStack() as stack:
        one = stack.enter_context(place.opened())
        other = stack.enter_context(place.opened(fresh_seconds=0.5)) if place.is_shared else one
        one.create(shop())
        applied(lambda: one.get("shop"), changes[:10])
        generations(one).begin({"encoder": SECOND})
        ended = threading.Event()

        def write() -> None:
            for each in changes[10:]:
                [outcome] = other.get("shop").apply([each])
                [now] = one.renewed("shop")._index.versions([each.product_id])
                assert outcome.state is State.FAILED or (now or 0) >= (each.version or 0), each

        def search() -> int:
            count = 0
            while not ended.is_set():
                catalog = other.get("shop")
                vectors = {point.product_id: point for point in catalog.points()}
                for product_id in list(vectors)[:2]:
                    assert np.asarray(vectors[product_id].vector).shape == (catalog.spec.dim,)
                    catalog.search(np.asarray(vectors[product_id].vector))
                catalog.search_image(seen(1, 1))
                count += 1
            return count

        with ThreadPoolExecutor(2) as pool:
            writing, searching = pool.submit(write), pool.submit(search)
            switches = 0
            while not writing.done():
                (generations(one).promote if switches == 0 else generations(one).rollback)()
                switches += 1
            ended.set()
            writing.result()
            assert searching.result() > 0
        generations(one).rollback()
        encoder = one.get("shop").spec.encoder
        assert_same(of_live(one.get("shop")), made_with(encoder, changes))
        assert {each.state for each in generations(one).all()[1:]} == {GenerationState.PREVIOUS} and switches > 0


def test_what_fails_in_the_next_one_changes_no_outcome(place: Place) -> None:
    def load(name: str, *rest: Any) -> Encoder:
        if name == SECOND and broken:
            raise WeightsUnreachable("The weights cannot be had; try again.")
        return load_stub(name, *rest)

    broken = False
    with place.opened(load) as catalogs:
        catalogs.create(shop())
        generations(catalogs).begin({"encoder": SECOND})
    broken = True
    with place.opened(load) as catalogs:
        assert catalogs.get("shop").apply([Change("p1", image=seen(1, 1))])[0].state is State.APPLIED
        settled(catalogs)
        found = generations(catalogs)
        with pytest.raises(WeightsUnreachable):
            found.promote()
        assert states(catalogs) == [(FIRST, "live"), (SECOND, "next")]
    broken = False
    with place.opened(load) as catalogs:
        generations(catalogs).promote()
        assert catalogs.get("shop").count() == 1


def test_a_change_in_the_middle_of_a_switch_counts_when_both_have_it(catalogs: Catalogs) -> None:
    catalogs.create(shop())
    catalogs.get("shop").apply([Change("p1", image=seen(1, 1), version=1)])
    found = generations(catalogs)
    id = found.begin({"encoder": SECOND}).id
    found.build(id)

    def refuse() -> None:
        raise IndexUnavailable("away")

    catalogs.describe(catalogs.get("shop").spec, lambda now: switching(now, id))
    with failpoints.enabled("bring", refuse), pytest.raises(IndexUnavailable):
        catalogs.get("shop").apply([Change("p1", image=seen(2, 1), version=2)])
    # Applied again, it is as it was, and goes to the other one, too.
    assert catalogs.get("shop").apply([Change("p1", image=seen(2, 1), version=2)])[0].state is State.APPLIED
    assert of_other(catalogs.get("shop"), id)["points"]["p1"][0] == 2


def test_products_without_an_original_are_named_and_nothing_is_switched(place: Place) -> None:
    with place.opened(media_keep="none") as catalogs:
        catalogs.create(shop())
        applied(lambda: catalogs.get("shop"), [Change(f"p{n}", image=seen(n, n), version=n + 1) for n in range(3)])
        found = generations(catalogs)
        began = found.begin({"encoder": SECOND})
        done = found.build(began.id)
        assert (done.products, done.brought, done.missing, done.faults) == (3, 0, 3, {"media_not_found": 3})
        assert {each.product_id for each in done.examples} == {"p0", "p1", "p2"}
        with pytest.raises(GenerationIncomplete, match="lacks 3 of 3 products"):
            found.promote()
        assert states(catalogs) == [(FIRST, "live"), (SECOND, "next")]
        # The bytes of a change are at hand, and go to both.
        applied(lambda: catalogs.get("shop"), [Change("p1", image=seen(4, 1), version=9)])
        settled(catalogs)
        assert found.promote(allow_missing=True).missing == 2
        assert [point.product_id for point in catalogs.get("shop").points()] == ["p1"]
        assert found.rollback().missing == 0
        assert catalogs.get("shop").count() == 3


def test_originals_that_are_not_kept_are_fetched_again(place: Place) -> None:
    with place.opened(media_keep="none") as catalogs:
        catalogs.create(shop())
        applied(lambda: catalogs.get("shop"), [Change(f"p{n}", image=at_url(n, n), version=n + 1) for n in range(4)])
        found = generations(catalogs)
        id = found.begin({"encoder": SECOND}).id
        before = of_live(catalogs.get("shop"))
        moved, gone = at_url(2, 2).url, at_url(3, 3).url
        place.fetcher.images |= {moved: seen(4, 3), gone: FetchNotFound("It is not there.")}
        done = found.build(id)
        assert (done.products, done.brought, done.changed) == (4, 3, ("p2",))
        assert [(each.product_id, each.code) for each in done.examples] == [("p3", "fetch_not_found")]
        # What the URL gives now is the product's image in both, at its version and with its attributes.
        here, there = of_live(catalogs.get("shop")), of_other(catalogs.get("shop"), id)
        assert here["points"]["p2"][2] == sha256(seen(4, 3)).hexdigest() and here["points"]["p2"][0] == 3
        assert [here["points"][each] for each in ("p0", "p1", "p3")] == [
            before["points"][each] for each in ("p0", "p1", "p3")
        ]
        assert there["points"] == {each: here["points"][each] for each in ("p0", "p1", "p2")}
        assert catalogs.get("shop").search_image(seen(4, 3))[0].product_id == "p2"
        # Again, only what is missing is looked at.
        fetched = place.fetcher.fetched.total()
        assert found.build(id).changed == () and place.fetcher.fetched.total() == fetched + 1


def test_a_product_that_changes_while_its_url_is_fetched_keeps_the_change(place: Place, made_with: MadeWith) -> None:
    with place.opened(media_keep="none") as catalogs:
        catalogs.create(shop())
        applied(lambda: catalogs.get("shop"), [Change("p1", image=at_url(1, 1), attributes={"n": 1}, version=1)])
        found = generations(catalogs)
        id = found.begin({"encoder": SECOND}).id
        newer = [Change("p1", image=seen(3, 3), attributes={"n": 2}, version=2)]
        left = iter([newer])

        class Moved:
            def fetch(self, url: str) -> bytes:
                applied(lambda: catalogs.get("shop"), next(left, []))
                return seen(4, 3)

            def close(self) -> None:
                """Nothing to close."""

        catalogs.intake.fetcher = Moved()
        done = found.build(id)
        settled(catalogs)
        assert done.changed == ()
        for encoder, told in ((FIRST, of_live(catalogs.get("shop"))), (SECOND, of_other(catalogs.get("shop"), id))):
            assert_same(told, made_with(encoder, newer))


def test_bytes_at_hand_are_not_fetched_again(place: Place) -> None:
    with place.opened(media_keep="none") as catalogs:
        catalogs.create(shop())
        id = generations(catalogs).begin({"encoder": SECOND}).id
        applied(lambda: catalogs.get("shop"), [Change("p1", image=at_url(1, 1), version=1)])
        settled(catalogs)
        assert of_other(catalogs.get("shop"), id)["points"].keys() == {"p1"}
        assert place.fetcher.fetched.total() == 1


def test_a_change_right_after_a_switch_counts_when_both_have_it(catalogs: Catalogs) -> None:
    catalogs.create(shop())
    found = generations(catalogs)
    found.begin({"encoder": SECOND})
    found.promote()
    change = Change("p1", image=seen(1, 1), version=1)
    with failpoints.enabled("bring", _refuse):
        # Another process may still take the other one for the live one, and reads there what it patches.
        with pytest.raises(IndexUnavailable):
            catalogs.get("shop").apply([change])
        long_ago = "2026-01-01T00:00:00Z"
        spec = catalogs.get("shop").spec
        catalogs.describe(spec, lambda now: replace(now, generations=(replace(now.generations[0], since=long_ago),)))
        assert catalogs.get("shop").apply([change])[0].state is State.APPLIED
        settled(catalogs)


def test_what_was_dropped_leaves_nothing_behind(place: Place) -> None:
    with place.opened() as catalogs:
        first = catalogs.create(shop()).spec.generation
        applied(lambda: catalogs.get("shop"), [Change("p1", image=seen(1, 1), version=1)])
        found = generations(catalogs)
        second = found.begin({"encoder": SECOND}).id
        found.build(second)
        assert place.names(catalogs) == {first, second}
        found.drop(second)
        assert place.names(catalogs) == {first} and states(catalogs) == [(FIRST, "live")]
        for call in (found.build, found.promote, found.drop):
            with pytest.raises(GenerationNotFound):
                call(second)
        with pytest.raises(GenerationLive):
            found.drop(first)
        third = found.begin({"encoder": SECOND}).id
        found.promote()
        found.drop(first)
        assert place.names(catalogs) == {third}
        assert catalogs.get("shop").search_image(seen(1, 1))[0].product_id == "p1"
    with place.opened() as catalogs:
        assert catalogs.get("shop").count() == 1
        with pytest.raises(GenerationNotFound, match="none to go back to"):
            generations(catalogs).rollback()
        catalogs.remove("shop")
        assert place.names(catalogs) == set()


def test_a_catalog_is_removed_with_all_its_generations(place: Place, catalogs: Catalogs) -> None:
    catalogs.create(shop())
    found = generations(catalogs)
    found.build(found.begin({"encoder": SECOND}).id)
    catalogs.remove("shop")
    assert place.names(catalogs) == set()


def test_a_drop_that_was_cut_off_is_done_by_upkeep(place: Place) -> None:
    with place.opened() as catalogs:
        first = catalogs.create(shop()).spec.generation
        found = generations(catalogs)
        second = found.begin({"encoder": SECOND}).id
        catalogs.describe(catalogs.get("shop").spec, lambda now: dropped(now, second))
    with place.opened() as catalogs:
        assert generations(catalogs).tend() == [second]
        assert place.names(catalogs) == {first} and states(catalogs) == [(FIRST, "live")]


def test_a_previous_one_is_dropped_when_it_is_due(place: Place, catalogs: Catalogs) -> None:
    first = catalogs.create(shop()).spec.generation
    kept, due = generations(catalogs), generations(catalogs, keep_seconds=0.0)
    second = kept.begin({"encoder": SECOND}).id
    kept.promote()
    assert kept.tend() == []
    due.rollback()
    assert due.tend() == [second] and place.names(catalogs) == {first}


def test_one_next_generation_at_a_time_and_none_like_the_live_one(catalogs: Catalogs) -> None:
    catalogs.create(shop())
    found = generations(catalogs)
    with pytest.raises(GenerationUnchanged, match=f"is made with {FIRST} random:1 nearest head already"):
        found.check({})
    catalogs.get("shop").load_encoder()
    for same in ({}, {"encoder": FIRST, "weights": "random:1"}, {"resample": "nearest"}):
        with pytest.raises(GenerationUnchanged):
            found.begin(same)  # type: ignore[arg-type]
    for none in (found.promote, found.rollback):
        with pytest.raises(GenerationNotFound):
            none()
    id = found.begin({"resample": "bilinear"}).id
    with pytest.raises(GenerationExists, match=id):
        found.begin({"encoder": SECOND})
    found.promote()
    with pytest.raises(Conflict, match="the live one already"):
        found.promote(id)
    assert catalogs.get("shop").spec.resample == "bilinear"


def test_what_is_declared_and_purged_is_so_in_all(catalogs: Catalogs) -> None:
    catalogs.create(shop())
    found = generations(catalogs)
    id = found.begin({"encoder": SECOND}).id
    catalog = catalogs.get("shop")
    catalog.declare({"color": AttributeKind.KEYWORD})
    applied(
        lambda: catalog,
        [
            Change("p1", image=seen(1, 1), attributes={"color": "red"}, version=1),
            Change("p2", image=seen(2, 2), version=2),
        ],
    )
    found.build(id)
    # The removal has not come to the other one when it is forgotten.
    with failpoints.enabled("bring", _refuse):
        applied(lambda: catalog, [Change("p2", ChangeKind.DELETE, version=3)])
        settled(catalogs)
    assert of_other(catalog, id)["points"].keys() == {"p1", "p2"}
    assert catalog.purge(float("inf"), below=None) == 1
    assert of_other(catalog, id)["points"].keys() == {"p1"} and of_other(catalog, id)["removed"] == {}
    found.promote()
    assert [(each.value, each.count) for each in catalogs.get("shop").facets("color")] == [("red", 1)]


def test_versions_go_on_after_a_switch(catalogs: Catalogs) -> None:
    catalogs.create(shop())
    catalogs.get("shop").apply([Change(f"p{n}", image=seen(n, n)) for n in range(3)])
    found = generations(catalogs)
    found.begin({"encoder": SECOND})
    found.promote()
    catalog = catalogs.get("shop")
    last = catalog.max_version()
    catalog.apply([Change("p9", image=seen(1, 2))])
    assert catalog.get("p9").version > last


def _refuse() -> None:
    raise IndexUnavailable("away")


def test_an_image_that_changed_at_its_url_comes_to_the_previous_one_too(place: Place) -> None:
    with place.opened(media_keep="none") as catalogs:
        first = catalogs.create(shop()).spec.generation
        applied(lambda: catalogs.get("shop"), [Change("p1", image=at_url(1, 1), version=1)])
        found = generations(catalogs)
        found.begin({"encoder": SECOND})
        found.promote()
        third = found.begin({"encoder": SECOND, "resample": "bilinear"}).id
        place.fetcher.images[at_url(1, 1).url] = seen(3, 3)
        assert found.build(third).changed == ("p1",)
        new = sha256(seen(3, 3)).hexdigest()
        assert of_other(catalogs.get("shop"), first)["points"]["p1"][2] != new
        assert found.build(first).brought == 1 and found.build(first).brought == 0
        assert {told["points"]["p1"][:3:2] for told in (
            of_live(catalogs.get("shop")), *(of_other(catalogs.get("shop"), each) for each in (first, third))
        )} == {(1, new)}  # fmt: skip
        assert found.rollback().missing == 0
        assert catalogs.get("shop").search_image(seen(3, 3))[0].score == pytest.approx(1.0, abs=1e-3)


def test_a_copy_has_the_live_generation_only(
    place: Place, catalogs: Catalogs, tmp_path: Path, decoder: Decoder
) -> None:
    catalogs.create(shop())
    applied(lambda: catalogs.get("shop"), [Change("p1", image=at_url(1, 1), version=1)])
    generations(catalogs).begin({"encoder": SECOND})
    with Place(tmp_path / "copy", decoder).opened() as there:
        copy = there.adopt(catalogs.get("shop").spec)
        assert copy.copy(catalogs.get("shop").points(), catalogs.intake.media) == 1
        assert states(there) == [(FIRST, "live")]
        assert_same(of_live(copy), of_live(catalogs.get("shop")))
        generations(there).begin({"encoder": SECOND})
        assert generations(there).promote().missing == 0
