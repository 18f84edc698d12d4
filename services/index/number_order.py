"""The order of numbers in which an index gives products."""

from dataclasses import dataclass

from services.errors import AttributeNotIndexed


@dataclass(frozen=True, slots=True)
class NumberOrder:
    """By the numbers at an attribute, smallest first.

    Attributes:
        key: Its key.
        descending: Largest first.
        start: Numbers before this one, in that direction, are left out.
    """

    key: str
    descending: bool = False
    start: float | None = None

    def missing(self) -> AttributeNotIndexed:
        """The error where an index cannot give it."""
        return AttributeNotIndexed(f"{self.key!r} has no index of numbers, so products cannot be read in their order.")
