"""What most commands begin with: settings, the locked data folder, a catalog of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services import bootstrap, settings
from services.catalog import Catalog


@contextmanager
def opened_catalog(data: str | None, name: str) -> Iterator[Catalog]:
    """An existing catalog of the data folder, closed at the end."""
    configured = settings.load(data=data)
    with (
        bootstrap.data_folder(configured, create=False) as folder,
        bootstrap.open_catalog(folder, name, configured) as catalog,
    ):
        yield catalog


def printable(path: Path | str) -> str:
    """A path as text, whatever bytes its name has."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
