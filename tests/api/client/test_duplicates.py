"""Duplicates of a running service: what is asked of it is answered as the catalog itself does."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from beside import beside
from copies import product

from api.client.catalog import RemoteCatalog
from api.client.catalogs import RemoteCatalogs
from services import bootstrap, settings
from services.catalog.catalog import Catalog
from services.catalog.opening import new_spec
from services.errors import FindingNotFound, GroupNotFound, InvalidInput, ProductNotFound
from services.testing import load_stub


class Ways(NamedTuple):
    local: Catalog
    remote: RemoteCatalog


@pytest.fixture
def ways(tmp_path: Path) -> Iterator[Ways]:
    """One catalog, as itself and over HTTP."""
    data = tmp_path / "data"
    with bootstrap.catalogs(settings.load(data=data), load=load_stub) as catalogs:
        catalog = catalogs.create(new_spec("products", "efficientnet_lite0", "random:1", "nearest"))
        made = [product(f"p{n}", n) for n in range(40)] + [product(f"none/{n}", 900) for n in range(12)]
        list(catalog.put_embeddings([*made, product("near", 0, 1), product("same", 1)]))
    with (
        beside(data, load=load_stub) as service,
        RemoteCatalogs(service.url, settings.load(data=data)) as catalogs,
    ):
        yield Ways(service.catalogs.get("products"), catalogs.get("products"))


def test_a_catalog_over_http_has_the_duplicates_of_the_catalog(ways: Ways) -> None:
    local, remote = ways.local.duplicates, ways.remote.duplicates
    for each in (local, remote):
        with pytest.raises(FindingNotFound, match="has not been looked through"):
            each.page()
    told: list[tuple[int, int]] = []
    remote.look(lambda done, total: told.append((done, total)))
    assert told[-1] == (42, 42)
    for options in ({}, {"kind": "same_bytes", "placeholder": False}, {"placeholder": True}, {"limit": 1}):
        assert remote.page(**options) == local.page(**options)  # type: ignore[arg-type]
    cursor = local.page(limit=1).next
    assert remote.page(cursor=cursor) == local.page(cursor=cursor)
    same = next(each.id for each in local.page(placeholder=False, kind="same_bytes").groups)
    decided = remote.decide(same, "remove", ["same"])
    assert (decided,) == local.page(decision="remove").groups == remote.page(decision="remove").groups
    assert remote.of("same") == local.of("same") and remote.of("same")[0].decision == "remove"
    remote.undo(same)
    assert local.page(decision="remove").groups == () and local.page().total == 3
    for each in (local, remote):
        with pytest.raises(GroupNotFound, match="Nothing was decided about a group"):
            each.undo(same)
        with pytest.raises(GroupNotFound, match="list the groups again"):
            each.decide("0" * 16, "keep")
        with pytest.raises(InvalidInput, match="all products stay"):
            each.decide(same, "distinct", ["same"])
        with pytest.raises(ProductNotFound):
            each.of("nowhere")
