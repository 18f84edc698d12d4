"""Where the descriptions of catalogs are kept."""

from typing import Protocol

from services.descriptions import CatalogSpec


class Registry(Protocol):
    """Where the descriptions of catalogs are kept."""

    def check(self) -> None:
        """Raises `IndexUnavailable` or `DataCorrupt` if the catalogs cannot be listed."""

    def catalogs(self) -> list[CatalogSpec]:
        """All, by name. Raises `DataCorrupt`."""

    def has_catalog(self, name: str) -> bool:
        """Raises `InvalidCatalog`."""

    def catalog(self, name: str) -> CatalogSpec:
        """Raises `CatalogNotFound`, `InvalidCatalog`, `DataCorrupt`."""

    def create(self, spec: CatalogSpec) -> None:
        """Adds a catalog whose name is free."""

    def prepare(self, spec: CatalogSpec) -> None:
        """Makes room for the vectors of a description's live generation, unless it is there."""

    def save(self, spec: CatalogSpec) -> None:
        """Changes the description of a catalog. Where another generation is live now, that is so in one step."""

    def remove(self, name: str) -> None:
        """Removes a catalog with the vectors of all generations. Raises `CatalogNotFound`."""

    def remove_vectors(self, spec: CatalogSpec) -> None:
        """Removes the vectors of a description's live generation, which the catalog has no more. Idempotent."""

    def check_space(self, planned: int = 0) -> None:
        """Raises `DataFull` where so many bytes should not be written."""

    def close(self) -> None:
        """Closes it; it is unusable afterwards."""
