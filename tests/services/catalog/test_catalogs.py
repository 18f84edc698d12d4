"""The catalogs of a process: opened once, removed under anybody's hands, told apart from their successors."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services import bootstrap
from services.catalog.catalogs import Catalogs
from services.catalog.opening import new_spec, open_or_create
from services.descriptions import AttributeKind, CatalogSpec
from services.errors import (
    CatalogExists,
    CatalogNotFound,
    Closed,
    DataCorrupt,
    DataFull,
    DataLocked,
    EncoderMismatch,
    IndexUnavailable,
    InvalidCatalog,
    WeightsUnreachable,
)
from services.records import Change, ChangeKind, RemoteImage, State
from services.settings import Settings
from services.testing import StubEncoder, load_stub, picture

RED = picture((220, 30, 30))


@pytest.fixture
def configured(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


@pytest.fixture
def catalogs(configured: Settings) -> Iterator[Catalogs]:
    with bootstrap.catalogs(configured, load=load_stub) as catalogs:
        yield catalogs


def spec(name: str = "shoes", **changes: Any) -> CatalogSpec:
    return replace(new_spec(name, "efficientnet_lite0", "imagenet", "nearest"), **changes)


def puts(count: int, version: int = 1) -> list[Change]:
    return [Change(f"p{n}", image=picture((200, 30, 30), n, size=16), version=version) for n in range(count)]


def opened(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.0) -> list[str]:
    """The folders of the indexes that are opened from now on."""
    from services.index.edge import EdgeIndex

    found: list[str] = []
    open = EdgeIndex.open

    def watched(path: Path, *args: Any) -> EdgeIndex:
        found.append(path.name)
        time.sleep(seconds)
        return open(path, *args)

    monkeypatch.setattr(EdgeIndex, "open", watched)
    return found


def test_what_was_made_is_there_after_reopening(configured: Settings) -> None:
    with bootstrap.catalogs(configured, load=load_stub) as catalogs:
        made = catalogs.create(spec())
        made.declare({"n": AttributeKind.INTEGER})
        assert {each.state for each in made.apply(puts(3))} == {State.APPLIED}
        described = made.spec
    with bootstrap.catalogs(configured, load=load_stub) as catalogs:
        assert catalogs.specs() == [described]
        assert catalogs.find("shoes") == described
        assert catalogs.get("shoes").spec == described
        assert catalogs.get("shoes").count() == 3
        assert described.fingerprint and described.indexed_attributes


def test_catalogs_are_listed_by_name(catalogs: Catalogs) -> None:
    for name in ("shoes", "bags", "hats"):
        catalogs.create(spec(name))
    assert [each.name for each in catalogs.specs()] == ["bags", "hats", "shoes"]


def test_one_catalog_is_opened_once_whoever_asks(configured: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with bootstrap.catalogs(configured, load=load_stub) as catalogs:
        ids = [catalogs.create(spec(name)).spec.id for name in ("shoes", "bags")]
    found = opened(monkeypatch, seconds=0.1)
    with bootstrap.catalogs(configured, load=load_stub) as catalogs, ThreadPoolExecutor(12) as pool:
        ways: list[Callable[[], Any]] = [
            lambda: catalogs.get("shoes"), lambda: catalogs.by_id(ids[0]), lambda: catalogs.get("bags")
        ]  # fmt: skip
        got = list(pool.map(lambda n: ways[n % 3](), range(60)))
        assert len(set(got[0::3]) | set(got[1::3])) == 1
        assert len(set(got)) == len(found) == 2


def test_what_is_not_there_is_said_so(catalogs: Catalogs) -> None:
    assert catalogs.find("shoes") is None
    for ask in (lambda: catalogs.get("shoes"), lambda: catalogs.by_id("0" * 32), lambda: catalogs.remove("shoes")):
        with pytest.raises(CatalogNotFound):
            ask()
    for name in ("..", "a/b", ""):
        for refuse in (catalogs.get, catalogs.find, catalogs.remove):
            with pytest.raises(InvalidCatalog):
                refuse(name)


def test_a_catalog_is_made_once(catalogs: Catalogs) -> None:
    start = threading.Barrier(6)

    def make(_: int) -> bool:
        start.wait()
        try:
            catalogs.create(spec())
        except CatalogExists:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(make, range(6))) == 1
    assert catalogs.get("shoes").apply(puts(1))[0].state is State.APPLIED


def test_nothing_is_made_on_a_full_disk(tmp_path: Path) -> None:
    with bootstrap.catalogs(Settings(data=tmp_path, min_free_bytes=1 << 60), load=load_stub) as catalogs:
        with pytest.raises(DataFull):
            catalogs.create(spec())
        assert catalogs.specs() == []


def test_vectors_that_are_gone_are_no_empty_catalog(configured: Settings) -> None:
    with bootstrap.catalogs(configured, load=load_stub) as catalogs:
        made = catalogs.create(spec()).spec
        vectors = catalogs.registry.vectors(made)
    vectors.rename(vectors.with_name("elsewhere"))
    with bootstrap.catalogs(configured, load=load_stub) as catalogs, pytest.raises(DataCorrupt, match="restore"):
        catalogs.get("shoes")


def test_the_data_are_another_ones_until_they_are_closed(configured: Settings) -> None:
    catalogs = bootstrap.catalogs(configured, load=load_stub)
    shoes = catalogs.create(spec())
    with pytest.raises(DataLocked):
        bootstrap.catalogs(configured, load=load_stub)
    catalogs.close()
    catalogs.close()
    for call in (shoes.count, lambda: catalogs.get("shoes"), lambda: catalogs.create(spec("bags"))):
        with pytest.raises((IndexUnavailable, Closed)):
            call()
    bootstrap.catalogs(configured, load=load_stub).close()


# removal --------------------------------------------------------------------------------------------------------


def test_a_successor_of_the_same_name_has_another_id_and_nothing_of_the_first(catalogs: Catalogs) -> None:
    first = catalogs.create(spec())
    first.apply(puts(3))
    catalogs.remove("shoes")
    second = catalogs.create(spec())
    assert second.spec.id != first.spec.id
    assert second.count() == 0
    assert catalogs.by_id(second.spec.id) is second
    with pytest.raises(CatalogNotFound):
        catalogs.by_id(first.spec.id)
    with pytest.raises(IndexUnavailable):
        first.apply(puts(1))
    assert second.count() == 0
    assert len([each for each in (catalogs.registry.path / "catalogs" / "shoes").iterdir() if each.is_dir()]) == 1


def test_what_is_left_of_a_removed_catalog_does_not_bring_it_back(catalogs: Catalogs) -> None:
    """Given a catalog that others still hold, I expect that describing it makes no catalog and changes no successor."""
    first = catalogs.create(spec())
    described = first.spec
    catalogs.remove("shoes")
    with pytest.raises(CatalogNotFound):
        catalogs.save(replace(described, fingerprint="zombie"))
    with pytest.raises(CatalogNotFound):
        first.load_encoder()
    assert catalogs.specs() == []
    second = catalogs.create(spec())
    with pytest.raises(CatalogNotFound):
        catalogs.save(replace(described, fingerprint="zombie"))
    assert catalogs.find("shoes") == second.spec


def test_a_catalog_removed_under_many_hands_ends_their_calls_and_never_the_process(tmp_path: Path) -> None:
    """In a process of its own, since what could go wrong is a crash of the library."""
    done = subprocess.run([sys.executable, "-c", REMOVAL, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["strange"] == []
    assert answer["ended"] == answer["hands"] * answer["rounds"]
    assert answer["catalogs"] == []


REMOVAL = """
import json, sys, threading, time
from pathlib import Path
import numpy as np
from services import bootstrap
from services.catalog.opening import new_spec
from services.errors import CatalogNotFound, IndexUnavailable
from services.query.filters import parse
from services.descriptions import AttributeKind
from services.records import Change, ChangeKind
from services.settings import Settings
from services.testing import load_stub, picture

