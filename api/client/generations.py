"""The generations of a catalog of a running service, for commands: what they use of `Generations`, over HTTP."""

from collections.abc import Mapping
from typing import Any

from api.client.connection import Client
from api.client.tasks import done_task
from api.client.timings import Timings
from api.client.wire import generation_path, to_neighbor
from services.catalog.comparing import Comparison, Pair
from services.catalog.opening import CatalogOptions
from services.catalog.passes import Pass, Watch, from_json, watch_nothing
from services.catalog.switching import candidate, previous
from services.descriptions import Generation, to_generations


class RemoteGenerations:
    """The generations of one catalog."""

    def __init__(self, client: Client, name: str, path: str, timings: Timings) -> None:
        """
        Args:
            client: The connection to the service.
            name: The catalog's name.
            path: The catalog's.
            timings: How long tasks are waited for.
        """
        self._client = client
        self._name = name
        self._path = path
        self._timings = timings

    def all(self) -> list[Generation]:
        """The live one, and the others that are kept."""
        return [generation for generation, _ in self.counted()]

    def counted(self) -> list[tuple[Generation, int | None]]:
        """All, each with how many products it has; None where it is being dropped."""
        listed = self._client.json("GET", f"{self._path}/generations")["generations"]
        described = [{name: each[name] for name in each if name not in ("products", "trained")} for each in listed]
        return [*zip(to_generations(described), (each["products"] for each in listed), strict=True)]

    def candidate(self) -> str:
        """The next generation, or the only other one. Raises `GenerationNotFound` where there is none, or several."""
        return candidate(self._name, self.all())

    def reindex(
        self,
        options: CatalogOptions,
        *,
        promote: bool = False,
        allow_missing: bool = False,
        watch: Watch = watch_nothing,
    ) -> tuple[str, Pass]:
        """Has the service build the next generation, and with `promote` switch to it; see `Generations.reindex`."""
        wanted = {name: value for name, value in options.items() if value is not None}
        body = wanted | {"promote": promote, "allow_missing": allow_missing}
        result = self._done(f"{self._path}/generations", "The next generation", body, watch)
        return result["generation"], from_json(result)

    def compare(self, id: str, *, sample: int = 100) -> Comparison:
        """Compares what the live generation and another one find for some products."""
        path = f"{generation_path(self._path, id)}/compare"
        found = self._client.json("GET", path, params={"sample": sample})
        pairs = [
            Pair(each["product_id"], *([to_neighbor(one) for one in each[name]] for name in ("live", "other")))
            for each in found["pairs"]
        ]
        common = {int(rank): share for rank, share in found["common"].items()}
        return Comparison(found["sample"], found["missing"], common, pairs)

    def promote(self, id: str | None = None, *, allow_missing: bool = False, watch: Watch = watch_nothing) -> Pass:
        """Has the service switch to another generation; see `Generations.promote`."""
        path = f"{generation_path(self._path, self.candidate() if id is None else id)}/promote"
        return from_json(self._done(path, "The switch", {"allow_missing": allow_missing}, watch))

    def rollback(self, *, allow_missing: bool = False, watch: Watch = watch_nothing) -> Pass:
        """Has the service switch back to the generation that was live before."""
        return self.promote(previous(self._name, self.all()), allow_missing=allow_missing, watch=watch)

    def drop(self, id: str) -> None:
        """Removes a generation with its vectors."""
        self._client.ask("DELETE", generation_path(self._path, id))

    def _done(self, path: str, what: str, body: Mapping[str, Any], watch: Watch) -> Mapping[str, Any]:
        return done_task(
            *(self._client, path, what, self._timings),
            body=body,
            watch=lambda task: watch(Pass(products=task["done"])),
        )
