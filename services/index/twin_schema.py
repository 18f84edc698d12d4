"""The payload indexes of the twin's collections: Qdrant's local mode has none."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qdrant_client import models

from services.query.filters import steps


class TwinSchema:
    """The kind of each payload index, or its parameters as JSON, by collection and key.

    Args:
        path: The folder that keeps them; None for memory only.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = path and path / "indexes.json"
        self._kept: dict[str, dict[str, str]] = {}
        if self._file and self._file.exists():
            self._kept = json.loads(self._file.read_text())

    def add(self, collection: str, wanted: models.CreateFieldIndex) -> None:
        params = wanted.model_dump(mode="json", exclude_none=True)["field_schema"]
        self._kept.setdefault(collection, {})[wanted.field_name] = (
            params if isinstance(params, str) else json.dumps(params)
        )
        self._keep()

    def remove(self, collection: str, key: str) -> None:
        self._kept.get(collection, {}).pop(key, None)
        self._keep()

    def forget(self, collection: str) -> None:
        self._kept.pop(collection, None)
        self._keep()

    def infos(self, collection: str, points: int) -> dict[str, models.PayloadIndexInfo]:
        return {key: models.PayloadIndexInfo(points=points, **each) for key, each in self._described(collection)}

    def kind(self, collection: str, key: str) -> str:
        """The kind of a key's index; an empty string where it has none."""
        return next((each["data_type"] for name, each in self._described(collection) if steps(name) == steps(key)), "")

    def _described(self, collection: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for key, kept in self._kept.get(collection, {}).items():
            params = json.loads(kept) if kept.startswith("{") else None
            yield key, {"data_type": params["type"] if params else kept, "params": params}

    def _keep(self) -> None:
        if self._file:
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps(self._kept))
            new.replace(self._file)
