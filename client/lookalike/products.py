"""A catalog's products: changing, reading and listing them."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lookalike.changes import ImageSource, bytes_of, image_fields
from lookalike.filters import FilterLike, filter_json
from lookalike.records import CatalogInfo, Job, Product, job_of, of, product_of
from lookalike.retries import answered, asked
from lookalike.steps import ANSWER_SECONDS, Call, Request, Steps
from lookalike.vectors import Vectors, to_numpy
from lookalike.wire import dumped, form, given, keyed, params_of, product_path, read, with_json

NUMBERS_AT_ONCE = 1 << 18
"""Of vectors that are read at a time: JSON and what is made of it take some 60 bytes for each."""
MOST_AT_ONCE = 1000


class Products:
    """Changes and reads the products of one catalog; each method makes the steps of one.

    Args:
        path: The catalog's.
        patience: Seconds in which a request is sent again.
    """

    def __init__(self, path: str, patience: float) -> None:
        self._path = path
        self._patience = patience

    def describe(self) -> Steps[CatalogInfo]:
        return of(CatalogInfo, (yield from asked(read(self._path), self._patience)))

    def create(self, options: Mapping[str, Any]) -> Steps[CatalogInfo]:
        return of(CatalogInfo, (yield from asked(with_json("PUT", self._path, given(options)), self._patience)))

    def remove(self) -> Steps[None]:
        # Sent again after a lost answer, it would be told that there is none.
        yield from answered(Request("DELETE", self._path), self._patience)

    def get(self, product_id: str) -> Steps[Product]:
        return product_of((yield from asked(read(product_path(self._path, product_id)), self._patience)))

    def file(self, product_id: str, what: str) -> Steps[bytes]:
        """Its `image` or `thumbnail`."""
        request = read(f"{product_path(self._path, product_id)}/{what}")
        return (yield from answered(request, self._patience)).body

    def page(self, cursor: str | None, filter: FilterLike | None, options: Mapping[str, Any]) -> Steps[Any]:
        text = None if filter is None else dumped(filter_json(filter))
        return (
            yield from asked(
                read(f"{self._path}/products", {"cursor": cursor, "filter": text, **options}), self._patience
            )
        )

    def change(
        self,
        method: str,
        product_id: str,
        image: ImageSource | None = None,
        attributes: Mapping[str, Any] | None = None,
        *,
        wait: float | None,
        duplicates: str | None = None,
    ) -> Steps[Job]:
        """Puts, patches or deletes one product. Raises `ChangeFailed` where it was waited for, and failed."""
        headers, body = keyed(None), None
        if isinstance(image, Path | bytes):
            data = yield Call(partial(bytes_of, image))
            type, body = form(given({"attributes": attributes}), [("image", data)])
            headers |= type
        elif method != "DELETE":
            headers["Content-Type"] = "application/json"
            body = dumped(given({**image_fields(image), "attributes": attributes})).encode()
        request = Request(
            *(method, product_path(self._path, product_id), params_of({"wait": wait, "duplicates": duplicates})),
            headers=headers,
            body=body,
            is_safe=True,
            seconds=ANSWER_SECONDS + (wait or 0),
        )
        return job_of((yield from asked(request, self._patience)))

    def delete_matching(self, filter: FilterLike) -> Steps[Job]:
        path = f"{self._path}/products/delete"
        request = with_json("POST", path, {"filter": filter_json(filter)}, headers=keyed(None))
        return job_of((yield from asked(request, self._patience)))

    def count(self, filter: FilterLike | None) -> Steps[int]:
        return int((yield from self.page(None, filter, {"limit": 1, "total": True}))["total"])


def rows_of(products: Sequence[Product]) -> tuple[list[str], Vectors]:
    """The IDs of products that have their vectors, and these: shape (n, dim)."""
    return [each.product_id for each in products], to_numpy(each.vector for each in products)


def rows_at_once(dim: int) -> int:
    """How many vectors are read at a time."""
    return max(1, min(MOST_AT_ONCE, NUMBERS_AT_ONCE // dim))
