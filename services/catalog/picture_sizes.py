"""How large the originals of products are."""

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from services.errors import ImageError, MediaNotFound
from services.images.intake import Intake

Size = tuple[int, int]
AT_ONCE = 8
KEPT = 10_000
"""Sizes that are kept in memory: an original of a hash has always the same."""


class PictureSizes:
    """Opens originals for their width and height, and keeps these in memory. Thread-safe."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._lock = threading.Lock()
        self._known: dict[str, Size | None] = {}

    def of(self, images: Iterable[str]) -> dict[str, Size | None]:
        """Width and height in pixels of these originals, by hash; None where one was not kept, or cannot be read."""
        wanted = list(dict.fromkeys(images))
        with self._lock:
            known = {each: self._known[each] for each in wanted if each in self._known}
        if missing := [each for each in wanted if each not in known]:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="sizes") as pool:
                found = dict(zip(missing, pool.map(self._opened, missing), strict=True))
            with self._lock:
                if len(self._known) + len(found) > KEPT:
                    self._known.clear()
                # One that was not kept may be put again.
                self._known |= {each: size for each, size in found.items() if size}
            known |= found
        return known

    def _opened(self, image: str) -> Size | None:
        try:
            return self._intake.size(self._intake.media.get(image))
        except (MediaNotFound, ImageError):
            return None
