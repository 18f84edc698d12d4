"""The duplicates of a catalog: found by a scan, shown as groups of what is there now, and decided about."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from services.catalog.duplicate_lists import GroupLists, Listed
from services.catalog.duplicate_scan import KEEP_SECONDS, NAME, DuplicateScan, Report
from services.catalog.duplicate_shown import shown
from services.catalog.duplicate_view import Outline, decided_group, decided_groups, holding, open_groups, picture_of
from services.catalog.features import normalized
from services.catalog.findings import KeptFindings, is_stale
from services.catalog.matches import FORM, lowest, matches
from services.catalog.picture_sizes import PictureSizes
from services.catalog.plan import not_found
from services.descriptions import CatalogSpec, Finding, rfc3339
from services.errors import FindingNotFound, GroupNotFound, InvalidInput
from services.explore.decisions import Decided, Decision, Decisions
from services.explore.decisions import from_bytes as decisions_from
from services.explore.duplicate_groups import Duplicate, Group, Groups, Place
from services.explore.duplicates import identity
from services.explore.found_duplicates import FoundDuplicates, from_bytes
from services.explore.kinds import Kind
from services.index.vector_index import VectorIndex
from services.names import checked_product_id
from services.paging import from_cursor, to_cursor
from services.query.likeness import Hashes
from services.query.query import checked_limit
from services.query.space import Space

LIMIT = 20
"""Groups of a page, where nothing else is asked for: the pictures of each are opened."""
_CURSOR = re.compile(r"([01])\.([0-9])\.([0-9]{1,9})\.([0-9a-f]{16})")


class KeptDuplicates:
    """The duplicates of a catalog. Thread-safe.

    Args:
        index: Where the products are.
        findings: Where what was found, and decided, is kept.
        sizes: How large the pictures are.
        described: The description of the catalog.
        space: That of the catalog; None while it has too few products.
    """

    def __init__(
        self,
        index: VectorIndex,
        findings: KeptFindings,
        sizes: PictureSizes,
        *,
        described: Callable[[], CatalogSpec],
        space: Callable[[], Space | None],
    ) -> None:
        self._index = index
        self._findings = findings
        self._sizes = sizes
        self._described = described
        self._space = space
        self._lists = GroupLists(index)

    def look(
        self,
        report: Report = lambda _done, _total: None,
        check: Callable[[], object] = lambda: None,
        *,
        keep_seconds: float = KEEP_SECONDS,
    ) -> Finding:
        """Looks through the catalog for duplicates, as `DuplicateScan` does."""
        scan = DuplicateScan(
            *(self._index, self._findings),
            space=self._space,
            fingerprint=self._described().fingerprint,
            keep_seconds=keep_seconds,
        )
        return scan.run(report, check)

    def count(self) -> tuple[int, int]:
        """How many groups are open, and how many placeholders are among them."""
        groups = self._listed(None, self.finding())
        return len(groups), sum(each.is_placeholder for each in groups)

    def finding(self) -> Finding | None:
        """What the last scan has left; None where there was none."""
        return self._findings.described(NAME)

    def is_stale(self, finding: Finding) -> bool:
        """Whether the catalog has changed since a scan."""
        return is_stale(finding, self._described(), self._index)

    def page(
        self,
        *,
        decision: Decision | None = None,
        kind: Kind | None = None,
        placeholder: bool | None = None,
        limit: int = LIMIT,
        cursor: str | None = None,
    ) -> Groups:
        """Groups that are open, or about which this was decided; those of a kind, and only placeholders or none.

        Placeholders come first, then the surest kind; of these the larger ones. A group that is there from the first
        page to the last, and does not change, comes once.

        Raises `FindingNotFound` where open ones are asked for and no scan was ever begun, `InvalidInput`,
        `DecisionsNotFound`.
        """
        after, finding = _after(cursor), self.finding()
        if finding is None and decision is None:
            name = self._described().name
            raise FindingNotFound(
                f"Catalog {name} has not been looked through for duplicates: PUT /v1/catalogs/{name}/duplicates does "
                "it, or `lookalike duplicates`."
            )
        limit = checked_limit(limit)
        for is_again in (False, True):
            listed = [
                each
                for each in self._listed(decision, finding, anew=is_again)
                if kind in (None, each.kind) and placeholder in (None, each.is_placeholder)
            ]
            first = 0 if after is None else bisect_right(listed, after, key=lambda each: each.place)
            chosen = listed[first : first + limit]
            outlines = self._lists.outlines(chosen)
            # What changes at this moment is left out in the end.
            if None not in outlines:
                break
        page = Groups(
            groups=shown([each for each in outlines if each is not None], self._sizes),
            total=len(listed),
            next=_cursor(chosen[-1].place) if len(listed) > first + limit else None,
        )
        if finding is None:
            return page
        return replace(
            page,
            products=finding.products,
            found_at=finding.found_at,
            complete=finding.cursor is None,
            stale=self.is_stale(finding),
        )

    def decide(self, id: str, decision: Decision, keep: Sequence[str] = ()) -> Group:
        """Decides about a group, open or decided about otherwise, and returns it. It removes no product.

        Args:
            id: That of the group.
            decision: What is to become of it.
            keep: Where the others are to go, the products that stay; empty: the one that is suggested.

        Raises `GroupNotFound` where its products are others by now, `InvalidInput`, `CatalogNotFound`,
        `DecisionsNotFound`, `DataFull`, `DataNotWritable`.
        """
        group = self._find(id)
        there = {each.product_id for each in group.points}
        if keep and decision != "remove":
            raise InvalidInput(f"keep: with {decision!r} all products stay; leave it out, or decide 'remove'.")
        if strangers := [each for each in keep if each not in there]:
            raise InvalidInput(f"keep: {strangers[0]!r} is no product of group {id}.")
        if decision == "remove":
            keep = sorted({*keep}) or shown([replace(group, decided=None)], self._sizes)[0].keep
            if len(keep) == len(there):
                raise InvalidInput("keep: no product would go; decide 'keep' where all are to stay.")
        now = rfc3339(datetime.now(UTC))
        made = Decided(id, decision, group.kind, group.pictures, tuple(keep), now)
        self._findings.decide(lambda data: decisions_from(data).having(made).to_bytes())
        [group_now] = shown([Outline(id, group.kind, group.points, made)], self._sizes)
        return group_now

    def undo(self, id: str) -> None:
        """Forgets what was decided about a group. Raises `GroupNotFound`, and what keeping that does."""

        def undone(data: bytes | None) -> bytes | None:
            decisions = decisions_from(data)
            if decisions.find(id) is None:
                raise GroupNotFound(
                    f"Nothing was decided about a group {id[:80]!r} of duplicates in catalog {self._described().name}: "
                    "list those that were decided about, by what was decided."
                )
            return decisions.without(id).to_bytes()

        self._findings.decide(undone)

    def forget_decisions(self) -> None:
        """Forgets all that was decided where it has been lost; does nothing where nothing was decided.

        Raises `Conflict` where it is there, `CatalogNotFound`, `DataFull`, `DataNotWritable`.
        """
        self._findings.forget_decisions()

    def of(self, product_id: str) -> list[Duplicate]:
        """The duplicates of a product as they are at this moment, the surest kind first. It needs no scan.

        Raises `ProductNotFound`, `DecisionsNotFound`, `IndexUnavailable`.
        """
        [point] = self._index.get([checked_product_id(product_id)], vectors=True)
        if point is None or point.vector is None:
            raise not_found(product_id, self._described().name)
        space, decisions = self._space(), self._holding({product_id: picture_of(point) or ""})
        vector, wanted = normalized(point.vector)[0], Hashes(point.image, point.perceptual)
        marks = decisions.marks(product_id, picture_of(point) or "")
        found = []
        for each in matches(self._index, vector, wanted, lowest(space), exclude=[product_id]):
            other = each.neighbor
            others = decisions.marks(other.product_id, identity(other.image, other.perceptual) or "")
            last = decisions.last_of(marks, others)
            percentile = None if space is None else space.percentile(other.score, FORM)
            told = (other.score, percentile, other.attributes, other.image, last.decision if last else None)
            found.append(Duplicate(other.product_id, each.kind, *told))
        return found

    def _listed(self, decision: Decision | None, finding: Finding | None, *, anew: bool = False) -> Sequence[Listed]:
        """The list of open groups, or of those about which this was decided."""

        def made() -> Iterable[Outline]:
            if decision is not None:
                return decided_groups(self._index, self._holding(), decision)
            return () if finding is None else open_groups(self._index, self._found(finding), self._holding())

        key = (finding.object if finding and decision is None else None, self._findings.decided())
        return self._lists.groups(decision, key, made, anew=anew)

    def _found(self, finding: Finding) -> FoundDuplicates:
        """What a scan found. Raises `FindingNotFound` where it is gone, or another version has written it."""
        found = from_bytes(self._findings.read(finding))
        if found is None:
            raise FindingNotFound(
                f"What was found of duplicates in catalog {self._described().name} is damaged, or of another version: "
                "have it looked through anew."
            )
        return found

    def _holding(self, pictures: Mapping[str, str] | None = None) -> Decisions:
        """The decisions that hold at this moment: all, or those about one of the products with these pictures."""
        decisions = decisions_from(self._findings.decisions())
        return holding(self._index, decisions if pictures is None else decisions.about(pictures))

    def _find(self, id: str) -> Outline:
        """A group as it is now, open or decided about."""
        group = self._find_open(id)
        if group is None and (decided := (decisions := self._holding()).find(id)):
            group = decided_group(self._index, decisions, decided)
        if group is None:
            raise GroupNotFound(
                f"Catalog {self._described().name} has no group {id[:80]!r} of duplicates; its products may have "
                "changed meanwhile, which makes another group of them: list the groups again."
            )
        return group

    def _find_open(self, id: str) -> Outline | None:
        for is_again in (False, True):
            listed = [each for each in self._listed(None, self.finding(), anew=is_again) if each.id == id]
            if listed and (outline := self._lists.outlines(listed)[0]) is not None:
                return outline
        return None


def _cursor(place: Place) -> str:
    return to_cursor(f"{place[0]}.{place[1]}.{-place[2]}.{place[3]}")


def _after(cursor: str | None) -> Place | None:
    """The place of the last group of the page before."""
    if cursor is None:
        return None
    found = _CURSOR.fullmatch(from_cursor(cursor))
    if not found:
        raise InvalidInput(f"The cursor {cursor[:80]!r} was not returned by this list; start again without one.")
    return int(found[1]), int(found[2]), -int(found[3]), found[4]
