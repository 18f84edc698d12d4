"""A real browser, Debian's chromium, that is told what to do over its DevTools protocol."""

import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Self

CHROMIUM = shutil.which("chromium")
SECONDS = 300.0
"""How long one step may take, on a loaded machine."""


class PageError(Exception):
    """What a script on a page has thrown."""


class Browser:
    """A browser with a profile of its own; every name leads to this machine, and no certificate is judged."""

    def __init__(self, folder: Path) -> None:
        assert CHROMIUM, "chromium is not installed"
        ours, its_input = _pipe()
        its_output, theirs = _pipe()
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        options += ["--disable-background-networking", "--ignore-certificate-errors", "--remote-debugging-pipe"]
        options += ["--host-resolver-rules=MAP * 127.0.0.1", f"--user-data-dir={folder / 'profile'}", "about:blank"]

        def arrange() -> None:
            """The protocol is read from descriptor 3 and written to 4."""
            os.dup2(ours, 3)
            os.dup2(theirs, 4)

        with (folder / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                [CHROMIUM, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(3, 4),
                preexec_fn=arrange,
                env=os.environ | {"HOME": str(folder)},
            )
        os.close(ours)
        os.close(theirs)
        self._to, self._from = its_input, its_output
        self._read, self._number = b"", 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._to)
        os.close(self._from)
        self._process.terminate()
        try:
            self._process.wait(120)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(120)

    def page(self, url: str) -> "Page":
        """Opens a page and waits until it is loaded."""
        target = self.ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self, session)
        page.go(url)
        return page

    def ask(self, method: str, parameters: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        """Sends a command and returns its result; events are passed over."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        while True:
            found = self._next(deadline)
            if found.get("id") == self._number:
                assert "error" not in found, (method, found["error"])
                return dict(found["result"])

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._read:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._from], [], [], left)[0], "the browser does not answer"
            piece = os.read(self._from, 1 << 16)
            assert piece, "the browser has ended"
            self._read += piece
        message, _, self._read = self._read.partition(b"\0")
        return dict(json.loads(message))


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def go(self, url: str) -> None:
        """Opens a URL there and waits until it is loaded."""
        found = self._browser.ask("Page.navigate", {"url": url}, self._session)
        assert "errorText" not in found, found
        self.run("new Promise(done => document.readyState == 'complete' ? done() : addEventListener('load', done))")

    def run(self, script: str) -> Any:
        """The value of an expression, awaited if it is a promise. Raises `PageError`, with what the script threw."""
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True, "userGesture": True}
        found = self._browser.ask("Runtime.evaluate", asked, self._session)
        if told := found.get("exceptionDetails"):
            raise PageError(told.get("exception", {}).get("description", told["text"]))
        return found["result"].get("value")


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are none of the first descriptors, which the browser's are put in place of."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]
