"""How long a command waits for a running service."""

from dataclasses import dataclass

from api.client.connection import AWAY_SECONDS


@dataclass(frozen=True, slots=True)
class Timings:
    """How long changes are waited for, in seconds.

    Attributes:
        wait: That one request waits for its outcome.
        ending: That Ctrl-C waits for what workers have of a job that is canceled.
        poll: Between two questions for how far a job is.
        patience: In which a request that the service cannot take now is sent again: the service may be restarting, and
            for half a minute it takes a request that was begun before for one in progress.
        away: In which a service is waited for that does not answer at all.
        silence: Without any outcome, after which the encoder is asked for: perhaps it cannot be loaded.
    """

    wait: float = 5
    ending: float = 15.0
    poll: float = 0.5
    patience: float = 150.0
    away: float = AWAY_SECONDS
    silence: float = 10.0


TIMINGS = Timings()
