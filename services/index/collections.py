"""The catalogs on a Qdrant server: a collection for each generation, an alias for each catalog.

    PREFIX.NAME                 the alias of the live generation
    PREFIX.NAME.GENERATION      the collection; its metadata has the fields of the `CatalogSpec` and the format number

Catalog names contain no dot, so these names are unambiguous. The metadata of the live generation describe the catalog;
those of others are as old as their last day as the live one. Only descriptions are read by way of the alias: products
are read and written by the collection's own name, so no request meets two generations.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, replace
from typing import Any

from qdrant_client import models

from services.descriptions import AttributeKind, CatalogSpec, to_directions, to_findings, to_generations
from services.errors import CatalogNotFound, DataCorrupt, IndexRefused
from services.formats import Format, Migration, Pending
from services.index.client import WRITE_SECONDS, Client
from services.index.payload import VECTOR
from services.index.server import ServerIndex
from services.index.server_fields import field_indexes
from services.index.server_points import vectors_config
from services.names import checked_catalog_name

_METADATA = ("id", "encoder", "weights", "resample", "fingerprint", "created_at", "quantization")
_ADDED = (
    *("generation_created_at", "generations", "features", "learned", "space", "directions", "findings"),
    "decisions",
)
"""Fields of the description that collections of v0.1 lack."""

MIGRATIONS: Sequence[Migration[str]] = (
    Migration("Store the format number in the metadata of the collection."),
    Migration("Products may have a perceptual hash and a URL, and catalogs several generations."),
)
Exclusive = Callable[[str], AbstractContextManager[object]]


class Collections:
    """The descriptions of catalogs on a Qdrant server, as `DataFolder` keeps them in a folder. Other processes may
    change them at the same time.

    `shards`, `replicas` and `write_consistency` (replicas that must acknowledge a write) apply to collections that it
    creates. A collection of an older format is upgraded when it is first read, under the lock that `exclusive` takes
    by name, so that no other process does it at the same time. Reading one of a newer format raises `FormatTooNew`.
    """

    def __init__(
        self,
        client: Client,
        *,
        prefix: str,
        shards: int = 1,
        replicas: int = 1,
        write_consistency: int = 1,
        exclusive: Exclusive = nullcontext,
        migrations: Sequence[Migration[str]] = MIGRATIONS,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._shards = shards
        self._replicas = replicas
        self._write_consistency = write_consistency
        self._exclusive = exclusive
        self._migrations = migrations

    def check(self) -> None:
        """Raises `IndexUnavailable` or another error of the index if the server cannot list the catalogs."""
        self._aliases()

    def catalogs(self) -> list[CatalogSpec]:
        """All catalogs, sorted by name."""
        found = []
        for name, collection in sorted(self._aliases().items()):
            try:
                found.append(self._spec(name, collection))
            except CatalogNotFound:
                continue  # removed meanwhile
        return found

    def has_catalog(self, name: str) -> bool:
        """Whether there is a catalog of this name. Raises `InvalidCatalog` if the name is invalid."""
        return checked_catalog_name(name) in self._aliases()

    def catalog(self, name: str) -> CatalogSpec:
        """Reads the description of a catalog.

        Raises:
            CatalogNotFound: There is no catalog of this name.
            InvalidCatalog: The name is invalid.
            DataCorrupt: The collection was not created by Lookalike.
            FormatTooNew: A newer version of Lookalike wrote it.
        """
        aliases = self._aliases()
        if checked_catalog_name(name) not in aliases:
            there = f"it has {', '.join(sorted(aliases))}" if aliases else "it has none yet"
            raise CatalogNotFound(f"There is no catalog {name!r} in the Qdrant of LOOKALIKE_QDRANT_URL; {there}.")
        return self._spec(name, aliases[name])

    def create(self, spec: CatalogSpec) -> None:
        """Creates a catalog without products. It is visible once its alias exists, which is created last."""
        self.prepare(spec)
        self._point(spec, None)

    def prepare(self, spec: CatalogSpec) -> None:
        """Creates the collection of a description's live generation, unless it is there; the alias stays."""
        collection = self._collection(spec)
        # The collection may exist: from an earlier attempt, or because the client retried after a lost answer.
        if not self._exists(collection):
            try:
                self._create_collection(collection, spec)
            except IndexRefused:
                if not self._exists(collection):
                    raise
        index = self.index(spec)
        index.create_field_indexes()
        index.declare(spec.indexed_attributes)

    def save(self, spec: CatalogSpec) -> None:
        """Stores the description of a catalog. Of its indexed attributes, the index may have only some.

        Where another generation is live now, its collection is described first, which nobody reads before the alias is
        moved to it, in one step.
        """
        collection = self._collection(spec)
        self._client.call("update_collection", collection, metadata=_metadata(spec), timeout=WRITE_SECONDS)
        if (now := self._aliases().get(spec.name)) != collection:
            self._point(spec, now)

    def remove(self, name: str) -> None:
        """Removes a catalog with its vectors. Raises `CatalogNotFound`."""
        spec = self.catalog(name)
        for other in spec.generations:
            self.remove_vectors(replace(spec, generation=other.id))
        # Qdrant deletes the alias, too. If we deleted it first and then failed, the vectors would be orphaned.
        self._client.call("delete_collection", self._collection(spec), timeout=WRITE_SECONDS)

    def remove_vectors(self, spec: CatalogSpec) -> None:
        """Removes the vectors of a description's live generation, which the catalog has no more. Idempotent."""
        with suppress(CatalogNotFound):
            self._client.call("delete_collection", self._collection(spec), timeout=WRITE_SECONDS)

    def index(self, spec: CatalogSpec) -> ServerIndex:
        """The index of a description's live generation; sends no request yet."""
        return ServerIndex(
            self._client,
            self._collection(spec),
            catalog=spec.name,
            dim=spec.dim,
            quantization=spec.quantization,
        )

    def check_space(self, planned: int = 0) -> None:
        """Does nothing: the disk belongs to the server, which refuses writes when it is full."""

    def upgrade(self, *, dry: bool = False) -> list[Pending]:
        """Upgrades every catalog; returns the steps taken, or with `dry` the steps due. Raises `FormatTooNew`."""
        found = []
        for name, collection in sorted(self._aliases().items()):
            try:
                found.append(self._format(name, collection).pending())
                if found[-1].steps and not dry:
                    self._spec(name, collection)
            except (CatalogNotFound, DataCorrupt):
                # Removed meanwhile, or not created by Lookalike, which is reported when the catalog is read.
                continue
        return found

    def close(self) -> None:
        self._client.close()

    def _alias(self, name: str) -> str:
        return f"{self._prefix}.{name}"

    def _collection(self, spec: CatalogSpec) -> str:
        return f"{self._alias(spec.name)}.{spec.generation}"

    def _point(self, spec: CatalogSpec, now: str | None) -> None:
        """Makes the generation of a description the live one, in place of the collection `now`, in one step."""
        alias = self._alias(spec.name)
        wanted = models.CreateAlias(alias_name=alias, collection_name=self._collection(spec))
        operations: list[models.AliasOperations] = [models.CreateAliasOperation(create_alias=wanted)]
        if now is not None:
            operations.insert(0, models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)))
        self._client.call("update_collection_aliases", operations, timeout=WRITE_SECONDS)

    def _aliases(self) -> dict[str, str]:
        """The collection of each catalog, by the catalog's name."""
        answer = self._client.call("get_aliases")
        start = f"{self._prefix}."
        return {
            each.alias_name.removeprefix(start): each.collection_name
            for each in answer.aliases
            if each.alias_name.startswith(start) and "." not in each.alias_name.removeprefix(start)
        }

    def _exists(self, collection: str) -> bool:
        return bool(self._client.call("collection_exists", collection))

    def _create_collection(self, name: str, spec: CatalogSpec) -> None:
        self._client.call(
            "create_collection",
            name,
            vectors_config(spec.dim, spec.quantization),
            shard_number=self._shards,
            replication_factor=self._replicas,
            write_consistency_factor=self._write_consistency,
            metadata=_described(spec) | {"format": len(self._migrations)},
            timeout=WRITE_SECONDS,
        )

    def _spec(self, name: str, collection: str) -> CatalogSpec:
        info = self._client.call("get_collection", collection)
        vectors: Any = info.config.params.vectors
        missing = self._format(name, collection, info).pending().steps
        generation = collection.removeprefix(f"{self._alias(name)}.")
        try:
            # Qdrant interprets null as a request to remove the field, so a missing fingerprint is None.
            metadata = {"fingerprint": None} | (info.config.metadata or {})
            described = {field: metadata[field] for field in _METADATA}
            described |= {field: metadata[field] for field in _ADDED if field in metadata}
            described["generations"] = to_generations(metadata.get("generations", ()))
            described["directions"] = to_directions(metadata.get("directions", ()))
            described["findings"] = to_findings(metadata.get("findings", ()))
            dim = vectors[VECTOR].size
        except (KeyError, TypeError, ValueError):
            raise DataCorrupt(
                f"The collection {collection} in Qdrant was not made by Lookalike: take another "
                "LOOKALIKE_QDRANT_PREFIX, or remove its alias."
            ) from None
        if missing:
            # Only now is it known that the collection was created by Lookalike.
            with self._exclusive(f"the format of {collection}"):
                self._format(name, collection).upgrade()
        spec = CatalogSpec(name=name, generation=generation, dim=dim, **described)
        return replace(spec, indexed_attributes=_declared(info))

    def _format(self, name: str, collection: str, info: Any = None) -> Format[str]:
        """The format of a collection; `info` is Qdrant's description of it, None to request it again."""

        def read() -> int:
            found = info or self._client.call("get_collection", collection)
            number = (found.config.metadata or {}).get("format", 0)
            # Whoever made a collection in which that is no number, it was not Lookalike: `_spec` says so.
            return number if isinstance(number, int) else 0

        def write(number: int) -> None:
            self._client.call("update_collection", collection, metadata={"format": number}, timeout=WRITE_SECONDS)

        return Format(
            collection,
            f"The catalog {name} in Qdrant",
            "restore a backup under another LOOKALIKE_QDRANT_PREFIX",
            self._migrations,
            read,
            write,
        )


def _described(spec: CatalogSpec) -> dict[str, Any]:
    """The fields of a description that metadata have; Qdrant takes no null for a value, so there is none."""
    fields = {field: value for field, value in asdict(spec).items() if field in (*_METADATA, *_ADDED)}
    lists: dict[str, Sequence[Any]] = {
        "generations": spec.generations,
        "directions": spec.directions,
        "findings": spec.findings,
    }
    for name, records in lists.items():
        fields[name] = [
            {field: value for field, value in asdict(each).items() if value is not None or field == "fingerprint"}
            for each in records
        ]
    return fields


def _metadata(spec: CatalogSpec) -> dict[str, Any]:
    """What changes of the metadata; a null removes a field."""
    kinds = {name: kind.value for name, kind in spec.indexed_attributes.items()}
    return _described(spec) | {"indexed_attributes": kinds}


def _declared(info: models.CollectionInfo) -> dict[str, AttributeKind]:
    """The indexed attributes: those of the index, and those that it leaves out because of values of other kinds."""
    described = (info.config.metadata or {}).get("indexed_attributes") or {}
    indexed = {name: index.kind for name, index in field_indexes(info).items()}
    return {name: AttributeKind(kind) for name, kind in described.items()} | indexed
