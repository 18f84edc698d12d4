"""Logs, in processes of their own: they belong to the whole process."""

import json
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import logging, sys, warnings
import structlog
from services.telemetry.logs import configure

configure(sys.argv[1], sys.argv[2])
log = structlog.get_logger("api")
"""
FAILING = """
def fail(key="lk_secret"):
    raise ValueError("it cannot be")
try:
    fail()
except ValueError:
    log.exception("ours")
    logging.getLogger("third").exception("theirs")
"""


def logged(code: str, format: str = "json", level: str = "info") -> str:
    """What a program says on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + code, format, level], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == ""
    return done.stderr


def events(code: str, level: str = "info") -> list[dict[str, Any]]:
    return [json.loads(line) for line in logged(code, level=level).splitlines()]


def test_json_is_an_object_a_line_with_what_is_bound() -> None:
    code = """
with structlog.contextvars.bound_contextvars(request_id="r1", job_id="7"):
    log.info("taken", product_id="sch\\u00f6n\\n", changes=3)
    logging.getLogger("waitress").warning("from %s", "afar")
log.info("later")
"""
    first, second, third = events(code)
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "taken",
        "level": "info",
        "logger": "api",
        "request_id": "r1",
        "job_id": "7",
        "product_id": "schön\n",
        "changes": 3,
    }
    assert (second["event"], second["logger"], second["request_id"]) == ("from afar", "waitress", "r1")
    assert "request_id" not in third


@pytest.mark.parametrize(("level", "heard"), [("debug", "DIWE"), ("info", "IWE"), ("warning", "WE"), ("error", "E")])
def test_the_level_counts_for_all(level: str, heard: str) -> None:
    code = """
for name in ("debug", "info", "warning", "error"):
    getattr(log, name)(name)
    getattr(logging.getLogger("third"), name)(name)
    getattr(logging.getLogger("celery.worker"), name)(name)
"""
    found = events(code, level)
    for logger in ("api", "third"):
        assert "".join(each["event"][0].upper() for each in found if each["logger"] == logger) == heard
    quiet = "".join(each["event"][0].upper() for each in found if each["logger"] == "celery.worker")
    assert quiet == heard.replace("D", "").replace("I", "")


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_traceback_shows_no_variables(format: str) -> None:
    text = logged(FAILING, format)
    assert text.count("ValueError: it cannot be") == 2 and text.count("Traceback") == 2
    assert "lk_secret" not in text
    if format == "json":
        for each in map(json.loads, text.splitlines()):
            assert isinstance(each["exception"], str) and each["level"] == "error"


def test_the_console_has_a_line_for_an_event() -> None:
    code = r"""
log.info("one\ntwo\x1b[31m\u202e", url="http://x/\n\x1b[2J", names=["a\nb"])
logging.getLogger("third").warning("from %s\n", "a\nfar")
"""
    first, second = logged(code, "console").splitlines()
    assert r"one\ntwo\x1b[31m\u202e" in first and r"url='http://x/\n\x1b[2J'" in first and r"['a\nb']" in first
    assert r"from a\nfar " in second
    assert "\x1b" not in first + second


def test_warnings_are_logged() -> None:
    [found] = events("warnings.warn('careful')")
    assert "careful" in found["event"] and found["level"] == "warning"


def test_bytes_that_are_no_text_are_logged() -> None:
    [found] = events(r"log.info('named', path='a\udc80')")
    assert found["path"] == "a\udc80"


def test_what_is_told_while_tensorflow_starts_is_not_lost() -> None:
    code = """
from services.encoders.keras.starting import starting
with starting():
    import os
    os.write(2, b"said by native code\\n")
    log.info("meanwhile")
log.info("afterwards")
"""
    assert [each["event"] for each in events(code)] == ["meanwhile", "afterwards"]
