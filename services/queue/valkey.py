"""The Valkey of our own that carries the queue and the ledger where no Redis is named: a supervised child process.

lock             held by the process that supervises it; names that process and the socket
valkey.pid       held by the Valkey itself as long as it lives; names that process
valkey.log       its output since the last start
appendonlydir/   the append-only file: all there is to lose
"""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import IO, Self
from urllib.parse import quote

import structlog

from services.backoff import pauses
from services.errors import LedgerUnavailable
from services.queue.valkey_process import Program, ask, end_predecessor, new_socket, remove_socket, why_not_started
from services.storage.disk import disk_errors
from services.storage.locks import open_locked, read_fields, write_fields

log = structlog.get_logger()


@dataclass(frozen=True)
class Timings:
    """How long things may take, in seconds.

    A start is given up after `start` without an answer; a Valkey that is asked to end is killed after `stop`. One that
    ran for `steady` is restarted at once, any other after a pause that grows from `first_pause` to `longest_pause`.
    """

    start: float = 30.0
    stop: float = 10.0
    steady: float = 10.0
    first_pause: float = 0.1
    longest_pause: float = 5.0


class ValkeyServer:
    """A Valkey that keeps its data in a folder and runs from `start` to `stop`, restarted whenever it dies.

    What it has acknowledged is on the disk, whichever process is killed. Only processes of this user can connect,
    through a unix socket; during a restart connections are refused, or answered LOADING. It ends when this process
    ends, however that happens, and not at Ctrl-C in the terminal. Two never write into one folder. On a full disk it
    dies rather than acknowledge, again and again until there is room.
    """

    def __init__(self, folder: Path, timings: Timings | None = None, program: Program | None = None) -> None:
        self.folder = folder.absolute()
        self.restarts = 0
        self._timings = timings or Timings()
        self._program = program or Program()
        self._binary = Path()
        self._socket = Path()
        self._lock: IO[str] | None = None
        self._thread: Thread | None = None
        # No Valkey is started once `_stopping` is set: both happen under the guard.
        self._guard = Lock()
        self._stopping = Event()
        self._process: subprocess.Popen[bytes] | None = None
        # How it ended last.
        self._end = ""

    @property
    def url(self) -> str:
        """Its URL for redis-py. The same from `start` to `stop`, however often Valkey is restarted."""
        return f"unix://{quote(str(self._socket))}?db=0"

    @property
    def pid(self) -> int | None:
        """The running Valkey's process ID; None between two of them."""
        process = self._process
        return process.pid if process and process.returncode is None else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts it, and returns when it answers and has loaded all its data. Does nothing where it is started.

        A Valkey that a killed predecessor left running in the folder is ended first.

        Raises:
            LedgerUnavailable: It does not start, or another process uses the folder.
            DataNotWritable, DataFull: The folder takes no files.
        """
        if self._lock:
            return
        self._binary = self._program.located()
        try:
            with disk_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                self._lock = self._locked()
                end_predecessor(self.folder, self._timings.stop)
                self._remove_socket()
                self._prepare(self._lock)
            self._thread = Thread(target=self._supervise, name="valkey", daemon=True)
            self._thread.start()
            self._wait_for_answer()
        except OSError as error:
            self.stop()
            raise LedgerUnavailable(f"The queue cannot be kept in {self.folder}: {error}.") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Lets it save, ends it, and leaves no child and no socket. Does nothing where nothing is started."""
        with self._guard:
            self._stopping.set()
            process = self._process
        if process:
            process.terminate()
        if self._thread:
            self._thread.join(self._timings.stop)
            if process:
                process.kill()
            self._thread.join()
            self._thread = None
        if self._lock:
            self._remove_socket()
            self._lock.close()
            self._lock = None

    @property
    def _lock_file(self) -> Path:
        return self.folder / "lock"

    def _locked(self) -> IO[str]:
        stream = open_locked(self._lock_file)
        if stream is None:
            holder = read_fields(self._lock_file).get("pid", "unknown")
            raise LedgerUnavailable(
                f"The queue in {self.folder} is in use by process {holder}: "
                "wait until it ends, or take another data folder with --data."
            )
        return stream

    def _remove_socket(self) -> None:
        """Removes the socket that the lock file names: ours, or one that a killed predecessor left."""
        remove_socket(Path(str(read_fields(self._lock_file).get("socket"))))

    def _prepare(self, lock: IO[str]) -> None:
        self._socket = new_socket()
        write_fields(lock, {"pid": os.getpid(), "socket": str(self._socket)})
        (self.folder / "valkey.log").write_bytes(b"")
        self._stopping.clear()
        self._process = None
        self._end = ""
        self.restarts = 0

    def _wait_for_answer(self) -> None:
        seconds = self._timings.start
        deadline = time.monotonic() + seconds
        while (answer := ask(self._socket)) != b"+PONG":
            if answer.startswith(b"-LOADING"):
                deadline = time.monotonic() + seconds
            late = f"no answer for {seconds:g} s" if time.monotonic() > deadline else ""
            if end := self._end or late:
                raise LedgerUnavailable(why_not_started(self.folder, end))
            time.sleep(0.005)

    def _supervise(self) -> None:
        # This thread starts every Valkey and outlives it: "the parent's death" is to the kernel the death of the
        # thread that forked.
        pause, growing = 0.0, self._pauses()
        while not self._stopping.wait(pause):
            began = time.monotonic()
            end = self._run()
            if self._stopping.is_set():
                return
            if time.monotonic() - began >= self._timings.steady:
                pause, growing = 0.0, self._pauses()
            else:
                pause = next(growing)
            log.error("valkey died", folder=str(self.folder), end=end, restart_in=pause)
            self._end = end
            self.restarts += 1

    def _pauses(self) -> Iterator[float]:
        return pauses(self._timings.first_pause, self._timings.longest_pause)

    def _run(self) -> str:
        """Runs one Valkey to its end; returns how it ended."""
        with self._guard:
            if self._stopping.is_set():
                return "stopped"
            try:
                process = self._process = self._program.start(self._binary, self.folder, self._socket)
            except OSError as error:
                return str(error)
        return f"exit code {process.wait()}"
