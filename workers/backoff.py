"""How long the changes of a catalog wait that cannot be applied for now."""

from dataclasses import dataclass

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
FORGOTTEN_SECONDS = 300.0
"""Where nothing of a catalog has failed for so long, its trouble is another one."""


@dataclass
class Trouble:
    """A catalog whose changes cannot be applied for now. `since` and `last` are times of `time.monotonic`."""

    since: float
    last: float
    pause: float
