"""Catalogs on a Qdrant server, of two processes that know nothing of each other."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from proxy import Proxy
from redis import Redis
from workshop import until

from services import bootstrap, settings
from services.catalog.catalogs import Catalogs
from services.catalog.opening import new_spec
from services.catalog.sharing import FRESH_SECONDS, Exclusive
from services.descriptions import AttributeKind, CatalogSpec, Features, Resample
from services.encoders.encoder import Encoder
from services.errors import CatalogExists, CatalogNotFound, DataCorrupt, EncoderMismatch, IndexUnavailable
from services.ledger import Ledger, Store
from services.records import Change
from services.settings import Settings
from services.testing import StubEncoder, load_stub, picture

Make = Callable[..., Catalogs]


@pytest.fixture
def make(tmp_path: Path, twin_url: str) -> Iterator[Make]:
    """Opens the catalogs of one more process, on folders that share nothing but media."""
    prefix = f"test-{uuid4().hex[:8]}"
    with ExitStack() as stack:

        def make(
            load: bootstrap.Load = load_stub,
            exclusive: Exclusive = nullcontext,
            fresh_seconds: float = FRESH_SECONDS,
            **options: object,
        ) -> Catalogs:
            of_its_own = {"data": tmp_path / uuid4().hex, "media": str(tmp_path / "media"), "decode_processes": 1}
            given = settings.load(**{"qdrant_url": twin_url, "qdrant_prefix": prefix} | of_its_own | options)
            catalogs = bootstrap.catalogs(given, load=load, exclusive=exclusive, fresh_seconds=fresh_seconds)
            return stack.enter_context(catalogs)

        yield make


def shoes(name: str = "shoes", **options: str) -> CatalogSpec:
    return new_spec(name, "efficientnet_lite0", "random:1", "nearest", **options)  # type: ignore[arg-type]


def sees(catalogs: Catalogs, name: str) -> str | None:
    """The ID of a catalog of that name."""
    try:
        return catalogs.get(name).spec.id
    except CatalogNotFound:
        return None


def test_what_one_does_the_other_sees(make: Make) -> None:
    one, other = make(), make()
    made = one.create(shoes())
    assert list(one.get("shoes").put([Change("red", image=picture((255, 0, 0)), attributes={"color": "red"})]))
    assert other.specs() == one.specs() and other.get("shoes").count() == 1
    assert other.by_id(made.spec.id).neighbors("red") == []
    one.get("shoes").declare({"color": AttributeKind.KEYWORD})
    until(lambda: other.get("shoes").spec.indexed_attributes == {"color": AttributeKind.KEYWORD})
    assert other.get("shoes").spec == one.get("shoes").spec
    assert other.get("shoes").image("red") == picture((255, 0, 0))
    with pytest.raises(CatalogExists):
        other.create(shoes())


def test_a_description_that_was_read_before_takes_no_declaration_back(make: Make) -> None:
    one, other = make(fresh_seconds=1000), make(fresh_seconds=1000)
    one.create(shoes())
    late = other.get("shoes")
    list(one.get("shoes").put([Change("red", image=picture((255, 0, 0)), attributes={"color": 7})]))
    assert one.get("shoes").declare({"color": AttributeKind.KEYWORD})["color"].products == 1
    late.load_encoder()
    late.declare({"sale": AttributeKind.BOOL})
    assert make().get("shoes").spec.indexed_attributes == {
        "color": AttributeKind.KEYWORD,
        "sale": AttributeKind.BOOL,
    }


def test_a_catalog_removed_and_made_again_is_another_everywhere(make: Make) -> None:
    one, other = make(), make()
    first = one.create(shoes()).spec.id
    assert sees(other, "shoes") == first
    one.remove("shoes")
    until(lambda: sees(other, "shoes") is None)
    with pytest.raises(CatalogNotFound):
        other.by_id(first)
    second = one.create(shoes()).spec.id
    until(lambda: sees(other, "shoes") == second)
    with pytest.raises(CatalogNotFound):
        other.by_id(first)
    # Where the other has looked away for the whole of it.
    one.remove("shoes")
    third = one.create(shoes()).spec.id
    until(lambda: sees(other, "shoes") == third)
    assert other.by_id(third).count() == 0


def test_the_first_encoder_is_the_catalogs(make: Make) -> None:
    def another(name: str, weights: str, resample: Resample, settings: Settings, features: Features) -> Encoder:
        return StubEncoder("another", size=224, dim=1280)

    one, other = make(), make(another)
    one.create(shoes())
    late = other.get("shoes")
    one.get("shoes").load_encoder()
    with pytest.raises(EncoderMismatch, match="this encoder makes another"):
        late.load_encoder()
    assert (
        one.get("shoes").spec.fingerprint == other.specs()[0].fingerprint == "stub/efficientnet_lite0/random:1/nearest"
    )


def test_of_two_encoders_at_once_one_is_the_catalogs(make: Make, redis: Redis) -> None:
    """Given two workers whose weights differ, if both look at a new catalog before either has described it, I expect
    one of them to be refused: vectors never mix."""
    ledger = Ledger(Store(redis))
    together = threading.Barrier(2)

    def encoders(fingerprint: str) -> bootstrap.Load:
        return lambda *_: StubEncoder(fingerprint, size=224, dim=1280)

    both = [make(encoders(each), exclusive=ledger.exclusive) for each in ("one", "another")]
    both[0].create(shoes())

    def describe(catalogs: Catalogs) -> str:
        catalog, look = catalogs.get("shoes"), catalogs.registry.catalog

        def look_together(name: str) -> CatalogSpec:
            found = look(name)
            with suppress(threading.BrokenBarrierError):
                together.wait(0.5)
            return found

        catalogs.registry.catalog = look_together  # type: ignore[method-assign]
        try:
            catalog.load_encoder()
        except EncoderMismatch:
            return "refused"
        return str(catalog.spec.fingerprint)

    with ThreadPoolExecutor(2) as pool:
        ends = sorted(pool.map(describe, both))
    assert ends.count("refused") == 1
    assert make().specs()[0].fingerprint in ends


def test_a_process_that_waits_for_another_opens_other_catalogs_meanwhile(make: Make) -> None:
    waits, may_go = threading.Event(), threading.Event()

    @contextmanager
    def exclusive(name: str) -> Iterator[None]:
        waits.set()
        assert may_go.wait(20)
        yield

    bags = make().create(shoes("bags")).spec
    one = make(exclusive=exclusive)
    with ThreadPoolExecutor(2) as pool:
        try:
            adopted = pool.submit(one.adopt, shoes())
            assert waits.wait(10)
            assert pool.submit(one.get, "bags").result(10).spec == bags
        finally:
            may_go.set()
        assert adopted.result(10).spec.name == "shoes"


def test_vectors_of_another_length_than_the_encoders_are_refused(make: Make) -> None:
    one = make()
    one.registry.create(new_spec("shoes", "inception_v3", "random:1", "nearest"))
    [described] = one.specs()
    one.registry.remove("shoes")
    fields = {name: getattr(described, name) for name in described.__slots__}
    one.registry.create(CatalogSpec(**fields | {"dim": 7}))
    with pytest.raises(DataCorrupt, match="vectors of 7 numbers, and inception_v3 makes 2048"):
        one.get("shoes")


def test_no_data_folder_is_locked_or_made(make: Make, tmp_path: Path) -> None:
    make(data=tmp_path / "data").create(shoes())
    make(data=tmp_path / "data").specs()
    assert not (tmp_path / "data").exists()


def test_a_server_that_hangs_keeps_all_waiting_together_and_not_one_after_the_other(make: Make, twin_url: str) -> None:
    with Proxy(("127.0.0.1", urlsplit(twin_url).port or 0)) as proxy:
        catalogs = make(fresh_seconds=0.0, qdrant_url=f"http://127.0.0.1:{proxy.port}", qdrant_timeout=1)
        catalogs.create(shoes())
        proxy.silent = True
        proxy.reset()

        def ask(_: int) -> None:
            for call in (lambda: catalogs.get("shoes"), catalogs.specs):
                with pytest.raises(IndexUnavailable):
                    call()

        started = time.monotonic()
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(ask, range(32)))
        assert time.monotonic() - started < 32, "64 waits of a second each"
