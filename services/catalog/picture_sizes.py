"""How large the originals of products are."""

import threading
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from services.errors import ImageError, MediaNotFound
from services.images.intake import Intake

Size = tuple[int, int]
AT_ONCE = 8
KEPT = 10_000
"""Sizes that are kept in memory, of the pictures that were asked for last: one of a hash has always the same."""


class PictureSizes:
    """Opens originals for their width and height, and keeps these in memory. Thread-safe."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._lock = threading.Lock()
        self._known: dict[str, Size] = {}

    def of(self, groups: Iterable[Collection[str]], most: int) -> dict[str, Size | None]:
        """Width and height in pixels of originals, by hash; None where one was not kept, or cannot be read.

        Those of a group are there together or, unless they are known from before, not at all: `most` are opened, for
        the first groups as far as that goes.
        """
        wanted: dict[str, None] = {}
        missing: dict[str, None] = {}
        with self._lock:
            for each in groups:
                new = {image for image in each if image not in self._known and image not in missing}
                if len(missing) + len(new) <= most:
                    wanted |= dict.fromkeys(each)
                    missing |= dict.fromkeys(sorted(new))
            found = {each: self._known[each] for each in wanted if each in self._known}
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="sizes") as pool:
            opened = dict(zip(missing, pool.map(self._opened, missing), strict=True))
        self._remember(found | opened)
        return found | opened

    def _remember(self, sizes: Mapping[str, Size | None]) -> None:
        """Keeps sizes as those that were asked for last, and forgets the ones that were not for the longest time."""
        with self._lock:
            for image, size in sizes.items():
                self._known.pop(image, None)
                # One that was not kept may be put again.
                if size:
                    self._known[image] = size
            for image in [*islice(self._known, max(0, len(self._known) - KEPT))]:
                del self._known[image]

    def _opened(self, image: str) -> Size | None:
        try:
            return self._intake.size(self._intake.media.get(image))
        except (MediaNotFound, ImageError):
            return None
