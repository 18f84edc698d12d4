"""Looking through a catalog for duplicates: each picture that was not looked for yet, among the nearest others."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice

import numpy as np

from services.catalog.background import attempt
from services.catalog.copying import read_points
from services.catalog.features import normalized
from services.catalog.findings import KeptFindings
from services.catalog.matches import lowest, matches
from services.descriptions import Finding, rfc3339
from services.explore.duplicates import identity, pair
from services.explore.found_duplicates import FoundDuplicates, from_bytes, key
from services.explore.kinds import Kind
from services.index.vector_index import VectorIndex
from services.query.likeness import Hashes
from services.query.query import MAX_LIMIT
from services.query.space import Space

NAME = "duplicates"
KEEP_SECONDS = 5.0
"""Between two times that what was found so far is kept, or a tenth of what the scan has taken by then, if that is more:
a process that dies loses no more, and what is kept does not grow with the square of the catalog."""
_PAGE = 256
_AT_ONCE = 16
"""Pictures that are looked for between two reports."""

Report = Callable[[int, int], object]
"""Called with how many pictures were looked for, and how many there are."""


class DuplicateScan:
    """Looks through a catalog once.

    It goes on from a finding of the same vectors, complete or not: only pictures that are no part of it are looked for,
    and what is gone is left out. So an interrupted scan goes on where it was, and a catalog that has changed is looked
    through in the time that its new pictures take.

    Args:
        index: Where the products are.
        findings: Where what is found is kept.
        space: That of the catalog.
        fingerprint: Of its vectors.
        keep_seconds: As `KEEP_SECONDS`.
    """

    def __init__(
        self,
        index: VectorIndex,
        findings: KeptFindings,
        *,
        space: Callable[[], Space | None],
        fingerprint: str | None,
        keep_seconds: float = KEEP_SECONDS,
    ) -> None:
        self._index = index
        self._findings = findings
        self._space = space
        self._fingerprint = fingerprint
        self._keep_seconds = keep_seconds
        self._version = index.max_version()
        self._began = self._kept_at = time.monotonic()
        self._kept = findings.find(NAME)
        self._products = 0
        self._copies: Mapping[str, Sequence[str]] = {}
        self._looked: list[int] = []
        self._pairs: dict[tuple[str, str], Kind] = {}

    def run(self, report: Report, check: Callable[[], object]) -> Finding:
        """Looks through it, and returns the finding, which is kept.

        Args:
            report: Called again and again.
            check: Called often; what it raises ends this, and what was found by then is kept, as a part.

        Raises `IndexUnavailable`, `CatalogNotFound`, `DataFull`, `DataNotWritable`, and what `report` and `check` do.
        """
        before = self._before()
        self._count(check)
        keys = {key(picture): picture for picture in self._copies}
        before = before.among(self._copies, np.fromiter(keys, np.uint64, len(keys)))
        self._looked, self._pairs = [int(each) for each in before.looked], dict(before.pairs)
        seen = set(self._looked)
        waiting = (picture for number, picture in keys.items() if number not in seen)
        report(len(self._looked), len(keys))
        try:
            while some := list(islice(waiting, _AT_ONCE)):
                for picture in some:
                    check()
                    self._look_for(picture)
                report(len(self._looked), len(keys))
                if self._is_time():
                    self._keep_part()
        except BaseException:
            if len(self._looked) > len(seen):
                attempt("keeping what was found of duplicates", self._keep_part)
            raise
        return self._keep(cursor=None)

    def _before(self) -> FoundDuplicates:
        """What is known already of these vectors."""
        if self._kept is None or self._kept.fingerprint != self._fingerprint:
            return FoundDuplicates()
        return from_bytes(self._findings.read(self._kept)) or FoundDuplicates()

    def _count(self, check: Callable[[], object]) -> None:
        """The products of each picture. Those of which no picture is known are no duplicates of any."""
        copies: dict[str, list[str]] = {}
        for number, point in enumerate(read_points(self._index, _PAGE, vectors=False)):
            if number % _PAGE == 0:
                check()
            self._products = number + 1
            if (picture := identity(point.image, point.perceptual)) is not None:
                copies.setdefault(picture, []).append(point.product_id)
        self._copies = copies

    def _look_for(self, picture: str) -> None:
        """Finds the pictures that are a pair with one, which then counts as looked for."""
        copies = self._copies[picture]
        [point] = self._index.get(copies[:1], vectors=True)
        if point is None or point.vector is None or identity(point.image, point.perceptual) != picture:
            return  # it has changed meanwhile, so there will be another scan
        vector, hashes = normalized(point.vector)[0], Hashes(point.image, point.perceptual)
        for each in matches(self._index, vector, hashes, lowest(self._space()), exclude=copies[:MAX_LIMIT]):
            other = identity(each.neighbor.image, each.neighbor.perceptual)
            # What has come meanwhile is looked for by the next scan.
            if other is not None and other != picture and other in self._copies:
                self._pairs[pair(picture, other)] = each.kind
        self._looked.append(key(picture))

    def _is_time(self) -> bool:
        now = time.monotonic()
        return now - self._kept_at >= max(self._keep_seconds, (now - self._began) / 10)

    def _keep_part(self) -> None:
        """Keeps what was found so far, unless somebody else has kept a finding meanwhile, which may be more."""
        here = self._findings.described(NAME)
        if (here and here.object) == (self._kept and self._kept.object):
            self._kept = self._keep(cursor=str(len(self._looked)))
        self._kept_at = time.monotonic()

    def _keep(self, *, cursor: str | None) -> Finding:
        pictures = {picture: self._copies[picture] for picture in self._shared()}
        found = FoundDuplicates(np.array(self._looked, np.uint64), pictures, self._pairs)
        now = rfc3339(datetime.now(UTC))
        finding = Finding(NAME, "", self._fingerprint, self._products, self._version, now, cursor)
        return self._findings.keep(finding, found.to_bytes())

    def _shared(self) -> Iterator[str]:
        """The pictures that make duplicates."""
        paired = {picture for each in self._pairs for picture in each}
        return (picture for picture, products in self._copies.items() if len(products) > 1 or picture in paired)
