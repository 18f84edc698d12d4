"""Sending a request again where that can help and does no harm."""

import random
import time
from collections.abc import Iterator
from typing import Any

from lookalike.errors import ServiceError, Unanswered, error_of, problem_of
from lookalike.steps import Pause, Request, Response, Steps

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
JITTER = 0.5
PATIENCE = 150.0
"""Seconds in which a request is sent again: a service may be restarting, and takes a request that was begun before that
for one in progress for half a minute."""
AWAY_SECONDS = 60.0
"""That a service is waited for to which no connection can be made, since it may be restarting."""
NEVER_THERE_SECONDS = 5.0
"""The same where it has never answered: perhaps it is not running, or somewhere else."""


def asked(request: Request, patience: float) -> Steps[Any]:
    """The answer to a request, as JSON. Raises the error of the answer, `Unanswered`, `ServiceError`."""
    response = yield from answered(request, patience)
    try:
        return response.json()
    except ValueError:
        raise ServiceError(
            "What answers at this URL is no Lookalike: look at the URL.", status=response.status
        ) from None


def answered(request: Request, patience: float) -> Steps[Response]:
    """The answer to a request that succeeds. Raises the error of the answer, `Unanswered`."""
    response = yield from sent(request, patience)
    if response.status >= 300:
        raise error_of(request, response)
    return response


def sent(request: Request, patience: float) -> Steps[Response]:
    """The answer, whatever its status.

    Args:
        request: What is sent.
        patience: Seconds in which it is sent again where that can help, after the pause that Retry-After names. A
            service to which no connection can be made is waited for no longer than `AWAY_SECONDS`.

    Raises:
        Unanswered: There is no answer.
    """
    until = time.monotonic() + patience
    back_until: float | None = None
    for pause in pauses(FIRST_PAUSE, LONGEST_PAUSE):
        answer: Response | Unanswered = yield request
        if not may_succeed_later(request, answer):
            break
        now = time.monotonic()
        if isinstance(answer, Unanswered) and answer.never_sent:
            away = AWAY_SECONDS if answer.was_there else NEVER_THERE_SECONDS
            back_until = back_until or min(until, now + away)
        else:
            back_until = None
        if isinstance(answer, Response):
            pause += _retry_after(answer)
        if now + pause > (back_until or until):
            break
        yield Pause(pause)
    if isinstance(answer, Response):
        return answer
    raise answer


def may_succeed_later(request: Request, answer: Response | Unanswered) -> bool:
    """Whether sending the request again can help, and does nothing twice.

    It cannot help where a change was accepted and has failed. A request that is not safe was certainly not carried out
    where no connection was made, or where it was one too many.
    """
    if isinstance(answer, Unanswered):
        return request.is_safe or answer.never_sent
    if answer.status < 400:
        return False
    problem = problem_of(answer)
    can_help = "job" not in problem and problem.get("retryable", answer.status in (429, 502, 503, 504)) is True
    return can_help and (request.is_safe or answer.status == 429)


def pauses(first: float, longest: float) -> Iterator[float]:
    """Seconds to wait before each further attempt: twice as long each time, up to `longest`, and each a little longer
    or shorter at random, so that many callers do not come back at the same moment."""
    pause = first
    while True:
        yield pause * random.uniform(1 - JITTER, 1 + JITTER)
        pause = min(2 * pause, longest)


def _retry_after(response: Response) -> float:
    seconds = response.headers.get("retry-after", "")
    return float(seconds) if seconds.isdecimal() and len(seconds) < 6 else 0.0
