"""Two who change the generations of a catalog at the same time: what is live keeps its vectors; no change is lost."""

import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shops import FIRST, SECOND, Place, applied, assert_same, of_live, script, shop

from services import failpoints
from services.catalog.catalogs import Catalogs
from services.catalog.generations import Generations
from services.catalog.passes import Pass
from services.catalog.switching import dropped
from services.descriptions import AttributeKind, GenerationState, as_live
from services.encoders.encoder import Encoder
from services.errors import GenerationLive, GenerationNotFound, IndexUnavailable
from services.images.decoder import Decoder
from services.records import Embedding, State
from services.testing import load_stub


@pytest.fixture(params=["folder", "twin"])
def place(request: pytest.FixtureRequest, tmp_path: Path, twin_url: str, decoder: Decoder) -> Place:
    return Place(tmp_path, decoder, {"folder": "", "twin": twin_url}[request.param])


@pytest.fixture
def catalogs(place: Place) -> Iterator[Catalogs]:
    """A catalog with a generation that has been built and not switched to."""
    with place.opened() as catalogs:
        catalogs.create(shop())
        applied(lambda: catalogs.get("shop"), script(1, 20))
        Generations(catalogs, "shop").reindex({"encoder": SECOND})
        yield catalogs


def once(act: Callable[[], Any]) -> Callable[[], None]:
    """Acts at the first time that a failpoint is passed."""
    left = [act]

    def acts() -> None:
        if left:
            left.pop()()

    return acts


def states(catalogs: Catalogs) -> list[GenerationState]:
    return [each.state for each in Generations(catalogs, "shop").all()]


def test_a_generation_that_becomes_live_while_it_is_dropped_stays(place: Place, catalogs: Catalogs) -> None:
    found = Generations(catalogs, "shop")
    id = found.candidate()
    with failpoints.enabled("drop", once(lambda: found.promote(id))), pytest.raises(GenerationLive):
        found.drop(id)
    kept = of_live(catalogs.get("shop"))
    assert (found.live(), states(catalogs)) == (id, [GenerationState.LIVE, GenerationState.PREVIOUS])
    assert id in place.names(catalogs)
    found.rollback()
    assert_same(of_live(catalogs.get("shop")) | {"features": {}}, kept | {"features": {}})


def test_one_that_is_due_stays_where_somebody_goes_back_to_it_at_that_moment(catalogs: Catalogs) -> None:
    found = Generations(catalogs, "shop", keep_seconds=0)
    first = found.live()
    found.promote()
    kept = Generations(catalogs, "shop")
    with failpoints.enabled("drop", once(kept.rollback)):
        assert found.tend() == []
    assert (found.live(), states(catalogs)) == (first, [GenerationState.LIVE, GenerationState.PREVIOUS])


def test_what_is_being_dropped_gets_no_change_and_leaves_nothing(place: Place, catalogs: Catalogs) -> None:
    """Whoever drops it was cut off when its vectors were gone."""
    id = Generations(catalogs, "shop").candidate()
    spec = catalogs.describe(catalogs.get("shop").spec, lambda now: dropped(now, id)).spec
    catalogs.remove_vectors(as_live(spec, spec.generations[0]))
    applied(lambda: catalogs.get("shop"), script(2, 10, first=100))
    catalogs.get("shop").declare({"color": AttributeKind.INTEGER})
    catalogs.get("shop").purge(float("inf"), below=None)
    assert catalogs.background.wait(20)
    assert place.names(catalogs) == {spec.generation}
    assert Generations(catalogs, "shop").tend() == [id] and catalogs.get("shop").spec.generations == ()


def test_nothing_is_switched_to_what_is_dropped_meanwhile(catalogs: Catalogs) -> None:
    found = Generations(catalogs, "shop")
    live, id = found.live(), found.candidate()

    def begin_to_drop() -> None:
        catalogs.describe(catalogs.get("shop").spec, lambda now: dropped(now, id))

    with failpoints.enabled("switch", once(begin_to_drop)), pytest.raises(GenerationNotFound):
        found.promote(id)
    assert (found.live(), states(catalogs)) == (live, [GenerationState.LIVE, GenerationState.DROPPED])
    assert found.tend() == [id]


def test_a_switch_that_another_one_gave_up_is_no_switch(catalogs: Catalogs) -> None:
    found = Generations(catalogs, "shop")
    live, id = found.live(), found.candidate()

    passes = 0

    def fail(done: Pass) -> None:
        nonlocal passes
        passes += done.after is None
        if passes == 2:
            raise KeyboardInterrupt

    def other() -> None:
        with pytest.raises(KeyboardInterrupt):
            found.promote(id, watch=fail)

    # From then on a change counts as applied without the generation, so this one must not become the live one.
    with failpoints.enabled("switch", once(other)), pytest.raises(IndexUnavailable):
        found.promote(id)
    assert (found.live(), states(catalogs)) == (live, [GenerationState.LIVE, GenerationState.NEXT])
    found.promote(id)
    assert found.live() == id


def test_what_the_next_one_cannot_have_counts_not_as_applied_while_it_is_switched_to(catalogs: Catalogs) -> None:
    found = Generations(catalogs, "shop")
    first, id = found.live(), found.candidate()
    imported = Embedding("imported", np.ones(1280, np.float32), {})

    def put() -> None:
        # It has no image that could be encoded again, and the pass before the switch is over.
        with pytest.raises(IndexUnavailable, match="'imported'"):
            list(catalogs.get("shop").put_embeddings([imported]))

    with failpoints.enabled("switch", once(put)):
        found.promote(id)
    assert found.live() == id
    found.rollback()
    # One that was live before, and has not all, holds nothing back.
    assert found.live() == first
    [outcome] = catalogs.get("shop").put_embeddings([imported])
    assert outcome.state in (State.APPLIED, State.UNCHANGED)


def test_an_encoder_is_gone_with_the_last_that_works_with_it(place: Place) -> None:
    made: list[tuple[str, weakref.ref[Encoder]]] = []

    def load(name: str, *rest: Any) -> Encoder:
        encoder = load_stub(name, *rest)
        made.append((name, weakref.ref(encoder)))
        return encoder

    def loaded() -> list[str]:
        gc.collect()
        return sorted(name for name, encoder in made if encoder() is not None)

    with place.opened(load) as catalogs:
        for name in ("shop", "other"):
            catalogs.create(shop(name=name))
            catalogs.get(name).load_encoder()
        found = Generations(catalogs, "shop")
        found.reindex({"encoder": SECOND}, promote=True)
        found.drop(found.all()[1].id)
        assert loaded() == [FIRST, SECOND], "the other catalog works with the first"
        found.reindex({"encoder": FIRST, "weights": "random:1"}, promote=True)
        assert loaded() == [FIRST, SECOND], "it can be gone back to the second"
        found.drop(found.all()[1].id)
        assert loaded() == [FIRST]
        catalogs.remove("other")
        assert loaded() == [FIRST]
        catalogs.remove("shop")
        assert loaded() == []
