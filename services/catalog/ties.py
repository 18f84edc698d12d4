"""Numbers that count as equal where products are sorted."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from services.query.filters import Range

DIGITS = 15
"""Significant digits in which numbers are compared: so many every float of 64 bits keeps (C's DBL_DIG)."""

_ALL_EXACT = 1e15
"""From here on numbers are compared whole: integers up to 2**53 have 16 digits."""


@dataclass(frozen=True, slots=True)
class Tie:
    """The numbers that have the first 15 digits in common; from 10**15 on, one number.

    Indexes may return a float of more digits with another last one than their filters compare, and not every one of
    JSON's readers takes such a text for the nearest float. Texts of 15 digits are read the same everywhere, so bounds
    of that length judge each number alike, whoever reads them: ties divide the numbers without gap or overlap.

    Attributes:
        near: The one nearest to zero, which belongs to it.
        far: The bound away from zero, which belongs to the next one; None: `near` is the only number.
    """

    near: float
    far: float | None

    @classmethod
    def of(cls, number: float) -> "Tie":
        """That of a finite number."""
        if number == 0 or abs(number) >= _ALL_EXACT:
            return cls(number + 0.0, None)
        digits = Decimal(repr(number))
        unit = Decimal(1).scaleb(digits.adjusted() - DIGITS + 1)
        near = digits.quantize(unit, ROUND_DOWN)
        far = near + unit.copy_sign(digits)
        # The smallest floats have fewer digits.
        return cls(float(near), float(far)) if float(near) != float(far) else cls(number, None)

    def below(self) -> Range:
        """Smaller numbers."""
        if self.far is None or self.near > 0:
            return Range(lt=self.near)
        return Range(lte=self.far)

    def down(self) -> Range:
        """These numbers and smaller ones."""
        if self.far is None or self.near < 0:
            return Range(lte=self.near)
        return Range(lt=self.far)

    def above(self) -> Range:
        """Larger numbers."""
        if self.far is None or self.near < 0:
            return Range(gt=self.near)
        return Range(gte=self.far)

    def up(self) -> Range:
        """These numbers and larger ones."""
        if self.far is None or self.near > 0:
            return Range(gte=self.near)
        return Range(gt=self.far)

    def end(self, descending: bool) -> float:
        """The number at which those after it begin, in that direction."""
        if self.far is not None and (self.near > 0) != descending:
            return self.far
        return self.near
