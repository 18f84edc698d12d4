"""How many images each call to a device gets, so that it runs at its full rate."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from services.records import Pixels


@dataclass(frozen=True)
class Pace:
    """`lanes` threads encode at the same time, `turn` images each.

    `shapes` are the only sizes that a call may have, ascending; none: any up to twice a turn.
    """

    lanes: int
    turn: int
    shapes: tuple[int, ...] = ()

    def calls(self, pixels: Pixels) -> Iterator[tuple[Pixels, int]]:
        """The pixels of each call, and how many of them are images; black ones fill up the rest of a shape."""
        most = self.shapes[-1] if self.shapes else 2 * self.turn
        for at in range(0, len(pixels), most):
            part = pixels[at : at + most]
            yield self._filled(part), len(part)

    def _filled(self, part: Pixels) -> Pixels:
        shape = next((shape for shape in self.shapes if shape >= len(part)), len(part))
        if shape == len(part):
            return part
        filled = np.zeros((shape, *part.shape[1:]), part.dtype)
        filled[: len(part)] = part
        return filled


def of_processors(count: int) -> Pace:
    """Turns of 8, the smallest count that runs at the full rate; more than 16 do not fit into the caches
    (docs/decisions.md)."""
    return Pace(lanes=count, turn=8)


def of_gpu() -> Pace:
    """One lane, because calls queue on the device anyway, and full ones keep it busy.

    cuDNN searches for its fastest kernels for each size that it meets, and keeps them, so sizes are few. A search has
    its own. From 8 on each is twice the one before, so at most half of the work is for nothing; less than 8 images
    leave most of a GPU idle, whatever their number.
    """
    return Pace(lanes=1, turn=64, shapes=(1, 8, 16, 32, 64))
