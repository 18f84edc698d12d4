"""The outliers of a catalog of a running service are those of the catalog itself, and are refused alike."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from beside import beside
from shelf import picture
from shelf import shelf as shelf

from api.client.catalog import RemoteCatalog
from api.client.catalogs import RemoteCatalogs
from services import settings
from services.catalog.catalog import Catalog
from services.errors import LookalikeError
from services.records import Change
from services.testing import load_stub


class Ways(NamedTuple):
    local: Catalog
    remote: RemoteCatalog


@pytest.fixture(scope="module")
def ways(shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    data = Path(shutil.copytree(shelf, tmp_path_factory.mktemp("ways") / "data"))
    with beside(data, load=load_stub) as service, RemoteCatalogs(service.url, settings.load(data=data)) as catalogs:
        local = service.catalogs.get("products")
        wrong = [Change(f"wrong-{n}", image=picture("red", "mug", 70 + n), attributes={"kind": "sock"}) for n in (0, 1)]
        [*local.put(wrong)]
        yield Ways(local, catalogs.get("products"))


def test_they_are_looked_for_and_listed_alike(ways: Ways) -> None:
    for label in ("kind", None):
        told: list[tuple[int, int]] = []
        ways.remote.outliers.look(label, lambda done, total, told=told: told.append((done, total)))  # type: ignore[misc]
        found = ways.remote.outliers.page(label, limit=1)
        assert found == ways.local.outliers.page(label, limit=1)
        if found["next"]:
            more = [each.outliers.page(label, cursor=found["next"]) for each in (ways.remote, ways.local)]
            assert more[0] == more[1]
        ways.local.outliers.look(label)
        assert ways.remote.outliers.page(label)["outliers"] == ways.local.outliers.page(label)["outliers"]
    assert {each["product_id"] for each in ways.remote.outliers.page("kind", value="sock")["outliers"]} == {
        "wrong-0",
        "wrong-1",
    }


@pytest.mark.parametrize("label", ["nothing", "a b", "number"])
def test_what_is_refused_is_refused_alike(ways: Ways, label: str) -> None:
    for name in ("look", "page"):
        with pytest.raises(LookalikeError) as own:
            getattr(ways.local.outliers, name)(label)
        with pytest.raises(LookalikeError) as told:
            getattr(ways.remote.outliers, name)(label)
        assert (told.value.code, str(told.value)) == (own.value.code, str(own.value))
