"""The catalogs of a running service, for commands: what they use of `Catalogs`, over the HTTP API."""

from collections.abc import Mapping
from typing import Any, Self, Unpack

from api.client.catalog import RemoteCatalog
from api.client.connection import Client
from api.client.evaluations import evaluated
from api.client.generations import RemoteGenerations
from api.client.timings import TIMINGS, Timings
from api.client.wire import CATALOGS, catalog_path, to_spec
from api.errors import Forbidden
from services.catalog.evaluating import Evaluation, Watch
from services.catalog.opening import CatalogOptions
from services.catalog.question import Question
from services.descriptions import CatalogSpec
from services.encoders.specs import IMAGENET, RANDOM, checked_spec
from services.errors import CatalogNotFound, DataLocked
from services.settings import Settings


class RemoteCatalogs:
    """The catalogs of the service at `url`."""

    def __init__(self, url: str, settings: Settings, timings: Timings = TIMINGS) -> None:
        """
        Args:
            url: Where the service answers.
            settings: Those of this command, with the service's key.
            timings: How long changes are waited for.
        """
        self.url = url
        self._settings = settings
        self._timings = timings
        self._client = Client(url, settings.api_key.get_secret_value(), timings.away)

    def specs(self) -> list[CatalogSpec]:
        """The descriptions of all catalogs, by name."""
        return [to_spec(each) for each in self._client.json("GET", CATALOGS)["catalogs"]]

    def find(self, name: str) -> CatalogSpec | None:
        """The description of a catalog, None where there is none. Raises `InvalidCatalog`."""
        try:
            return self.get(name).spec
        except CatalogNotFound:
            return None

    def get(self, name: str) -> RemoteCatalog:
        """Raises `CatalogNotFound`, `InvalidCatalog`."""
        return self._catalog(self._client.json("GET", catalog_path(name)))

    def open_or_create(self, name: str, **options: Unpack[CatalogOptions]) -> RemoteCatalog:
        """The catalog of that name, or a new one, which stays only if its encoder can be loaded.

        Raises:
            EncoderMismatch, EncoderError: The catalog has another encoder, or it cannot be loaded.
            DataLocked: Weights out of a file, which a service takes from nobody.
        """
        given = {**options, "weights": self._weights(name, options.get("weights"))}
        body = {option: value for option, value in given.items() if value is not None}
        try:
            answer = self._client.ask("PUT", catalog_path(name), json=body)
        except Forbidden:
            # A key that may change products, but make no catalog: one that is there will do.
            if body or not self.find(name):
                raise
            return self.get(name)
        catalog = self._catalog(answer.json())
        if catalog.spec.fingerprint is None:
            try:
                catalog.load_encoder()
            except BaseException:
                if answer.status_code == 201:
                    self.remove(name)
                raise
        return catalog

    def generations(self, name: str) -> RemoteGenerations:
        """The generations of a catalog; nothing is asked yet. Raises `InvalidCatalog`."""
        return RemoteGenerations(self._client, name, catalog_path(name), self._timings)

    def evaluate(self, name: str, question: Question, watch: Watch) -> Evaluation:
        """Has the service evaluate a catalog; see `Evaluating`. Raises what its task ends with."""
        return evaluated(self._client, catalog_path(name), question, self._timings, watch)

    def remove(self, name: str) -> None:
        """Removes a catalog with its vectors. Raises `CatalogNotFound`, `InvalidCatalog`."""
        self._client.ask("DELETE", catalog_path(name))

    def hurry(self) -> None:
        """Has all that uses this end soon: nothing is waited for any more."""
        self._client.hurry.set()

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _catalog(self, description: Mapping[str, Any]) -> RemoteCatalog:
        return RemoteCatalog(self._client, description, self._settings, self._timings)

    def _weights(self, name: str, weights: str | None) -> str | None:
        """What the request says of the weights: nothing where the catalog has them already."""
        if weights is None or (spec := checked_spec(weights)) == IMAGENET or spec.startswith(RANDOM):
            return weights
        if (found := self.find(name)) and found.weights == spec:
            return None
        raise DataLocked(
            f"The service at {self.url} takes no weights out of files: stop it first (Ctrl-C there), index with them, "
            "and start it again."
        )
