"""The outliers of a catalog of a running service, for commands: what they use of `KeptOutliers`, over HTTP."""

from typing import Any, cast

from api.client.connection import Client
from api.client.tasks import done_task, telling
from api.client.timings import Timings
from services.catalog.mislabeled import Watch
from services.catalog.outliers import Outliers, nobody
from services.query.filters import checked_keys


class RemoteOutliers:
    """The outliers of one catalog.

    Args:
        client: The connection to the service.
        path: The catalog's.
        timings: How long tasks are waited for.
    """

    def __init__(self, client: Client, path: str, timings: Timings) -> None:
        self._client = client
        self._path = f"{path}/outliers"
        self._timings = timings

    def look(self, label: str | None, watch: Watch = nobody) -> None:
        """Has the service look through the catalog, and waits for it; Ctrl-C cancels it. Raises what
        `KeptOutliers.look` does."""
        body: dict[str, Any] = {"isolated": True} if label is None else {"label": _checked(label)}
        done_task(
            *(self._client, self._path, "The list of outliers", self._timings),
            method="PUT",
            body=body,
            watch=telling(watch),
        )

    def page(
        self, label: str | None, *, value: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Outliers:
        """The next of a list. Raises what `KeptOutliers.page` does."""
        asked: dict[str, Any] = {"isolated": "true"} if label is None else {"label": _checked(label)}
        more = {"value": value, "limit": limit, "cursor": cursor}
        asked |= {name: given for name, given in more.items() if given is not None}
        found = self._client.json("GET", self._path, params=asked)
        if label is not None:
            for each in found["outliers"]:
                each.setdefault("disagreeing", None)
        return cast(Outliers, found)


def _checked(label: str) -> str:
    checked_keys([label])
    return label
