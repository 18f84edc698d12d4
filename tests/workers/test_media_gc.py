"""Originals that nothing needs are removed, and no other."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from workshop import DIM, Shop

from services.catalog.generations import Generations
from services.catalog.map_reader import MAP
from services.errors import DataCorrupt, FindingNotFound
from services.records import Change, ChangeKind, Embedding, StoredImage
from services.storage.media import Media
from services.testing import picture
from workers.media_gc import collect, collect_retired

DAY = 86_400.0


def age(shop: Shop) -> None:
    """Makes every original of the media folder old."""
    for path in originals(shop):
        os.utime(path, (0, 0))


def originals(shop: Shop) -> list[Path]:
    folder = shop.catalogs.registry.media / "originals"
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture(autouse=True)
def _empty(shop: Shop) -> None:
    """Other tests have left originals."""
    shutil.rmtree(shop.catalogs.registry.media / "originals", ignore_errors=True)


@pytest.fixture
def stored(shop: Shop) -> Callable[[int], str]:
    def stored(red: int) -> str:
        return shop.catalogs.intake.media.put(picture((red, 90, 90), size=8))

    return stored


def test_what_products_show_and_changes_need_stays(shop: Shop, stored: Callable[[int], str]) -> None:
    shown, waiting, failed, removed, left, new = (stored(10 * n) for n in range(1, 7))
    media = shop.catalogs.intake.media
    broken = media.put(b"no picture")
    changes = [
        Change("shown", image=StoredImage(shown)),
        Change("removed", image=StoredImage(removed)),
        Change("broken", image=StoredImage(broken)),
        Change("gone", ChangeKind.PATCH, StoredImage(failed), {}),
    ]
    for each in (changes, [Change("removed", ChangeKind.DELETE)]):
        job = shop.accept(each)
        shop.worker().drain()
        assert shop.job(job).finished_at is not None
    shop.accept([Change("waiting", image=StoredImage(waiting))])
    age(shop)
    os.utime(next(path for path in originals(shop) if path.name == new))

    assert collect(shop.chores, shop.catalogs, older=DAY) == 2
    kept = {hash: media.exists(hash) for hash in (shown, waiting, failed, broken, removed, left, new)}
    assert kept == {shown: True, waiting: True, failed: True, broken: True, removed: False, left: False, new: True}


def test_what_only_a_generation_beside_the_live_one_shows_stays(shop: Shop, stored: Callable[[int], str]) -> None:
    media, name = shop.catalogs.intake.media, shop.catalog.spec.name
    shown = stored(10)
    shop.catalog.apply([Change("shown", image=StoredImage(shown))])
    original = media.get(shown)
    media.remove(shown)
    found = Generations(shop.catalogs, name)
    found.reindex({"quantization": "scalar"}, promote=True, allow_missing=True)
    assert shop.catalogs.get(name).count() == 0
    media.put(original)
    age(shop)
    assert collect(shop.chores, shop.catalogs, older=DAY) == 0
    found.rollback()
    assert shop.catalogs.get(name).count() == 1 and media.exists(shown)


def test_nothing_is_removed_while_a_catalog_cannot_be_read(shop: Shop, stored: Callable[[int], str]) -> None:
    hash = stored(10)
    age(shop)
    file = shop.catalogs.registry.path / "catalogs" / "damaged" / "catalog.json"
    file.parent.mkdir()
    file.write_text("{")
    try:
        with pytest.raises(DataCorrupt):
            collect(shop.chores, shop.catalogs, older=DAY)
    finally:
        shutil.rmtree(file.parent)
    assert shop.catalogs.intake.media.exists(hash)


def test_nothing_is_removed_where_others_keep_originals_or_no_catalog_is_left(
    shop: Shop, stored: Callable[[int], str]
) -> None:
    hash = stored(10)
    age(shop)
    media = shop.catalogs.intake.media
    guest = Media(shop.catalogs.registry.media, user="another index")
    theirs = guest.put(b"theirs")
    age(shop)
    assert collect(shop.chores, shop.catalogs, older=DAY) == 0
    shutil.rmtree(shop.catalogs.registry.media / "users")
    name = shop.catalog.spec.name
    described = shop.catalogs.registry.path / "catalogs" / name / "catalog.json"
    away = described.rename(described.with_suffix(".away"))
    assert collect(shop.chores, shop.catalogs, older=DAY) == 0
    assert media.exists(hash) and media.exists(theirs)
    away.rename(described)
    assert collect(shop.chores, shop.catalogs, older=DAY) == 2
    assert not media.exists(hash) and not media.exists(theirs)


def test_a_map_that_was_replaced_goes_after_an_hour_and_no_sooner(shop: Shop) -> None:
    """Given a map that was brought up to date, I expect whoever has just read the description to find the old one, and
    nobody to find it an hour later; that which is described, and what people have decided, stays."""
    random = np.random.default_rng(0)
    media, findings = shop.catalogs.intake.media, shop.catalog.findings
    findings.decide(lambda data: b"one")
    decided = findings.decided()
    findings.decide(lambda data: b"another")
    for number in range(2):
        assert all(shop.catalog.put_embeddings([Embedding(f"p{number}", random.random(DIM, np.float32))]))
        old = findings.described(MAP)
        shop.catalog.map.make()
    new = findings.described(MAP)
    assert old and new and decided and old.object != new.object
    assert collect_retired(shop.catalogs, older=3600) == 0
    assert shop.catalog.map.read(old).product_ids == ("p0",)

    folder = shop.catalogs.registry.media
    for path in (path for kind in ("objects", "retired") for path in (folder / kind).rglob("*") if path.is_file()):
        at = time.time() - 7200 + 60 * (path.parts[-4] == "retired")
        os.utime(path, (at, at))
    # On a slow machine parts of a map were kept, and replaced, too.
    assert collect_retired(shop.catalogs, older=3600) >= 1
    with pytest.raises(FindingNotFound):
        shop.catalog.map.read(old)
    assert shop.catalog.map.told()["products"] == 2
    assert media.read_object(decided) == b"one"


def test_no_finding_is_removed_where_others_keep_theirs(shop: Shop) -> None:
    media = shop.catalogs.intake.media
    hash = media.put_object(b"theirs, too")
    # Put long before it is retired, whatever the clock of the disk tells apart.
    os.utime(shop.catalogs.registry.media / "objects" / hash[:2] / hash[2:4] / hash, (0, 0))
    media.retire(hash)
    users = shop.catalogs.registry.media / "users"
    Media(shop.catalogs.registry.media, user="another index").sign()
    try:
        assert collect_retired(shop.catalogs, older=-3600) == 0
        assert media.read_object(hash) == b"theirs, too"
    finally:
        shutil.rmtree(users)
