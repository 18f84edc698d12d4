"""What a product is made of, and the dice for its shape."""

from dataclasses import dataclass
from random import Random

from services.demo.palette import LEATHERS, WOODS
from services.demo.pen import Paint


@dataclass(frozen=True)
class Look:
    """`main` carries the pattern, `plain` is its color alone, `accent` the color that goes with it."""

    rng: Random
    main: Paint
    plain: Paint
    accent: Paint

    def between(self, low: float, high: float) -> float:
        return self.rng.uniform(low, high)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def wood(self) -> Paint:
        return Paint(self.rng.choice(WOODS))

    def leather(self) -> Paint:
        return Paint(self.rng.choice(LEATHERS))
