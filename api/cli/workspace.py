"""What most commands begin with: the catalogs of the data folder, or those of the service that has it open."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Unpack

from services import bootstrap, settings
from services.catalog import opening
from services.catalog.catalog import Catalog
from services.catalog.catalogs import Catalogs
from services.catalog.opening import CatalogOptions
from services.paging import paginate
from services.query.query import MAX_LIMIT
from services.settings import Settings
from services.storage.folder import service_url

if TYPE_CHECKING:
    from api.client.catalog import RemoteCatalog
    from api.client.catalogs import RemoteCatalogs

AnyCatalogs: TypeAlias = "Catalogs | RemoteCatalogs"
AnyCatalog: TypeAlias = "Catalog | RemoteCatalog"


@contextmanager
def opened_catalogs(configured: Settings, *, create: bool = True) -> Iterator[AnyCatalogs]:
    """The catalogs of the running service on the data folder, else the folder's own, closed at the end."""
    catalogs: AnyCatalogs
    if url := configured.service_url or service_url(configured.data):
        from api.client.catalogs import RemoteCatalogs

        catalogs = RemoteCatalogs(url, configured)
    else:
        catalogs = bootstrap.catalogs(configured, create=create)
    with catalogs:
        yield catalogs


@contextmanager
def opened_catalog(data: str | None, name: str) -> Iterator[AnyCatalog]:
    """An existing catalog, in the data folder or of the service that has it open."""
    with opened_catalogs(settings.load(data=data), create=False) as catalogs:
        yield catalogs.get(name)


@contextmanager
def own_catalog(data: str | None, name: str) -> Iterator[Catalog]:
    """An existing catalog of the data folder, for what no service offers. Raises `DataLocked` while one runs."""
    with bootstrap.catalogs(settings.load(data=data), create=False) as catalogs:
        yield catalogs.get(name)


def open_or_create(catalogs: AnyCatalogs, name: str, **options: Unpack[CatalogOptions]) -> AnyCatalog:
    """The catalog of that name, or a new one if its encoder loads. Raises `EncoderMismatch`, `EncoderError`s."""
    if isinstance(catalogs, Catalogs):
        catalog, _ = opening.open_or_create(catalogs, name, load_encoder=True, **options)
        return catalog
    return catalogs.open_or_create(name, **options)


def product_ids(catalog: AnyCatalog) -> Iterator[str]:
    """Those of all products."""
    products = paginate(lambda cursor: catalog.scroll(after=cursor, limit=MAX_LIMIT))
    return (product.product_id for product in products)


def printable(path: Path | str) -> str:
    """A path as text, whatever bytes its name has."""
    # Those halves of characters that stand for no byte come out of JSON.
    text = re.sub(r"[\ud800-\udc7f\udd00-\udfff]", lambda half: half[0].encode("unicode_escape").decode(), str(path))
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
