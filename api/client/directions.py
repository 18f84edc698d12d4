"""The directions of a catalog of a running service, for commands: what they use of `KeptDirections`, over HTTP."""

from collections.abc import Callable, Mapping
from typing import Any

from api.client.connection import Client
from api.client.tasks import done_task
from api.client.timings import Timings
from api.client.wire import direction_path
from services.catalog.definition import Definition, Side
from services.catalog.directions import checked_name
from services.descriptions import LearnedDirection


class RemoteDirections:
    """The directions of one catalog; `object` and `fingerprint` of each are the service's own, and empty here.

    Args:
        client: The connection to the service.
        path: The catalog's.
        features: Those of its vectors.
        timings: How long tasks are waited for.
    """

    def __init__(self, client: Client, path: str, features: Callable[[], str], timings: Timings) -> None:
        self._client = client
        self._path = path
        self._features = features
        self._timings = timings

    def all(self) -> tuple[LearnedDirection, ...]:
        """All of them, by name."""
        return tuple(_learned(each) for each in self._client.json("GET", f"{self._path}/directions")["directions"])

    def get(self, name: str) -> tuple[LearnedDirection, Definition]:
        """One of them, and the sides that it is learned from. Raises `DirectionNotFound`."""
        told = self._client.json("GET", direction_path(self._path, name))
        away_from = told["away_from"]
        definition = Definition(
            toward=Side.of(told["toward"]),
            away_from=None if away_from is None else Side.of(away_from),
            within=told["within"],
        )
        return _learned(told), definition

    def learn(self, name: str, definition: Definition) -> LearnedDirection:
        """Has the service learn a direction, and waits for it; Ctrl-C cancels it. Raises what `KeptDirections.learn`
        does."""
        wanted = definition.checked(self._features()).json()
        result = done_task(
            *(self._client, direction_path(self._path, checked_name(name)), f"Direction {name}", self._timings),
            method="PUT",
            body={name: value for name, value in wanted.items() if value is not None},
        )
        return _learned(result)

    def remove(self, name: str) -> None:
        """Forgets one of them. Raises `DirectionNotFound`."""
        self._client.ask("DELETE", direction_path(self._path, name))


_TOLD = (
    *("name", "quality", "color_weight", "positives", "negatives", "categories", "products", "created_at"),
    "learned_at",
)


def _learned(told: Mapping[str, Any]) -> LearnedDirection:
    return LearnedDirection(object="", fingerprint=None, **{name: told[name] for name in _TOLD})
