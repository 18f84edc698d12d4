"""The format of the catalogs on a Qdrant server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from indexes import collections, new_client, new_spec

from services.descriptions import CatalogSpec
from services.errors import CatalogNotFound, FormatTooNew
from services.formats import Migration
from services.index.client import WRITE_SECONDS
from services.index.collections import MIGRATIONS, Collections

CURRENT = len(MIGRATIONS)


@pytest.fixture
def found(twin_url: str) -> Iterator[Collections]:
    with collections(twin_url) as found:
        yield found


def made(found: Collections, url: str, number: int | None) -> CatalogSpec:
    """A catalog whose collection has this number; None as v0.1 made it, without one."""
    spec = new_spec(4)
    found.create(spec)
    number_it(url, spec, number)
    return spec


def number_it(url: str, spec: CatalogSpec, number: int | None) -> None:
    client = new_client(url)
    client.call("update_collection", _name(spec), metadata={"format": number}, timeout=WRITE_SECONDS)
    client.close()


def metadata(url: str, spec: CatalogSpec) -> dict[str, Any]:
    client = new_client(url)
    found = client.call("get_collection", _name(spec)).config.metadata
    client.close()
    return dict(found)


def _name(spec: CatalogSpec) -> str:
    return f"lookalike-test.{spec.name}.{spec.generation}"


def test_a_new_catalog_has_the_current_format(found: Collections, twin_url: str) -> None:
    spec = new_spec(4)
    found.create(spec)
    assert metadata(twin_url, spec)["format"] == CURRENT


def test_an_older_catalog_is_migrated_when_it_is_looked_at(twin_url: str) -> None:
    names: list[str] = []

    @contextmanager
    def alone(name: str) -> Iterator[None]:
        names.append(name)
        yield

    with collections(twin_url, exclusive=alone) as found:
        spec = made(found, twin_url, None)
        before = metadata(twin_url, spec)
        assert [each.steps for each in found.upgrade(dry=True)] == [[each.summary for each in MIGRATIONS]]
        assert metadata(twin_url, spec) == before and not names
        assert found.catalog(spec.name) == spec
        assert metadata(twin_url, spec) == before | {"format": CURRENT}
        assert names == [f"the format of {_name(spec)}"]
        assert found.catalog(spec.name) == spec and len(names) == 1
        assert [each.steps for each in found.upgrade()] == [[]]


def test_all_older_catalogs_are_upgraded_at_once(found: Collections, twin_url: str) -> None:
    specs = [made(found, twin_url, None) for _ in range(2)]
    assert [len(each.steps) for each in found.upgrade()] == [CURRENT, CURRENT]
    assert [metadata(twin_url, spec)["format"] for spec in specs] == [CURRENT, CURRENT]


def test_a_catalog_of_a_newer_version_is_refused_and_left_as_it_is(found: Collections, twin_url: str) -> None:
    spec = made(found, twin_url, CURRENT + 1)
    before = metadata(twin_url, spec)
    for call in (lambda: found.catalog(spec.name), found.catalogs, found.upgrade, lambda: found.upgrade(dry=True)):
        with pytest.raises(FormatTooNew) as caught:
            call()
        assert str(caught.value) == (
            f"The catalog {spec.name} in Qdrant was written by a newer Lookalike (format {CURRENT + 1}, this one "
            f"knows up to {CURRENT}): run that version, or restore a backup under another LOOKALIKE_QDRANT_PREFIX."
        )
    assert metadata(twin_url, spec) == before
    number_it(twin_url, spec, CURRENT)


def test_a_migration_that_was_cut_off_is_repeated(found: Collections, twin_url: str) -> None:
    spec = made(found, twin_url, None)
    ran: list[str] = []

    def cut(collection: str) -> None:
        ran.append(collection)
        raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        collections(twin_url, migrations=[*MIGRATIONS, Migration("Do.", cut)]) as one,
    ):
        one.catalog(spec.name)
    assert metadata(twin_url, spec)["format"] == CURRENT
    number_it(twin_url, spec, CURRENT)
    with collections(twin_url, migrations=[*MIGRATIONS, Migration("Do.", ran.append)]) as other:
        assert other.catalog(spec.name) == spec
    assert (ran, metadata(twin_url, spec)["format"]) == ([_name(spec)] * 2, CURRENT + 1)
    number_it(twin_url, spec, CURRENT)


def test_a_collection_of_somebody_else_gets_no_number(found: Collections, twin_url: str) -> None:
    client = new_client(twin_url)
    from qdrant_client import models

    client.call("create_collection", "theirs", models.VectorParams(size=2, distance=models.Distance.COSINE))
    alias = models.CreateAlias(alias_name="lookalike-test.theirs", collection_name="theirs")
    client.call("update_collection_aliases", [models.CreateAliasOperation(create_alias=alias)])
    try:
        found.upgrade()
        assert not client.call("get_collection", "theirs").config.metadata
    finally:
        client.call("delete_collection", "theirs")
        client.close()
    with pytest.raises(CatalogNotFound):
        found.catalog("theirs")