sys.setswitchinterval(1e-3)
ROUNDS = 4
images = [picture((200, 30, 30), n, size=16) for n in range(20)]
vector = np.random.default_rng(1).random(1280, np.float32)
strange, ended = [], []

def puts(version):
    return [Change(f"p{n}", image=image, version=version) for n, image in enumerate(images)]

def hands(catalog):
    return [
        lambda n: catalog.apply(puts(n + 2)),
        lambda n: catalog.apply([Change(f"p{n % 20}", ChangeKind.DELETE, version=10 * n + 2)]),
        lambda n: catalog.search(vector),
        lambda n: catalog.scroll(limit=100),
        lambda n: list(catalog.embeddings()),
        lambda n: catalog.count(parse({"must": [{"key": "n", "range": {"gte": n}}]})),
        lambda n: catalog.declare({"n": AttributeKind.INTEGER}),
        lambda n: catalog.purge(time.time(), below=None),
        lambda n: catalog.max_version(),
        lambda n: catalogs.by_id(catalog.spec.id).count(),
    ]

def work(call):
    number = 0
    try:
        while True:
            call(number)
            number += 1
    except (CatalogNotFound, IndexUnavailable) as error:
        ended.append(type(error).__name__)
    except BaseException as error:
        strange.append(repr(error))

