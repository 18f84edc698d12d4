"""Images, and a fetcher that has them already."""

import io
from collections import Counter
from collections.abc import Mapping

import numpy as np
from PIL import Image

from services.errors import FetchError, FetchNotFound


class StubFetcher:
    """Gives `images` by URL, raises where one is an error, and counts what it fetched."""

    def __init__(self, images: Mapping[str, bytes | FetchError] | None = None) -> None:
        self.images = dict(images or {})
        self.fetched: Counter[str] = Counter()

    def fetch(self, url: str) -> bytes:
        self.fetched[url] += 1
        image = self.images.get(url, FetchNotFound(f"{url} is not there."))
        if isinstance(image, FetchError):
            raise image
        return image

    def close(self) -> None:
        """Nothing to close."""


def picture(color: tuple[int, int, int], seed: int = 0, size: int = 64) -> bytes:
    """A PNG of one color, a little noise on it."""
    noise = np.random.default_rng(seed).integers(0, 30, (size, size, 3))
    pixels = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
