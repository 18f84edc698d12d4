"""The Celery app: one task, which wakes a worker."""

import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

from celery import Celery
from celery.apps import worker as celery_worker_commands
from celery.platforms import SecurityWarning
from celery.signals import setup_logging, worker_ready, worker_shutting_down
from celery.worker.request import Request
from kombu.exceptions import OperationalError
from kombu.transport.virtual import QoS

from services.catalog.catalogs import Catalogs
from services.errors import LedgerUnavailable
from services.ledger import Chores
from services.queue.broker import DRAIN, celery_config
from services.settings import Settings
from workers.ending import STOP_SECONDS, Ending
from workers.heartbeat import Heartbeat
from workers.upkeep import Timings, Upkeep
from workers.worker import Worker


class WakeUp(Request):  # type: ignore[misc]
    """A message at work. It takes one of the worker's slots until it is acknowledged."""

    def acknowledge(self) -> None:
        """Acknowledges it; where that does not reach Redis, the slot is free all the same.

        kombu (5.7) logs an acknowledgment that fails and counts the message as one at work for ever: a worker whose
        every slot has met that would take no message any more. Redis delivers this one once more, later.
        """
        try:
            super().acknowledge()
        finally:
            message = self.message
            if not message.acknowledged:
                QoS.ack(message.channel.qos, message.delivery_tag)  # type: ignore[no-untyped-call]


def create_app(redis_url: str, worker: Worker) -> Celery:
    """A Celery app whose only task runs `worker` until nothing waits."""
    app = Celery("lookalike", set_as_current=False)
    app.conf.update(celery_config(redis_url))

    @app.task(name=DRAIN, Request=WakeUp)  # type: ignore[untyped-decorator]
    def drain() -> None:
        worker.drain()

    return app


def run(
    worker: Worker,
    chores: Chores,
    catalogs: Catalogs,
    settings: Settings,
    redis_url: str,
    *,
    ready: Callable[[], None] = lambda: None,
    leave: Callable[[], None] = lambda: None,
    patience: float = STOP_SECONDS,
    timings: Timings = Timings(),  # noqa: B008  frozen
) -> None:
    """Works in this thread, which must be the main one (Celery takes the signals), until SIGTERM or SIGINT.

    Args:
        worker: Does the work.
        chores: The ledger's part of the upkeep.
        catalogs: What upkeep tends.
        settings: For the time that a batch may take.
        redis_url: Where the messages come from.
        ready: Is called when it listens for messages.
        leave: Is called before the process is ended the hard way: a batch overran, or was not done in time, or SIGINT
            came twice. The changes of its batches are requeued.
        patience: Seconds that the batches in progress may take after the signal.
        timings: When upkeep does what.
    """
    app = create_app(redis_url, worker)
    ending = Ending(worker, leave, patience)
    heartbeat = Heartbeat(worker, overrun=ending.overrun, limit=settings.batch_seconds)
    slow = 0.0 if settings.qdrant_url else settings.graph_after_ms / 1000
    upkeep = Upkeep(worker, chores, catalogs, wake=lambda: wake_worker(app), slow_seconds=slow, timings=timings)
    # What Celery does at these signals does not work with threads, or starts another process in place of ours.
    kept = {number: signal.getsignal(number) for number in (signal.SIGQUIT, signal.SIGHUP)}

    def is_ready(**_: Any) -> None:
        for number, handler in kept.items():
            signal.signal(number, handler)
        heartbeat.start()
        upkeep.start()
        ready()

    # What Celery prints at Ctrl-C goes to stdout, which is ours, and is not what happens here.
    celery_worker_commands.safe_say = lambda *_: None
    worker_shutting_down.connect(ending.begin, weak=False)
    worker_ready.connect(is_ready, weak=False)
    setup_logging.connect(_keep_logging, weak=False)
    try:
        _celery_worker(app, worker).start()
        worker.finish_task(patience)
    finally:
        upkeep.stop()
        heartbeat.stop()
        ending.done()
        worker_shutting_down.disconnect(ending.begin)
        worker_ready.disconnect(is_ready)
    if not worker.stopping:
        sys.exit(1)  # Celery has logged why


def _celery_worker(app: Celery, worker: Worker) -> Any:
    with warnings.catch_warnings():
        # A worker that accepts pickles is dangerous as root; ours accepts one message, without content.
        warnings.simplefilter("ignore", SecurityWarning)
        # Forking after TensorFlow has started deadlocks; threads do not, and the encoder releases the GIL.
        return app.Worker(
            pool="threads",
            concurrency=worker.slots,
            without_gossip=True,
            without_heartbeat=True,
            without_mingle=True,
            hostname=f"lookalike@{worker.id}",
            quiet=True,
        )


def _keep_logging(**_: Any) -> None:
    """Celery does not configure logging where this signal has a receiver."""


def wake_worker(app: Celery) -> None:
    """Sends the message that wakes a worker. Raises `LedgerUnavailable`."""
    try:
        app.send_task(DRAIN, retry=False)
    except OperationalError as error:
        raise LedgerUnavailable(f"Redis, which carries the queue, takes no message ({error}).") from error
