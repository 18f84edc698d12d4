"""A direction as queries use it."""

from dataclasses import dataclass, field

from services.query.filters import Filter, written
from services.records import Vector

WEAK = 0.85
"""A direction of less quality is weak: what it leads to is often something else."""


@dataclass(frozen=True, slots=True)
class Direction:
    """A named axis of meaning.

    Attributes:
        name: Its name.
        vector: float32 (dim,), of length one, in the space with its color weight: see `services.query.geometry`.
        color_weight: With which it was learned, and leads best.
        quality: How well it tells its two sides apart within categories: the area under the ROC curve of products that
            it was not learned from, 0.5 (not at all) to 1.
        filter: What the side that it leads to was found by; None where that was named by IDs.
    """

    name: str
    vector: Vector = field(repr=False, compare=False)
    color_weight: float = 1.0
    quality: float = 1.0
    filter: Filter | None = None

    @property
    def is_weak(self) -> bool:
        return self.quality < WEAK

    @property
    def filter_text(self) -> str:
        """The filter as JSON; empty where there is none."""
        return "" if self.filter is None else written(self.filter)
