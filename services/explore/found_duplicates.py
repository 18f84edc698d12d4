"""What a scan for duplicates has found, as it is kept."""

import json
from collections.abc import Container
from dataclasses import dataclass, field
from hashlib import sha256
from typing import cast

import numpy as np
import numpy.typing as npt

from services.arrays import packed, unpacked
from services.explore.duplicates import Pairs, Pictures
from services.explore.kinds import KINDS, Kind
from services.hashes import SHA256

FORMAT = 1
Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class FoundDuplicates:
    """Pairs of pictures, which stay what they are whatever becomes of products, and the products that have them.

    Attributes:
        looked: The pictures that were looked for, by `key`: uint64, ascending.
        pictures: The products of each picture that several have or that is of a pair, as they were when it was made.
        pairs: What pictures that are alike are, where they are not the same.
    """

    looked: Keys = field(default_factory=lambda: np.zeros(0, np.uint64))
    pictures: Pictures = field(default_factory=dict)
    pairs: Pairs = field(default_factory=dict)

    def among(self, pictures: Container[str], keys: Keys) -> "FoundDuplicates":
        """The same as far as pictures are still there, without products; `keys` are theirs."""
        pairs = {each: kind for each, kind in self.pairs.items() if each[0] in pictures and each[1] in pictures}
        return FoundDuplicates(np.intersect1d(self.looked, keys), {}, pairs)

    def to_bytes(self) -> bytes:
        """As a file: the same bytes for the same values, whatever order they were found in."""
        names = sorted(self.pictures)
        at = {name: place for place, name in enumerate(names)}
        pairs = [[at[one], at[other], KINDS.index(kind)] for (one, other), kind in sorted(self.pairs.items())]
        pictures = [[name, sorted(self.pictures[name])] for name in names]
        text = json.dumps({"format": FORMAT, "pictures": pictures, "pairs": pairs}, separators=(",", ":"))
        return packed(looked=np.sort(self.looked), found=np.frombuffer(text.encode(), np.uint8))


def from_bytes(data: bytes) -> FoundDuplicates | None:
    """What a file holds; None where it is damaged or of another version, so that it is to be found anew."""
    try:
        arrays = unpacked(data, ("looked", "found"))
        whole = json.loads(arrays["found"].tobytes())
        if whole["format"] != FORMAT:
            return None
        names = [name for name, _ in whole["pictures"]]
        pairs = {(names[one], names[other]): cast(Kind, KINDS[kind]) for one, other, kind in whole["pairs"]}
        looked = np.asarray(arrays["looked"], np.uint64)
        return FoundDuplicates(looked, {name: tuple(products) for name, products in whole["pictures"]}, pairs)
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def key(picture: str) -> int:
    """64 bits that stand for a picture. Two of a million share them once in 37 million times."""
    return int((picture if SHA256.fullmatch(picture) else sha256(picture.encode()).hexdigest())[:16], 16)
