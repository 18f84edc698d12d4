"""Shops on a Valkey that is empty, with catalogs of their own."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from workshop import Shop, Stub

from services import bootstrap, settings
from services.catalog.catalogs import Catalogs
from services.catalog.opening import new_spec
from services.descriptions import Features, Resample
from services.encoders.encoder import Encoder
from services.ledger import Store, connect
from services.settings import Settings

_numbers = itertools.count()
_loads: dict[str, Callable[[], Encoder]] = {}


@pytest.fixture(scope="session")
def catalogs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogs]:
    """One for all tests, each of which has catalogs of its own in it: a decoding child takes its time to start."""

    def load(name: str, weights: str, resample: Resample, settings: Settings, features: Features) -> Encoder:
        return _loads[weights]()

    given = settings.load(data=tmp_path_factory.mktemp("catalogs"), decode_processes=1)
    with bootstrap.catalogs(given, load=load) as catalogs:
        yield catalogs


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    """What is logged during a test."""
    with capture_logs([merge_contextvars]) as logs:
        yield logs


MakeShop = Callable[..., Shop]


@pytest.fixture
def make_shop(catalogs: Catalogs, redis: Redis, valkey_url: str) -> Iterator[MakeShop]:
    """Opens a shop; its encoder is what `load` gives. Another Redis and its lease may be named."""
    made: list[Shop] = []
    stores: list[Store] = []

    def make(load: Callable[[], Encoder] = Stub, *, url: str = valkey_url, lease: float = 30.0) -> Shop:
        number = next(_numbers)
        weights = f"random:{number}"
        _loads[weights] = load
        spec = new_spec(f"shop-{number}", "efficientnet_lite0", weights, "nearest")
        stores.append(connect(url))
        made.append(Shop(catalogs, stores[-1], catalogs.create(spec), lease))
        return made[-1]

    yield make
    for store in stores:
        store.close()
    for shop in made:
        if catalogs.find(shop.catalog.spec.name):
            catalogs.remove(shop.catalog.spec.name)


@pytest.fixture
def shop(make_shop: MakeShop) -> Shop:
    return make_shop()
