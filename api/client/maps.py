"""The map of a catalog of a running service, for commands: what they use of `KeptMap`, over HTTP."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from api.client.connection import Client
from api.client.tasks import done_task, telling
from api.client.timings import Timings
from services.catalog.map import Standing
from services.catalog.map_bytes import column_of, points_of
from services.catalog.map_columns import Column
from services.catalog.map_reader import Told
from services.catalog.mapping import Report, no_report
from services.errors import Conflict, ServiceUnavailable
from services.explore.regions import Region

if TYPE_CHECKING:
    import httpx2

TRIES = 3
"""Of reading what belongs together, while the map is being brought up to date."""


class RemoteMap:
    """The map of one catalog.

    Args:
        client: The connection to the service.
        path: The catalog's.
        timings: How long tasks are waited for.
    """

    def __init__(self, client: Client, path: str, timings: Timings) -> None:
        self._client = client
        self._path = f"{path}/map"
        self._timings = timings
        self._hash: str | None = None

    def make(self, *, anew: bool = False, report: Report = no_report) -> Told:
        """Has the service make the map, and waits for it; Ctrl-C cancels it. Raises what `KeptMap.make` does."""
        path = f"{self._path}?anew=true" if anew else self._path
        return done_task(self._client, path, "The map", self._timings, method="PUT", watch=telling(report))

    def told(self) -> Told:
        """What is to be known of it. Raises `FindingNotFound`."""
        told = self._client.json("GET", self._path)
        return {name: value for name, value in told.items() if name not in ("points_url", "ids_url")}

    def standing(self) -> Standing:
        """Where its products stand. Raises `FindingNotFound`."""
        for _ in range(TRIES):
            told = self.told()
            points = self._client.ask("GET", f"{self._path}/points")
            ids = self._client.ask("GET", f"{self._path}/ids")
            if {_tag(each) for each in (points, ids)} == {f'"{told["hash"]}"'}:
                regions = tuple(Region(**each) for each in told["clusters"])
                self._hash = told["hash"]
                places, labels = self._decoded(points_of, points.content)
                return Standing(tuple(ids.json()["product_ids"]), places, labels, regions)
        raise _changing()

    def column(self, key: str, product_ids: tuple[str, ...]) -> Column:
        """What these products have now for an attribute: those of the map that `standing` gave last. Raises `Conflict`
        where it has changed since."""
        found = self._client.ask("GET", f"{self._path}/attributes/{quote(key, safe='')}")
        column: Column = self._decoded(column_of, found.content)
        is_same = self._hash is None or _tag(found).startswith(f'"{self._hash}-')
        if not is_same or max(len(column.codes), len(column.numbers)) != len(product_ids):
            raise _changing()
        return column

    def _decoded(self, decode: Callable[[bytes], Any], data: bytes) -> Any:
        try:
            return decode(data)
        except ValueError as error:
            raise ServiceUnavailable(
                f"What answers at {self._client.url} sends no map that this version can read: see `lookalike doctor`."
            ) from error


def _tag(response: "httpx2.Response") -> str:
    """The ETag, without what a proxy that packs the response puts before it."""
    return response.headers["ETag"].removeprefix("W/")


def _changing() -> Conflict:
    return Conflict("The map is being brought up to date at this moment: ask again.")
