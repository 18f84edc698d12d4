"""The generations beside the live one, to which every change of a catalog goes, too."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice

from services.catalog.background import Background, attempt
from services.catalog.behind import behind
from services.catalog.bringing import Bringing, Brought, Pictures
from services.catalog.open_generation import OpenGeneration
from services.descriptions import Form, Generation, GenerationState
from services.errors import IndexUnavailable
from services.images.intake import Intake
from services.index.vector_index import VectorIndex

SETTLING_SECONDS = 30.0
"""How long after a switch a process may go on as if the generation that was live before still were: it has an older
description for a second, and the clocks of hosts differ."""


class Beside:
    """The other generations of a catalog, by ID. Thread-safe.

    Args:
        live: The live generation.
        others: The other generations.
        intake: Where images come from.
        check_space: Raises `DataFull` where so many bytes should not be written.
        background: Does what nobody waits for; None: it is done at once.
    """

    def __init__(
        self,
        live: OpenGeneration,
        others: Mapping[str, OpenGeneration],
        intake: Intake,
        check_space: Callable[[int], None],
        background: Background | None,
    ) -> None:
        self.live = live
        self._others = others
        self._intake = intake
        self._check_space = check_space
        self._background = background

    @property
    def forms(self) -> Collection[Form]:
        """The forms of pixels that their encoders take."""
        return {each.form for each in self._others.values()}

    def index_of(self, generation: str) -> VectorIndex:
        """Raises `IndexUnavailable` where it was dropped."""
        return self._others[generation].index

    def indexes(self, kept: Sequence[Generation]) -> Iterator[VectorIndex]:
        """Those of generations, where they are among these."""
        return (self._others[each.id].index for each in kept if each.id in self._others)

    def bring(
        self, generation: str, product_ids: Sequence[str], pictures: Pictures | None = None, *, fetches: bool = True
    ) -> Brought:
        """Makes one of them have what the live one has of these products: see `Bringing`."""
        target = self._others[generation]
        return Bringing(self.live, target, self._intake, self._check_space, fetches).bring(product_ids, pictures)

    def bring_page(self, generation: str, after: str | None, limit: int) -> tuple[int, Brought, str | None]:
        """Brings the next products of the live generation to another one: how many those are, what became of them,
        and the cursor that goes on (None: those were the last)."""
        points, cursor = self.live.index.scroll(after=after, limit=limit)
        return len(points), self.bring(generation, [each.product_id for each in points]), cursor

    def behind_page(self, generation: str, after: str | None, limit: int) -> tuple[list[str], str | None]:
        """Which of the next products of the live generation another one lacks, or has as they were before; and the
        cursor that goes on (None: those were the last)."""
        points, cursor = self.live.index.scroll(after=after, limit=limit)
        found = behind(self.live.index, self.index_of(generation), [each.product_id for each in points])
        return found.product_ids, cursor

    def bring_removals(self, generation: str, limit: int) -> Iterator[int]:
        """Brings the removals of the live generation to another one: how many were not there, a page at a time."""
        target = self._others[generation].index
        removed = iter(self.live.index.tombstones(before=math.inf))
        while page := list(islice(removed, limit)):
            versions = target.versions([each.product_id for each in page])
            new = [each for each, there in zip(page, versions, strict=True) if there is None or there < each.version]
            if new:
                target.upsert(new)
                target.flush()
            yield len(new)

    def follow(self, written: str, kept: Sequence[Generation], product_ids: Sequence[str], pictures: Pictures) -> None:
        """Takes products that were written to the generation `written` to all others that are `kept`.

        Nobody waits for that, and what fails stays behind, but for what has to be there before a switch: when this
        returns, the live generation has the products, and so has one that is about to become it, and one that was it
        until just now, which other processes may still take for it.

        Raises for these what `Bringing.bring` does, and `IndexUnavailable` where `written` is gone, or one that is
        about to become the live one cannot have a product: applied again, the change meets what is live then.
        """
        if written != self.live.id:
            self._catch_up(written, product_ids, pictures)
        for each in kept:
            if each.id not in self._others or each.id == written:
                continue
            has_to_have = _has_to_have(each)
            # A URL that answers late must not keep what waits after it; a build fetches it.
            bring = partial(self.bring, each.id, product_ids, pictures, fetches=has_to_have)
            what = f"bringing changes to generation {each.id}"
            if has_to_have:
                if bring().faults and each.state is GenerationState.SWITCHING:
                    # The pass before the switch may be past these products, and then nobody would name them.
                    raise IndexUnavailable(
                        f"Generation {each.id}, to which the catalog is being switched, cannot have product "
                        f"{product_ids[0]!r} or others of its batch; try again when that has ended."
                    )
            elif self._background is None:
                attempt(what, bring)
            else:
                self._background.submit(what, bring)

    def _catch_up(self, written: str, product_ids: Sequence[str], pictures: Pictures) -> None:
        """The live generation gets what was written to one that was it when that began."""
        again = IndexUnavailable("Another generation of the catalog has become the live one meanwhile; try again.")
        if written not in self._others:
            raise again
        back = Bringing(self._others[written], self.live, self._intake, self._check_space)
        if back.bring(product_ids, pictures).faults:
            # Applied again, the change meets the generation that is live now, and has its own image at hand.
            raise again


def _has_to_have(generation: Generation) -> bool:
    if generation.state is GenerationState.PREVIOUS:
        since = datetime.fromisoformat(generation.since)
        return (datetime.now(UTC) - since).total_seconds() < SETTLING_SECONDS
    return generation.state is GenerationState.SWITCHING
