"""What people have decided about duplicates, and which pairs of products that settles."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from services.errors import DataCorrupt
from services.explore.kinds import Kind

Decision = Literal["keep", "remove", "distinct"]
"""What is to become of a group: all stay, though they are the same; all go but those that are kept; or they are not
the same at all."""
DECISIONS: tuple[Decision, ...] = get_args(Decision)
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision about some products, as long as their pictures are those.

    `id` is that of the group, `kind` what duplicates they were, `pictures` what each product's picture was known by,
    `keep` those that stay where the others are to go, `decided_at` RFC 3339 in UTC.
    """

    id: str
    decision: Decision
    kind: Kind
    pictures: Mapping[str, str]
    keep: tuple[str, ...]
    decided_at: str


class Decisions:
    """All decisions about a catalog, from the first to the last: of two about the same pair the later one counts."""

    def __init__(self, decided: Iterable[Decided] = ()) -> None:
        self.all = tuple(decided)
        self._of: dict[tuple[str, str], tuple[int, ...]] = {}
        for at, each in enumerate(self.all):
            for known in each.pictures.items():
                self._of[known] = (*self._of.get(known, ()), at)

    def find(self, id: str) -> Decided | None:
        """The one about a group."""
        return next((each for each in self.all if each.id == id), None)

    def marks(self, product_id: str, picture: str) -> tuple[int, ...]:
        """Which decisions hold for a product that has this picture now, ascending."""
        return self._of.get((product_id, picture), ())

    def last_of(self, marks: tuple[int, ...], others: tuple[int, ...]) -> Decided | None:
        """The decision about two products with these marks; None: nothing was decided about both together."""
        common = [mark for mark in marks if mark in others]
        return self.all[common[-1]] if common else None

    def counts(self, decided: Decided, product_id: str) -> bool:
        """Whether nothing was decided later about a product, with the picture that it had then."""
        return self.all[self.marks(product_id, decided.pictures[product_id])[-1]] == decided

    def tells_apart(self, marks: tuple[int, ...], others: tuple[int, ...]) -> bool:
        """Whether two products with these marks are distinct."""
        last = self.last_of(marks, others)
        return last is not None and last.decision == "distinct"

    def having(self, decided: Decided) -> "Decisions":
        """These and one more, in the place of one about the same group."""
        return Decisions((*self.without(decided.id).all, decided))

    def about(self, pictures: Mapping[str, str]) -> "Decisions":
        """Those of these that hold for one of the products with these pictures."""
        marks = sorted({mark for known in pictures.items() for mark in self.marks(*known)})
        return Decisions(self.all[mark] for mark in marks)

    def without(self, *ids: str) -> "Decisions":
        """These without the ones about some groups."""
        left_out = {*ids}
        return Decisions(each for each in self.all if each.id not in left_out) if ids else self

    def to_bytes(self) -> bytes | None:
        """As a file: the same bytes for the same decisions; None where there are none."""
        if not self.all:
            return None
        whole = {"format": FORMAT, "duplicates": [_plain(each) for each in self.all]}
        return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()


def from_bytes(data: bytes | None) -> Decisions:
    """The decisions of a file; none where there is no file. Raises `DataCorrupt` where it is another one."""
    if data is None:
        return Decisions()
    try:
        whole = json.loads(data)
        if whole["format"] != FORMAT:
            raise ValueError(whole["format"])
        return Decisions(Decided(**each | {"keep": tuple(each["keep"])}) for each in whole["duplicates"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataCorrupt(
            "What was decided about duplicates is damaged, or of a newer version: restore a backup, or upgrade."
        ) from error


def _plain(decided: Decided) -> dict[str, Any]:
    fields = ("id", "decision", "kind", "pictures", "keep", "decided_at")
    return {name: getattr(decided, name) for name in fields}
