"""Logs: one event a line, with the request and the job it belongs to."""

import logging
import sys
from typing import Any, Literal, TextIO

import structlog


def configure(format: Literal["console", "json"], level: str) -> None:
    """Sends the logs of this process, those of its packages and warnings included, to stderr."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    rendered: list[structlog.typing.Processor]
    if format == "json":
        rendered = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    else:
        # Its other way to show a traceback shows what the variables held, keys included.
        plain = structlog.dev.plain_traceback
        colors = sys.stderr.isatty()
        rendered = [_in_one_line, structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
    )
    handler = _StderrHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    for chatty in (
        "celery",
        "kombu",
        "amqp",
        "waitress",
        "httpx",
        "httpx2",
        "httpcore",
        "httpcore2",
        "h5py",
        "absl",
        "tensorflow",
    ):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what stderr is at that moment: it is another one while TensorFlow starts (`encoders.starting`)."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def _in_one_line(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """What strangers wrote begins no line of its own and says nothing to the terminal; values come quoted anyway."""
    text = str(event["event"]).strip()
    event["event"] = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return event
