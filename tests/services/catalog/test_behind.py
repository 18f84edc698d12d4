"""What one generation lacks of another, while products change between the questions that find it out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from services.catalog.behind import behind
from services.records import AttributeUpdate, Point, Tombstone
from services.testing import MemoryIndex

OLD, NEW = "a" * 64, "b" * 64
LOOK = np.eye(4, dtype=np.float32)[0]
VERSION = 10


class Changing(MemoryIndex):
    """An index in which something changes before its next-but-`left` question."""

    def __init__(self, change: Callable[[MemoryIndex], object], left: int) -> None:
        super().__init__(4)
        self._change = change
        self._left = left

    def get(self, product_ids: Sequence[str], *, vectors: bool = False) -> list[Point | None]:
        self._pass_by()
        return super().get(product_ids, vectors=vectors)

    def versions(self, product_ids: Sequence[str]) -> list[int | None]:
        self._pass_by()
        return super().versions(product_ids)

    def _pass_by(self) -> None:
        self._left -= 1
        if self._left == -1:
            self._change(self)


def point(version: int, image: str) -> Point:
    return Point("p", version, LOOK, attributes={"version": version}, image=image)


def gone(version: int) -> Tombstone:
    return Tombstone("p", version, 1.0)


STATES: dict[str, Callable[[int], Point | Tombstone | None]] = {
    "none": lambda version: None,
    "there": lambda version: point(version, OLD),
    "other image": lambda version: point(version, NEW),
    "removed": gone,
}
CHANGES: dict[str, Sequence[Callable[[int], Any]]] = {
    "put": [lambda version: point(version, NEW)],
    "put alike": [lambda version: point(version, OLD)],
    "remove": [gone],
    "remove and put": [gone, lambda version: point(version, NEW)],
    "put and remove": [lambda version: point(version, NEW), gone],
}


def write(index: MemoryIndex, states: Sequence[Any]) -> None:
    index.upsert([each for each in states if each])


def told(index: MemoryIndex) -> Any:
    [found], removed = MemoryIndex.get(index, ["p"]), [each.version for each in index.tombstones(before=1e12)]
    return (found.version, found.attributes, found.image) if found else removed


def bring(source: MemoryIndex, target: MemoryIndex) -> bool:
    """Brings what is behind, as `Bringing` does; whether something was."""
    lacking = behind(source, target, ["p"])
    target.upsert([*lacking.tombstones, *(replace(each.point, vector=LOOK) for each in lacking.lacks)])
    target.update_attributes(
        [AttributeUpdate(each.product_id, each.version, each.attributes, each.image) for each in lacking.updates]
    )
    return bool(lacking.product_ids)


@pytest.mark.parametrize("question", range(3))
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("there", STATES)
@pytest.mark.parametrize("here", STATES)
def test_whatever_changes_between_the_questions_the_next_comparison_ends_with_the_same(
    here: str, there: str, change: str, question: int
) -> None:
    if here == "other image" and there == "there":
        pytest.skip("an image changes with the version")
    changes = [make(VERSION + 1 + n) for n, make in enumerate(CHANGES[change])]
    source, target = Changing(lambda index: write(index, changes), question), MemoryIndex(4)
    write(source, [STATES[there](VERSION)])
    write(target, [STATES[here](VERSION - 1)])
    bring(source, target)
    if question > 1:
        write(source, changes)
    for _ in range(3):
        if not bring(source, target):
            break
    assert told(target) == told(source)
