"""The catalogs on a Qdrant server: for each generation a collection, for each catalog an alias to one of them.

    PREFIX.NAME                 the alias: the generation that is searched
    PREFIX.NAME.GENERATION      the collection; its metadata are a `CatalogSpec`'s fields and the number of its format

A name of a catalog has no dot, so none of these is two things.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from typing import Any

from qdrant_client import models

from services.errors import CatalogNotFound, DataCorrupt, IndexRefused
from services.formats import Format, Migration, Pending
from services.index.client import WRITE_SECONDS, Client
from services.index.payload import VECTOR
from services.index.server import ServerIndex, declared, vectors_config
from services.names import checked_catalog_name
from services.records import CatalogSpec

_METADATA = ("id", "encoder", "weights", "resample", "fingerprint", "created_at", "quantization")

MIGRATIONS: Sequence[Migration[str]] = (Migration("Store the format number in the metadata of the collection."),)
Exclusive = Callable[[str], AbstractContextManager[object]]


class Collections:
    """What `DataFolder` is where there is no folder: where catalogs are described. Other processes change them, too.

    `shards`, `replicas` and `write_consistency` (replicas that must have taken a write) are of the collections that it
    makes. A collection that an older version made is upgraded when it is first looked at, under `exclusive`: while no
    other process does what has the same name. Reading one of a newer version raises `FormatTooNew`.
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
        """Raises where the server cannot tell which catalogs there are."""
        self._aliases()

    def catalogs(self) -> list[CatalogSpec]:
        """All catalogs, by name."""
        found = []
        for name, collection in sorted(self._aliases().items()):
            try:
                found.append(self._spec(name, collection))
            except CatalogNotFound:
                continue  # removed meanwhile
        return found

    def has_catalog(self, name: str) -> bool:
        """Raises `InvalidCatalog` (the name)."""
        return checked_catalog_name(name) in self._aliases()

    def catalog(self, name: str) -> CatalogSpec:
        """Raises `CatalogNotFound`, `InvalidCatalog` (the name), `DataCorrupt`."""
        aliases = self._aliases()
        if checked_catalog_name(name) not in aliases:
            there = f"it has {', '.join(sorted(aliases))}" if aliases else "it has none yet"
            raise CatalogNotFound(f"There is no catalog {name!r} in the Qdrant of LOOKALIKE_QDRANT_URL; {there}.")
        return self._spec(name, aliases[name])

    def create(self, spec: CatalogSpec) -> None:
        """A new catalog without products. It is there when its alias is, which comes last."""
        collection = self._collection(spec)
        # Whoever repeats this finds what it has done; so does the client, where an answer was lost.
        if not self._exists(collection):
            try:
                self._create_collection(collection, spec)
            except IndexRefused:
                if not self._exists(collection):
                    raise
        index = self.index(spec)
        index.create_field_indexes()
        index.declare(spec.indexed_attributes)
        alias = models.CreateAlias(alias_name=self._alias(spec.name), collection_name=collection)
        operation = models.CreateAliasOperation(create_alias=alias)
        self._client.call("update_collection_aliases", [operation], timeout=WRITE_SECONDS)

    def save(self, spec: CatalogSpec) -> None:
        """Writes down what can change about a catalog; its indexed attributes are those of the index."""
        self._client.call(
            "update_collection",
            self._collection(spec),
            metadata={"fingerprint": spec.fingerprint, "weights": spec.weights},
            timeout=WRITE_SECONDS,
        )

    def remove(self, name: str) -> None:
        """Removes a catalog with its vectors. Raises `CatalogNotFound`."""
        # Its alias goes with it. Removed first, it would leave vectors that nobody finds where what follows fails.
        self._client.call("delete_collection", self._collection(self.catalog(name)), timeout=WRITE_SECONDS)

    def index(self, spec: CatalogSpec) -> ServerIndex:
        """The vectors of a catalog's current generation; nothing is asked of the server yet."""
        return ServerIndex(
            self._client,
            self._collection(spec),
            catalog=spec.name,
            dim=spec.dim,
            quantization=spec.quantization,
        )

    def check_space(self, planned: int = 0) -> None:
        """Nothing to do: the disk is the server's, which refuses writes when it is full."""

    def upgrade(self, *, dry: bool = False) -> list[Pending]:
        """Upgrades every catalog and tells what was done; `dry`: what is to be done. Raises `FormatTooNew`."""
        found = []
        for name, collection in sorted(self._aliases().items()):
            try:
                found.append(self._format(name, collection).pending())
                if found[-1].steps and not dry:
                    self._spec(name, collection)
            except (CatalogNotFound, DataCorrupt):
                # Removed meanwhile, or not made by Lookalike, which is said where that catalog is asked for.
                continue
        return found

    def close(self) -> None:
        self._client.close()

    def _alias(self, name: str) -> str:
        return f"{self._prefix}.{name}"

    def _collection(self, spec: CatalogSpec) -> str:
        return f"{self._alias(spec.name)}.{spec.generation}"

    def _aliases(self) -> dict[str, str]:
        """The collection of each catalog, by name."""
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
            metadata={field: value for field, value in asdict(spec).items() if field in _METADATA}
            | {"format": len(self._migrations)},
            timeout=WRITE_SECONDS,
        )

    def _spec(self, name: str, collection: str) -> CatalogSpec:
        info = self._client.call("get_collection", collection)
        vectors: Any = info.config.params.vectors
        missing = self._format(name, collection, info).pending().steps
        generation = collection.removeprefix(f"{self._alias(name)}.")
        try:
            # Qdrant takes null for a wish to remove what is under that name.
            described = {"fingerprint": None} | (info.config.metadata or {})
            described = {field: described[field] for field in _METADATA}
            dim = vectors[VECTOR].size
        except (KeyError, TypeError):
            raise DataCorrupt(
                f"The collection {collection} in Qdrant was not made by Lookalike: take another "
                "LOOKALIKE_QDRANT_PREFIX, or remove its alias."
            ) from None
        if missing:
            # Only now: until here the collection may have been anybody's.
            with self._exclusive(f"the format of {collection}"):
                self._format(name, collection).upgrade()
        spec = CatalogSpec(name=name, generation=generation, dim=dim, **described)
        return replace(spec, indexed_attributes=declared(info))

    def _format(self, name: str, collection: str, info: Any = None) -> Format[str]:
        """The format of a collection; `info` is what Qdrant tells of it, None asks anew."""

        def read() -> int:
            found = info or self._client.call("get_collection", collection)
            return int((found.config.metadata or {}).get("format", 0))

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
