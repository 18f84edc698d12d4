"""The generations of a catalog of a running service, for commands: what they use of `Generations`, over HTTP."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from api.client.connection import Client
from api.client.tasks import done_task
from api.client.timings import Timings
from services.catalog.comparing import Comparison, Pair
from services.catalog.opening import CatalogOptions
from services.catalog.passes import Pass, Watch, from_json, watch_nothing
from services.catalog.switching import candidate, previous
from services.descriptions import Generation, GenerationState
from services.errors import GenerationNotFound
from services.records import Neighbor


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
        self._path = f"{path}/generations"
        self._timings = timings

    def all(self) -> list[Generation]:
        """The live one, and the others that are kept."""
        return [_to_generation(each) for each in self._listed()]

    def products(self, id: str) -> int:
        """How many products one of them has. Raises `GenerationNotFound`."""
        for each in self._listed():
            if each["id"] == id:
                return int(each["products"] or 0)
        raise GenerationNotFound(f"Generation {id} of catalog {self._name} was dropped.")

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
        result = self._done("", "The next generation", body, watch)
        return result["generation"], from_json(result)

    def compare(self, id: str, *, sample: int = 100) -> Comparison:
        """Compares what the live generation and another one find for some products."""
        found = self._client.json("GET", f"{self._of(id)}/compare", params={"sample": sample})
        pairs = [
            Pair(each["product_id"], *(_neighbors(each[name]) for name in ("live", "other"))) for each in found["pairs"]
        ]
        common = {int(rank): share for rank, share in found["common"].items()}
        return Comparison(found["sample"], found["missing"], common, pairs)

    def promote(self, id: str | None = None, *, allow_missing: bool = False, watch: Watch = watch_nothing) -> Pass:
        """Has the service switch to another generation; see `Generations.promote`."""
        path = f"/{quote(self.candidate() if id is None else id, safe='')}/promote"
        return from_json(self._done(path, "The switch", {"allow_missing": allow_missing}, watch))

    def rollback(self, *, allow_missing: bool = False, watch: Watch = watch_nothing) -> Pass:
        """Has the service switch back to the generation that was live before."""
        return self.promote(previous(self._name, self.all()), allow_missing=allow_missing, watch=watch)

    def drop(self, id: str) -> None:
        """Removes a generation with its vectors."""
        self._client.ask("DELETE", self._of(id))

    def _of(self, id: str) -> str:
        return f"{self._path}/{quote(id, safe='')}"

    def _listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._client.json("GET", self._path)["generations"]
        return found

    def _done(self, path: str, what: str, body: Mapping[str, Any], watch: Watch) -> Mapping[str, Any]:
        return done_task(
            *(self._client, f"{self._path}{path}", what, self._timings),
            body=body,
            watch=lambda task: watch(Pass(products=task["done"])),
        )


def _to_generation(described: Mapping[str, Any]) -> Generation:
    fields = {name: value for name, value in described.items() if name not in ("products", "trained")}
    return Generation(**fields | {"state": GenerationState(described["state"])})


def _neighbors(found: list[Mapping[str, Any]]) -> list[Neighbor]:
    return [Neighbor(each["product_id"], each["score"], each["attributes"]) for each in found]
