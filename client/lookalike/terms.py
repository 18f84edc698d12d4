"""Terms of a query: what is to be near, and what is not.

[product("sneaker-12"), product("mug-3", weight=-1), picture(Path("shoe.jpg")), direction("floral", weight=0.5)]
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from lookalike.changes import bytes_of
from lookalike.vectors import VectorLike, to_list


@dataclass(frozen=True, slots=True)
class Term:
    """One term: `fields` as the HTTP API has them, or a `file` that is sent with the query."""

    fields: Mapping[str, Any]
    file: Path | bytes | None = None


TermLike: TypeAlias = Term | str
"""A term, or the ID of a product."""


def product(product_id: str, weight: float | None = None) -> Term:
    """A product of the catalog."""
    return _term({"product_id": product_id}, weight)


def picture(image: Path | bytes | str, weight: float | None = None) -> Term:
    """A picture: a file, the bytes of one, or a URL."""
    if isinstance(image, str):
        return _term({"image_url": image}, weight)
    return _term({}, weight, image)


def vector(values: VectorLike, weight: float | None = None) -> Term:
    """A vector of the catalog's space."""
    return _term({"vector": to_list(values)}, weight)


def direction(name: str, weight: float | None = None) -> Term:
    """A direction that the catalog has learned: `weight` says how far to go, 1 as far as usual."""
    return _term({"direction": name}, weight)


def _term(fields: Mapping[str, Any], weight: float | None, file: Path | bytes | None = None) -> Term:
    return Term(fields if weight is None else {**fields, "weight": weight}, file)


class Pictures:
    """The pictures of a query's terms, as the parts of a form that it names `image_1` to `image_8`."""

    def __init__(self) -> None:
        self._parts: dict[Path | bytes, str] = {}

    def written(self, terms: Iterable[TermLike]) -> list[dict[str, Any]]:
        """Terms as JSON, which name pictures by their parts."""
        return [self.one(each) for each in terms]

    def one(self, term: TermLike) -> dict[str, Any]:
        """A term as JSON."""
        if isinstance(term, str):
            return {"product_id": term}
        if term.file is None:
            return dict(term.fields)
        part = self._parts.setdefault(term.file, f"image_{len(self._parts) + 1}")
        return {"image": part, **term.fields}

    def __bool__(self) -> bool:
        return bool(self._parts)

    def files(self) -> list[tuple[str, bytes]]:
        """The parts, which are read now. Raises `OSError`."""
        return [(part, bytes_of(file)) for file, part in self._parts.items()]
