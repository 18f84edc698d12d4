"""What the routes of one app work with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from flask import Flask, current_app
from prometheus_client import CollectorRegistry

from api.access.entrance import Entrance
from api.access.keyring import Keyring
from api.telemetry import Timers
from services.errors import CatalogNotFound
from services.settings import Settings

if TYPE_CHECKING:
    from services.catalog.catalog import Catalog
    from services.catalog.catalogs import Catalogs
    from services.ledger import Ledger
    from services.storage.media import Media

NAME = "lookalike"


@dataclass(frozen=True, slots=True)
class Context:
    """The collaborators of an app.

    `check_weights` raises why an encoder's weights cannot be had, where that is known here: it gets the names of
    encoder and weights. `waits` are the requests that may wait for an outcome at the same time.
    """

    settings: Settings
    catalogs: "Catalogs"
    ledger: "Ledger"
    media: "Media"
    fetch: Callable[[str], bytes]
    wake: Callable[[int], None]
    entrance: Entrance
    metrics: CollectorRegistry
    timers: Timers
    check_weights: Callable[[str, str], None]
    waits: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(48))

    @property
    def keyring(self) -> Keyring | None:
        """The API keys; None: the service runs without."""
        return self.entrance.keyring

    def catalog(self, name: str) -> "Catalog":
        """Raises `CatalogNotFound`, `InvalidCatalog`."""
        try:
            return self.catalogs.get(name)
        except CatalogNotFound:
            # What the domain says names the data folder, which is the operator's.
            raise CatalogNotFound(f"There is no catalog {name!r}; GET /v1/catalogs lists those there are.") from None


def keep(app: Flask, context: Context) -> None:
    """Gives an app its context."""
    app.extensions[NAME] = context


def context() -> Context:
    """The context of the app that answers the current request."""
    found: Context = current_app.extensions[NAME]
    return found