with bootstrap.catalogs(Settings(data=Path(sys.argv[1]) / "data"), load=load_stub) as catalogs:
    for _ in range(ROUNDS):
        catalog = catalogs.create(new_spec("shoes", "efficientnet_lite0", "imagenet", "nearest"))
        catalog.apply(puts(1))
        calls = hands(catalog)
        threads = [threading.Thread(target=work, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        catalogs.remove("shoes")
        for thread in threads:
            thread.join()
    left = [spec.name for spec in catalogs.specs()]
print(json.dumps({"strange": strange, "ended": len(ended), "hands": len(calls), "rounds": ROUNDS, "catalogs": left}))
"""


# encoders -------------------------------------------------------------------------------------------------------


def test_no_encoder_is_loaded_until_an_image_needs_it_and_then_one_for_all_of_its_kind(configured: Settings) -> None:
    loads = []

    def load(name: str, weights: str, resample: Any, *rest: Any) -> StubEncoder:
        loads.append((name, weights, resample))
        return load_stub(name, weights, resample, *rest)

    with bootstrap.catalogs(configured, load=load) as catalogs:
        shoes, bags, soft = catalogs.create(spec()), catalogs.create(spec("bags")), catalogs.create(
            new_spec("soft", "efficientnet_lite0", "imagenet", "bicubic")
        )  # fmt: skip
        shoes.apply([Change("a", ChangeKind.DELETE, version=1), Change("b", image=b"no image", version=1)])
        assert not loads and shoes.spec.fingerprint is None
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda catalog: catalog.apply(puts(3)), [shoes, bags, soft]))
        soft.search_image(RED)
        assert sorted(loads) == [
            ("efficientnet_lite0", "imagenet", "bicubic"), ("efficientnet_lite0", "imagenet", "nearest")
        ]  # fmt: skip
        catalogs.remove("shoes")
        assert bags.search_image(RED)


def test_the_first_fingerprint_is_pinned_and_another_one_refused(configured: Settings) -> None:
    made_of = "first"

    def load(*_: Any) -> StubEncoder:
        return StubEncoder(made_of, size=224, dim=1280)

    with bootstrap.catalogs(configured, load=load) as catalogs:
        shoes = catalogs.create(spec())
        catalogs.create(spec("bags"))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda version: shoes.apply(puts(2, version)), range(1, 9)))
        assert catalogs.find("shoes") == shoes.spec
        assert shoes.spec.fingerprint == "first"
    made_of = "second"
    with bootstrap.catalogs(configured, load=load) as catalogs:
        assert catalogs.get("bags").apply(puts(1))[0].state is State.APPLIED
        with pytest.raises(EncoderMismatch, match="first"):
            catalogs.get("shoes").apply([Change("new", image=RED, version=100)])
        assert catalogs.get("shoes").count() == 2


def test_weights_that_were_away_are_loaded_when_they_are_back(configured: Settings) -> None:
    away = True

    def load(*arguments: Any) -> StubEncoder:
        if away:
            raise WeightsUnreachable("no hub")
        return load_stub(*arguments)

    with bootstrap.catalogs(configured, load=load) as catalogs:
        shoes = catalogs.create(spec())
        with pytest.raises(WeightsUnreachable):
            shoes.apply(puts(2))
        away = False
        assert [each.state for each in shoes.apply(puts(2))] == [State.APPLIED] * 2


# what the command line opens ------------------------------------------------------------------------------------


def test_a_new_catalog_is_there_only_when_its_encoder_could_be_loaded(configured: Settings) -> None:
    def load(*_: Any) -> StubEncoder:
        raise WeightsUnreachable("no hub")

    with bootstrap.catalogs(configured, load=load) as catalogs:
        with pytest.raises(WeightsUnreachable):
            open_or_create(catalogs, "shoes", load_encoder=True, encoder="efficientnet_lite0")
        assert catalogs.specs() == []


def test_an_existing_catalog_keeps_its_encoder_and_takes_the_same_weights_from_elsewhere(
    configured: Settings, tmp_path: Path
) -> None:
    same, other = tmp_path / "same.h5", tmp_path / "other.h5"
    same.touch()
    other.touch()

    def load(name: str, weights: str, *_: Any) -> StubEncoder:
        return StubEncoder("other" if "other" in weights else "same", size=224, dim=1280)

    with bootstrap.catalogs(configured, load=load) as catalogs:
        made, _ = open_or_create(catalogs, "shoes", load_encoder=True, encoder="efficientnet_lite0", resample="bicubic")
        assert (made.spec.fingerprint, made.spec.resample, made.spec.weights) == ("same", "bicubic", "imagenet")
        for options in ({"encoder": "inception_v3"}, {"resample": "nearest"}, {"weights": str(other)}):
            with pytest.raises(EncoderMismatch):
                open_or_create(catalogs, "shoes", load_encoder=True, **options)  # type: ignore[arg-type]
    with bootstrap.catalogs(configured, load=load) as catalogs:
        moved, _ = open_or_create(catalogs, "shoes", load_encoder=True, weights=str(same))
        assert moved.spec == replace(made.spec, weights=str(same))
        assert catalogs.find("shoes") == moved.spec


def test_images_come_from_urls_that_the_settings_allow(configured: Settings, httpserver: Any) -> None:
    httpserver.expect_request("/red.png").respond_with_data(RED, content_type="image/png")
    url = httpserver.url_for("/red.png")
    batch = [Change("a", image=RemoteImage(url), version=1)]
    with bootstrap.catalogs(configured, load=load_stub) as catalogs:
        assert catalogs.create(spec()).apply(batch)[0].code == "fetch_refused"
    allowing = configured.model_copy(update={"fetch_allow": "127.0.0.0/8,::1/128"})
    with bootstrap.catalogs(allowing, load=load_stub) as catalogs:
        assert catalogs.get("shoes").apply(batch)[0].state is State.APPLIED
        assert catalogs.intake.fetch(url) == RED
        assert catalogs.get("shoes").image("a") == RED
