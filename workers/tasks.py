"""The tasks that a worker does: one at a time, in a thread beside its batches."""

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import structlog

from services.catalog.catalog import Catalog
from services.catalog.catalogs import Catalogs
from services.errors import LedgerUnavailable, LookalikeError
from services.ledger import Claim, Claims
from services.records import Task
from workers.active import ActiveClaim, ActiveClaims
from workers.backoff import Backoff, goes_on
from workers.reporting import report

UNKNOWN_SECONDS = 5.0
"""How long a task that this worker does not know is left to others."""

log = structlog.get_logger("workers")


class Stopped(Exception):
    """A task is not to go on here: it was canceled, another worker has it, or this one stops."""


class TaskRun:
    """A task at work: what is asked, how far it is, and whether it is to go on."""

    def __init__(
        self,
        claims: Claims,
        catalogs: Catalogs,
        held: ActiveClaim,
        stopping: Callable[[], bool],
        moved: Callable[[], object],
    ) -> None:
        """`moved` is called when it is further than it ever was."""
        assert held.claim.task is not None
        self.task: Task = held.claim.task
        self.catalogs = catalogs
        self._claims = claims
        self._held = held
        self._stopping = stopping
        self._moved = moved
        self._most = self.task.done

    def stopped(self) -> bool:
        """Whether it is not to go on here."""
        return self._held.lost or self._stopping()

    def check(self) -> None:
        """Raises `Stopped` where it is not to go on here."""
        if self.stopped():
            raise Stopped

    def report(self, done: int, total: int | None = None, checkpoint: Any = None) -> None:
        """Records how far it is, and from where another worker would go on. Raises `Stopped`."""
        self.check()
        try:
            self._held.lost = not self._claims.progress(self._held.claim, done, total, checkpoint)
        except LedgerUnavailable as error:
            log.info("the progress of a task is not recorded", reason=str(error))  # the next is
        self.check()
        if done > self._most:
            self._most = done
            self._moved()


Do = Callable[[Catalog, TaskRun], Mapping[str, Any]]
"""Does a task and returns its result, as JSON. Raises `Stopped` and `LookalikeError`s."""


class Tasks:
    """The tasks of one worker process.

    Args:
        claims: Where they come from.
        catalogs: Those that they are about.
        kinds: What does each kind of them.
        stopping: Whether the worker stops.
        give_up: Seconds that a task is tried again, where a backend is away, until it fails with the reason.
        backoff: How long it waits between tries.
    """

    def __init__(
        self,
        claims: Claims,
        catalogs: Catalogs,
        kinds: Mapping[str, Do],
        *,
        stopping: Callable[[], bool],
        give_up: float,
        backoff: Backoff | None = None,
    ) -> None:
        self._claims = claims
        self._catalogs = catalogs
        self._kinds = kinds
        self._stopping = stopping
        self._give_up = give_up
        self._backoff = backoff or Backoff()
        self._active = ActiveClaims()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def in_progress(self) -> list[ActiveClaim]:
        """The claim of the task at work, if there is one."""
        return self._active.now()

    def begin(self) -> None:
        """Begins a task if one is due and none is at work here. Raises `LedgerUnavailable`."""
        with self._lock:
            if self._stopping() or (self._thread and self._thread.is_alive()):
                return
            if claim := self._claims.claim_task():
                self._thread = threading.Thread(target=self._work, args=(claim,), name="task", daemon=True)
                self._thread.start()

    def finish(self, seconds: float) -> None:
        """Waits at most so many seconds for the task at work, which sees that the worker stops, and ends or is given
        back."""
        with self._lock:
            thread = self._thread
        if thread:
            thread.join(seconds)

    def _work(self, claim: Claim) -> None:
        bound = {"claim": claim.id, "job": claim.jobs[0], "request": claim.requests[0]}
        with self._active.hold(claim) as held, structlog.contextvars.bound_contextvars(**bound):
            try:
                self._do(held)
            except LedgerUnavailable as error:
                log.warning("a task is left to another worker, because the ledger is away", reason=str(error))

    def _do(self, held: ActiveClaim) -> None:
        claim, task = held.claim, held.claim.task
        assert task is not None
        # What follows a colon tells tasks of a kind apart, of which several may wait.
        do = self._kinds.get(task.kind.partition(":")[0])
        if do is None:
            log.warning("a task is left to a worker of a newer version", kind=task.kind)
            self._report(lambda: self._claims.give_back(claim, pause=UNKNOWN_SECONDS))
            return
        log.info("a task begins", kind=task.kind, again=task.checkpoint is not None)
        try:
            # What took hours may meet a backend that is away more than once.
            moved = partial(self._backoff.succeeded, claim.jobs[0])
            run = TaskRun(self._claims, self._catalogs, held, self._stopping, moved)
            result = do(self._catalogs.by_id(claim.catalog_id), run)
        except Stopped:
            log.info("a task stops here", kind=task.kind)
            self._report(lambda: self._claims.give_back(claim))
        except LedgerUnavailable:
            raise
        except LookalikeError as error:
            self._put_off(held, error)
        except Exception:
            pause = self._backoff.failed(claim.jobs[0], held.taken).pause
            log.exception("a task failed", kind=task.kind, seconds=pause)
            self._report(lambda: self._claims.give_back(claim, pause=pause, crashed=True))
        else:
            self._backoff.succeeded(claim.jobs[0])
            seconds = round(time.monotonic() - held.taken, 3)
            log.info("a task is done", kind=task.kind, seconds=seconds, **_brief(result))
            self._report(lambda: self._claims.end_task(claim, result))

    def _put_off(self, held: ActiveClaim, error: LookalikeError) -> None:
        """Gives a task back where another try may help, and fails it where that cannot."""
        claim = held.claim
        delay = self._backoff.failed(claim.jobs[0], held.taken)
        if goes_on(error, delay, self._give_up):
            log.warning("a task is put off", code=error.code, reason=str(error), seconds=delay.pause)
            self._report(lambda: self._claims.give_back(claim, pause=delay.pause, error=error))
            return
        log.error("a task fails", code=error.code, reason=str(error))
        self._report(lambda: self._claims.end_task(claim, error=error))

    def _report(self, tell: Callable[[], bool]) -> None:
        if not report(tell):
            log.info("a task was canceled, or its lease was over")


def _brief(result: Mapping[str, Any]) -> dict[str, Any]:
    """What fits into a line of the log: a result without its lists."""
    return {name: value for name, value in result.items() if not isinstance(value, list)}
