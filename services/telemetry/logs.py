"""Logging: one event per line, with the request and the job that it belongs to."""

import logging
import sys
from typing import Any, Literal, TextIO

import structlog


def configure(format: Literal["console", "json"], level: str) -> None:
    """Configures logging to stderr for this process, its libraries and Python warnings."""
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
        # The default formatter would print the values of local variables, which may be keys.
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
    """Writes to the current `sys.stderr`, which is replaced while TensorFlow starts (`encoders.keras.starting`)."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def _in_one_line(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escapes control characters, so that text from users cannot start a line or send commands to the terminal.

    Only the event needs it: values are rendered quoted.
    """
    text = str(event["event"]).strip()
    event["event"] = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return event
