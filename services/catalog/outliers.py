"""The outliers of a catalog: products that are unlike their own label, and products that nothing is alike.

Each list is a finding: `outliers:KEY` that of the label with this key, and `outliers` that of isolated products.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypedDict, cast

from services.catalog.findings import KeptFindings, is_stale
from services.catalog.isolated import Isolated, KeptIsolated, isolated
from services.catalog.labels import values_at
from services.catalog.mislabeled import KeptOutlier, Mislabeled, Watch, mislabeled
from services.catalog.space import FEWEST
from services.catalog.unknown_keys import advice, meant
from services.descriptions import CatalogSpec, Finding, rfc3339
from services.errors import Conflict, FindingNotFound, InvalidInput, LabelUnusable, TooFewProducts
from services.index.vector_index import VectorIndex
from services.paging import from_cursor, to_cursor
from services.query.filters import checked_keys
from services.query.query import checked_limit
from services.query.space import Space
from services.records import Attributes

OUTLIERS = "outliers"
NEXT = "isolated:next"
"""The name of what a search for isolated products has found so far. The list that there is stays meanwhile."""
GONE_ON_SECONDS = 3600.0
"""For so long a search that was interrupted is gone on with: after that, too much may have changed."""
_PAGE = 100


class ShownOutlier(TypedDict, total=False):
    """An outlier as it is shown: of a label it has `label`, `looks_like` and `disagreeing`, of isolated products
    `nearest` and `percentile`."""

    product_id: str
    attributes: Attributes
    score: float
    label: str
    looks_like: str
    disagreeing: float | None
    nearest: str
    percentile: float


class Outliers(TypedDict):
    """A page of a list. `label` is None for isolated products, of which all are judged. `found` counts all that were
    found, of which at most `MOST` are kept. `stale`: the catalog has changed since. `complete`: all products were
    looked at."""

    label: str | None
    products: int
    judged: int
    unlabeled: int
    several_labels: int
    rare_labels: int
    rare: list[str]
    found: int
    found_at: str
    stale: bool
    complete: bool
    outliers: list[ShownOutlier]
    next: str | None


def nobody(done: int, total: int) -> None:
    """Watches nothing."""


def nothing() -> None:
    """Goes on."""


class KeptOutliers:
    """The outliers of a catalog. Thread-safe.

    Args:
        index: Where the vectors are.
        findings: Where lists are kept.
        described: The description of the catalog.
        space: That of the catalog; None while it has too few products.
    """

    def __init__(
        self,
        index: VectorIndex,
        findings: KeptFindings,
        *,
        described: Callable[[], CatalogSpec],
        space: Callable[[], Space | None],
    ) -> None:
        self._index = index
        self._findings = findings
        self._described = described
        self._space = space

    def check(self, label: str | None) -> Space:
        """The space of the catalog. Raises what is known to be wrong before anything is looked at: `InvalidInput`,
        `LabelUnusable`, `TooFewProducts`."""
        name = self._described().name
        if label is not None:
            checked_keys([label])
            for key, other in meant(self._index, self._described().indexed_attributes, [label]).items():
                raise LabelUnusable(f"No product of catalog {name} has a value at {key}: {advice(other)}.")
        space = self._space()
        if space is None:
            raise TooFewProducts(
                f"Catalog {name} has too few products to say what is unusual among them: it takes {FEWEST}."
            )
        return space

    def look(self, label: str | None, watch: Watch = nobody, check: Callable[[], object] = nothing) -> Finding:
        """Looks through the catalog for products that are unlike their own label, or with None for isolated ones, and
        keeps the list in the place of the one before.

        What was found of isolated products is kept every few seconds: who looks after this has ended halfway goes on
        from there.

        Args:
            label: The key of an attribute, as filters write it, or None.
            watch: Called with how much is done, and of how much.
            check: Called often; what it raises ends this.

        Raises `InvalidInput`, `LabelUnusable`, `TooFewProducts`, `CatalogNotFound`, `DataFull`, `DataNotWritable`,
        `IndexUnavailable`.
        """
        space = self.check(label)
        if label is None:
            return self._look_for_isolated(space, watch, check)
        begun = self._begun(label)
        mean = space.mean if self._described().features == "head" else None
        what = f"catalog {self._described().name}"
        found = mislabeled(self._index, label, mean, begun.version, what, watch, check)
        return self._keep(begun, found, None)

    def page(
        self, label: str | None, *, value: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Outliers:
        """The next of a list, those that are most unusual first, without products that are gone, or have another label
        or picture now.

        Args:
            label: The key of an attribute; None: isolated products.
            value: Only products with this label.
            limit: How many, up to 1,000.
            cursor: The `next` of the page before.

        Raises `FindingNotFound`, `Conflict` where the list was made anew since the page before, `InvalidInput`.
        """
        limit = checked_limit(limit)
        if value is not None and label is None:
            raise InvalidInput("value: isolated products have no label that is looked at; leave it out.")
        finding = self._finding(label)
        found = cast(Mislabeled | Isolated, json.loads(self._findings.read(finding)))
        # One more than the page has, to know whether there is a next.
        there = [*islice(self._there(label, value, found, _offset(cursor, finding)), limit + 1)]
        following = to_cursor(f"{there[limit - 1][0]}o{finding.object[:16]}") if len(there) > limit else None
        counts = {"judged": found["products"], "unlabeled": 0, "several_labels": 0, "rare_labels": 0, "rare": []}
        return cast(
            Outliers,
            {
                "label": label,
                **counts,
                **found,
                "found_at": finding.found_at,
                "stale": is_stale(finding, self._described(), self._index),
                "complete": finding.cursor is None,
                "outliers": [each for _, each in there[:limit]],
                "next": following,
            },
        )

    def _look_for_isolated(self, space: Space, watch: Watch, check: Callable[[], object]) -> Finding:
        before, cursor = self._findings.find(NEXT), None
        begun, found = self._begun(None), Isolated(products=0, found=0, outliers=[])
        if before and before.fingerprint == begun.fingerprint and _age(before) < GONE_ON_SECONDS:
            begun, cursor = replace(before, name=OUTLIERS), before.cursor
            found = cast(Isolated, json.loads(self._findings.read(before)))
        part = replace(begun, name=NEXT)
        found = isolated(
            *(self._index, space, found, cursor),
            *(lambda so_far, on: self._keep(part, so_far, on), watch, check),
        )
        kept = self._keep(begun, found, None)
        self._findings.remove(NEXT)
        return kept

    def _begun(self, label: str | None) -> Finding:
        return Finding(
            name=_name(label),
            object="",
            fingerprint=self._described().fingerprint,
            products=0,
            version=self._index.max_version(),
            found_at="",
        )

    def _keep(self, begun: Finding, found: Mislabeled | Isolated, cursor: str | None) -> Finding:
        kept = Finding(
            name=begun.name,
            object="",
            fingerprint=begun.fingerprint,
            products=found["products"],
            version=begun.version,
            found_at=rfc3339(datetime.now(UTC)),
            cursor=cursor,
        )
        return self._findings.keep(kept, json.dumps(found).encode())

    def _finding(self, label: str | None) -> Finding:
        if label is not None:
            checked_keys([label])
        finding = self._findings.described(_name(label)) or (self._findings.described(NEXT) if label is None else None)
        if finding is None:
            name = self._described().name
            way = "--isolated" if label is None else f"--label {label}"
            what = "isolated products" if label is None else f"products that are unlike their {label}"
            raise FindingNotFound(
                f"Catalog {name} has not been looked through for {what}: `lookalike outliers {way}` does it, and over "
                "HTTP PUT."
            )
        return finding

    def _there(
        self, label: str | None, value: str | None, found: Mislabeled | Isolated, start: int
    ) -> Iterator[tuple[int, ShownOutlier]]:
        """The outliers from one place on that are still what was found, each with the place after it."""
        kept = cast(list[KeptOutlier | KeptIsolated], found["outliers"])
        for first in range(start, len(kept), _PAGE):
            some = kept[first : first + _PAGE]
            points = self._index.get([each["product_id"] for each in some])
            for at, (each, point) in enumerate(zip(some, points, strict=True), first + 1):
                if point is None or point.image != each["image"]:
                    continue
                own = cast(dict[str, Any], each).get("label")
                if label is not None and values_at(point.attributes, label) != {own}:
                    continue
                if value is None or own == value:
                    told = {name: told for name, told in each.items() if name != "image"}
                    yield at, cast(ShownOutlier, told | {"attributes": dict(point.attributes)})


def _age(finding: Finding) -> float:
    """How many seconds ago it was kept."""
    return (datetime.now(UTC) - datetime.fromisoformat(finding.found_at)).total_seconds()


def _name(label: str | None) -> str:
    return OUTLIERS if label is None else f"{OUTLIERS}:{label}"


def _offset(cursor: str | None, finding: Finding) -> int:
    """Where a page begins."""
    if cursor is None:
        return 0
    offset, _, object = from_cursor(cursor).partition("o")
    if not offset.isdecimal() or len(offset) > 6 or len(object) != 16:
        raise InvalidInput(f"The cursor {cursor[:80]!r} was not returned by this list; start again without one.")
    if object != finding.object[:16]:
        raise Conflict("These outliers were looked for anew since the page before: begin again without a cursor.")
    return int(offset)
