"""The duplicates of a catalog of a running service, for commands: what they use of `KeptDuplicates`, over HTTP."""

from collections.abc import Callable, Sequence

from api.client.connection import Client
from api.client.tasks import done_task, telling
from api.client.timings import Timings
from api.client.wire import group_path, product_path
from services.catalog.duplicates import LIMIT
from services.explore.decisions import Decision
from services.explore.duplicate_groups import Duplicate, Group, Groups, to_group
from services.explore.kinds import Kind


class RemoteDuplicates:
    """The duplicates of one catalog.

    Args:
        client: The connection to the service.
        path: The catalog's.
        timings: How long tasks are waited for.
    """

    def __init__(self, client: Client, path: str, timings: Timings) -> None:
        self._client = client
        self._path = path
        self._timings = timings

    def look(self, report: Callable[[int, int], object] = lambda _done, _total: None) -> None:
        """Has the service look for duplicates, and waits for it; Ctrl-C cancels it. Where it is doing so already, that
        is waited for. Raises what it ended with."""
        where, what = f"{self._path}/duplicates", "The search for duplicates"
        done_task(self._client, where, what, self._timings, method="PUT", watch=telling(report))

    def page(
        self,
        *,
        decision: Decision | None = None,
        kind: Kind | None = None,
        placeholder: bool | None = None,
        limit: int = LIMIT,
        cursor: str | None = None,
    ) -> Groups:
        """Groups, as `KeptDuplicates.page` gives them, and raises."""
        flag = None if placeholder is None else str(placeholder).lower()
        asked = {"decision": decision, "kind": kind, "placeholder": flag, "limit": limit, "cursor": cursor}
        params = {name: value for name, value in asked.items() if value is not None}
        told = self._client.json("GET", f"{self._path}/duplicates", params=params)
        return Groups(**{**told, "groups": tuple(to_group(each) for each in told["groups"])})

    def decide(self, id: str, decision: Decision, keep: Sequence[str] = ()) -> Group:
        """Decides about a group, as `KeptDuplicates.decide` does."""
        body = {"decision": decision, "keep": [*keep]}
        return to_group(self._client.json("POST", f"{group_path(self._path, id)}/decision", json=body))

    def undo(self, id: str) -> None:
        """Forgets what was decided about a group. Raises `GroupNotFound`."""
        self._client.ask("DELETE", f"{group_path(self._path, id)}/decision")

    def forget_decisions(self) -> None:
        """Forgets all decisions where they have been lost. Raises what `KeptDuplicates.forget_decisions` does."""
        self._client.ask("DELETE", f"{self._path}/duplicates/decisions")

    def of(self, product_id: str) -> list[Duplicate]:
        """The duplicates of a product. Raises `ProductNotFound`."""
        told = self._client.json("GET", f"{product_path(self._path, product_id)}/duplicates")
        return [Duplicate(**each) for each in told["duplicates"]]
