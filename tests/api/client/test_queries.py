"""Queries, paths and directions of a running service: what is asked of it is answered as the catalog itself does."""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from beside import Beside, beside
from shelf import CHANCE, RED, of, picture
from shelf import shelf as shelf
from waiting import until

from api.client.catalog import RemoteCatalog
from api.client.catalogs import RemoteCatalogs
from services import settings
from services.catalog.axis import stops
from services.catalog.catalog import Catalog
from services.catalog.definition import Definition, Side
from services.errors import DirectionNotFound, DirectionWeak, InvalidQuery, LookalikeError
from services.query.filters import parse
from services.query.query import Query
from services.query.terms import DirectionTerm, ImageTerm, ProductTerm, Term, VectorTerm
from services.records import JobState
from services.testing import load_stub


class Ways(NamedTuple):
    service: Beside
    local: Catalog
    remote: RemoteCatalog


@pytest.fixture(scope="module")
def ways(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    """One catalog, as itself and over HTTP."""
    data = Path(shutil.copytree(shelf, tmp_path_factory.mktemp("ways") / "data"))
    with (
        beside(data, load=load_stub) as service,
        RemoteCatalogs(service.url, settings.load(data=data)) as catalogs,
    ):
        yield Ways(service, service.catalogs.get("products"), catalogs.get("products"))


def product(product_id: str, weight: float = 1.0) -> Term:
    return Term(ProductTerm(product_id), weight)


RED_TERM = Term(DirectionTerm("red"), -0.5)
BLUE = of("blue").filter
SHOWN = ImageTerm(picture("green", "sock", 77), "a.png")
OTHER = ImageTerm(picture("blue", "mug", 78), "b.png")
VECTOR = VectorTerm(np.random.default_rng(1).random(1280, np.float32))

QUERIES = {
    "one": Query(near=(product("mug-red-1"),), limit=3),
    "several": Query(near=(product("mug-red-1"), product("sock-blue-2", -0.5), RED_TERM), explain=True),
    "examples": Query(like=(ProductTerm("mug-red-1"), SHOWN), unlike=(OTHER,), explain=True, limit=4),
    "pictures": Query(near=(Term(OTHER, 2.0), RED_TERM, Term(SHOWN, -1.0)), explain=True, exclude=("mug-blue-1",)),
    "vector": Query(near=(Term(VECTOR), product("mug-red-1", -1)), limit=2),
    "filter": Query(near=(product("mug-red-1"),), filter=BLUE, offset=3, limit=4),
    "none": Query(near=(product("mug-red-1"),), filter=parse({"must": {"key": "color", "match": {"value": "no"}}})),
    "groups": Query(near=(product("mug-red-1"),), group_by="color", group_size=2, limit=2),
    "diverse": Query(near=(product("mug-red-1"),), diversity=0.5, limit=5),
    "reranked": Query(near=(product("mug-red-1"),), rerank=True, min_score=0.2),
    "percentile": Query(near=(product("mug-red-1"),), min_percentile=90.0, limit=50),
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_is_answered_alike(ways: Ways, query: Query) -> None:
    found = ways.remote.query(query)
    assert found == ways.local.query(query)
    assert bool(found.neighbors) == (query is not QUERIES["none"])


@pytest.mark.parametrize(
    ("start", "end"), [(ProductTerm("mug-red-1"), ProductTerm("sock-blue-1")), (SHOWN, OTHER), (SHOWN, VECTOR)]
)
def test_a_path_is_the_same(ways: Ways, start: Any, end: Any) -> None:
    found = ways.remote.path(start, end, 4)
    assert found == ways.local.path(start, end, 4) and len(found.neighbors) == 4
    assert ways.remote.path(start, end, 2, filter=BLUE) == ways.local.path(start, end, 2, filter=BLUE)


@pytest.mark.parametrize("filter", [None, BLUE])
def test_an_axis_has_the_same_stops(ways: Ways, filter: Any) -> None:
    assert stops(ways.remote, "red", 5, filter=filter) == stops(ways.local, "red", 5, filter=filter)


NOT_FINITE = VectorTerm(np.full(1280, np.inf, np.float32))


@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query(near=(product("nothing"),)),
        Query(near=(product("\ud800"),)),
        Query(near=(product("mug-red-1", float("nan")),)),
        Query(near=(product("mug-red-1"), product("mug-red-1", -1))),
        Query(near=(Term(DirectionTerm("blue")),)),
        Query(near=(Term(DirectionTerm("mid century / \udcff" + "x" * 80)),)),
        Query(near=(Term(NOT_FINITE),)),
        Query(near=(Term(VectorTerm(np.ones(3, np.float32))),)),
        Query(near=(Term(ImageTerm(b"no picture")),)),
        Query(near=(product("mug-red-1"),), color_weight=2.0),
        Query(near=(product("mug-red-1"),), group_by="a..b"),
        Query(near=(product("mug-red-1"),), min_percentile=float("nan")),
        Query(near=(product("mug-red-1"),), diversity=0.5, offset=1),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_alike(ways: Ways, query: Query) -> None:
    with pytest.raises(LookalikeError) as own:
        ways.local.query(query)
    with pytest.raises(LookalikeError) as told:
        ways.remote.query(query)
    assert told.value.code == own.value.code, (str(told.value), str(own.value))


def test_more_pictures_than_a_query_takes_are_refused_in_one_sentence(ways: Ways) -> None:
    pictures = tuple(ImageTerm(picture("red", "mug", number), f"{number}.png") for number in range(9))
    for catalog in (ways.local, ways.remote):
        assert len(catalog.query(Query(like=(*pictures[:8], pictures[0]), limit=2)).neighbors) == 2
        with pytest.raises(InvalidQuery, match=r"^The query has 9 pictures; it may have 8\.$"):
            catalog.query(Query(like=pictures))


def test_directions_are_those_of_the_catalog(ways: Ways) -> None:
    learned = ways.remote.directions.learn("socks", Definition(Side(parse(SOCK)), force=True))
    [red, socks] = ways.remote.directions.all()
    assert (red.name, socks) == ("red", learned)
    assert [replace(each, object="", fingerprint=None) for each in ways.local.directions.all()] == [red, socks]
    assert ways.remote.directions.get("red") == (red, RED)
    ways.remote.directions.remove("socks")
    assert ways.remote.directions.all() == (red,)
    for name in ("socks", "\udcff", "a/b"):
        for ask in (ways.remote.directions.get, ways.remote.directions.remove):
            with pytest.raises(DirectionNotFound):
                ask(name)


SOCK = {"must": {"key": "kind", "match": {"value": "sock"}}}


def test_a_direction_that_is_chance_is_refused_alike(ways: Ways) -> None:
    with pytest.raises(DirectionWeak) as own:
        ways.local.directions.learn("chance", Definition(Side(product_ids=CHANCE)))
    with pytest.raises(DirectionWeak) as told:
        ways.remote.directions.learn("chance", Definition(Side(product_ids=CHANCE)))
    assert str(told.value) == str(own.value)


def test_ctrl_c_cancels_what_is_learned(ways: Ways) -> None:
    ways.service.working.clear()
    before = {job.id for job in ways.service.ledger.jobs()[0]}

    def interrupt() -> None:
        until(lambda: {job.id for job in ways.service.ledger.jobs()[0]} > before)
        os.kill(os.getpid(), signal.SIGINT)

    other = meanwhile(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            ways.remote.directions.learn("late", RED)
    finally:
        ways.service.working.set()
        other.join()
    [job] = [job for job in ways.service.ledger.jobs()[0] if job.id not in before]
    assert job.state is JobState.CANCELED


def meanwhile(do: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=do)
    thread.start()
    return thread
