"""Child processes that run functions on untrusted bytes, with limits of time and memory.

A child is a fresh interpreter: it shares nothing with this process, does not re-run its main script and can be started
while threads are running. It ends when its connection closes, so also when this process is killed.
"""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar

from services.errors import DecodingUnavailable, ImageDecodeCrashed, ImageDecodeTimeout

P = ParamSpec("P")
T = TypeVar("T")

START_SECONDS = 60.0
STARTS = 4
"""How many children are tried for a task, the one that is there included. One start alone was seen to fail by itself,
once in thousands, where the processors were loaded sixteenfold."""
GROWTH = 64 << 20
"""Bytes of address space that a child may keep of the tasks that it has done; with more it is replaced."""
ENVIRONMENT = {
    # There is a process for each processor, and a thread more reserves address space: its stack, its share of the heap.
    "OPENBLAS_NUM_THREADS": "1",
    "VIPS_CONCURRENCY": "1",
    "MALLOC_ARENA_MAX": "1",
    # Without these glibc learns from large blocks to keep them, in pieces that the next large one does not fit into.
    "MALLOC_MMAP_THRESHOLD_": str(8 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(32 << 20),
}


class _Task(NamedTuple):
    future: Future[Any]
    call: Callable[[], Any]


class Children:
    """A pool of `processes` children, each started when first needed and replaced after `recycle` tasks.

    A task that takes more than `timeout` seconds or ends its child (by using more memory than it may, or by a crash in
    a C library) affects no other task: its future raises `ImageDecodeTimeout` or `ImageDecodeCrashed`.

    Args:
        processes: How many children there are.
        timeout: Seconds that a task may take.
        memory: Bytes of address space that a fresh child may have. What that leaves for a task is what every task may
            use, whatever its child has done before; so a used child may have up to `GROWTH` more.
        modules: Modules that a child imports when it starts. What a task imports counts as left behind by it.
        recycle: How many tasks a child does.
    """

    def __init__(
        self, processes: int, *, timeout: float, memory: int, modules: Sequence[str] = (), recycle: int = 1000
    ) -> None:
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._lock = Lock()
        self._closed = False
        self._children = [_Child(timeout, memory, modules, recycle) for _ in range(processes)]
        self._threads = [Thread(target=self._serve, args=(child,), daemon=True) for child in self._children]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Runs a function of an importable module in a child; the future has its result or raises its error."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the child processes are closed")
            self._tasks.put(_Task(future, partial(function, *args, **kwargs)))
        return future

    def pids(self) -> list[int]:
        """The process IDs of the children that are running."""
        return [child.pid for child in self._children if child.pid is not None]

    def close(self) -> None:
        """Cancels waiting and running tasks and ends all children."""
        with self._lock:
            self._closed = True
            self._cancel_waiting()
        for _ in self._threads:
            self._tasks.put(None)
        for child in self._children:
            child.close()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cancel_waiting(self) -> None:
        try:
            while task := self._tasks.get_nowait():
                task.future.cancel()
        except Empty:
            return

    def _serve(self, child: "_Child") -> None:
        while task := self._tasks.get():
            if task.future.set_running_or_notify_cancel():
                self._run(child, task)
            # Otherwise the variable would hold the bytes of this task while waiting for the next one.
            del task
        child.stop()

    def _run(self, child: "_Child", task: _Task) -> None:
        try:
            result = child.run(task.call)
        except Exception as error:  # noqa: BLE001 - any error is passed to the caller through the future
            # Its traceback refers to this task, whose future refers to the error: a cycle that would retain the bytes.
            task.future.set_exception(CancelledError() if self._closed else error.with_traceback(None))
        else:
            task.future.set_result(result)


class _Child:
    """One process at a time: started when needed; ended after a timeout, `recycle` tasks, or in an unknown state."""

    def __init__(self, timeout: float, memory: int, modules: Sequence[str], recycle: int) -> None:
        self._timeout = timeout
        self._memory = memory
        self._modules = modules
        self._recycle = recycle
        self._tasks = 0
        self._lock = Lock()
        self._closed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process else None

    def run(self, call: Callable[[], Any]) -> Any:
        connection = self._deliver(call)
        try:
            if not connection.poll(self._timeout):
                raise self._late()
            done, value = connection.recv()
        except (EOFError, ConnectionError) as error:
            raise self._crashed() from error
        if not done:
            raise value
        return value

    def stop(self) -> None:
        """Ends the process if there is one."""
        process, connection = self._process, self._connection
        self._process = self._connection = None
        if connection:
            connection.close()
        if process:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Ends the process for good. Called from another thread than `run`, which then finds the connection closed."""
        with self._lock:
            self._closed = True
            process = self._process
        if process:
            process.kill()

    def _deliver(self, call: Callable[[], Any]) -> Connection:
        """Sends a task to a child, which acknowledges it.

        One that ended before that, idle or while it started, is replaced: no task caused that.
        """
        ends: list[str] = []
        for _ in range(STARTS):
            connection = self._usable()
            try:
                connection.send(call)
                if not connection.poll(START_SECONDS):
                    ends.append(f"silent for {START_SECONDS:g} s")
                    break
                connection.recv()
                return connection
            except (EOFError, ConnectionError):
                ends.append(f"exit code {self._exit_code()}")
        self.stop()
        raise DecodingUnavailable(
            f"A child process for decoding does not start ({', '.join(ends)}); raise LOOKALIKE_DECODE_MEMORY."
        )

    def _usable(self) -> Connection:
        if self._tasks >= self._recycle:
            self.stop()
        if self._connection is None:
            try:
                self._connection = self._start()
            except OSError as error:
                raise _not_to_be_had(error) from error
            self._tasks = 0
        self._tasks += 1
        return self._connection

    def _start(self) -> Connection:
        ours, theirs = Pipe()
        limits = f"{theirs.fileno()}, {self._memory}, {2 * self._timeout}, {tuple(self._modules)!r}"
        code = f"import sys; sys.path[:] = {sys.path!r}; from services.images.processes import serve; serve({limits})"
        with theirs, self._lock:
            if self._closed:
                raise CancelledError
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-W", "ignore", "-c", code],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env=os.environ | ENVIRONMENT,
                    # Ctrl-C in a terminal signals the process group of this process, which ends its children itself.
                    process_group=0,
                )
            except OSError:
                # The traceback would keep it open, and file descriptors may be exhausted.
                ours.close()
                raise
        return ours

    def _exit_code(self) -> int | None:
        """The exit code of a process whose connection broke. It ends by itself; killing it would hide the reason."""
        if self._process is None:
            return None
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            code = None
        self.stop()
        return code

    def _late(self) -> ImageDecodeTimeout:
        self.stop()
        return ImageDecodeTimeout(
            f"Decoding the image took more than {self._timeout:g} s; "
            "save it anew in a plain format or raise LOOKALIKE_DECODE_TIMEOUT."
        )

    def _crashed(self) -> ImageDecodeCrashed:
        code = self._exit_code()
        how = "" if code is None else f" (exit code {code})"
        return ImageDecodeCrashed(f"Decoding the image ended its process{how}; save it anew in a plain format.")


def _not_to_be_had(error: OSError) -> DecodingUnavailable:
    return DecodingUnavailable(
        f"A child process for decoding does not start ({error.strerror}); allow more processes, files or memory."
    )


def serve(fd: int, memory: int, seconds: float, modules: Sequence[str]) -> None:
    """The main loop of a child: runs tasks from the connection until that closes or the tasks leave too much behind."""
    hard = memory + GROWTH
    resource.setrlimit(resource.RLIMIT_AS, (memory, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for module in modules:
        import_module(module)
    fresh = _address_space()
    try:
        with Connection(fd) as connection:
            while (held := _address_space()) <= fresh + GROWTH:
                _serve_one(connection, seconds, (held - fresh + memory, hard))
    except (EOFError, ConnectionError):
        return


def _address_space() -> int:
    """The bytes of address space that this process has; 0 where the system does not say (only Linux does)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except FileNotFoundError:
        return 0


def _serve_one(connection: Connection, seconds: float, memory: tuple[int, int]) -> None:
    call = connection.recv()
    connection.send(None)
    _silence()
    resource.setrlimit(resource.RLIMIT_AS, memory)
    # The parent enforces the timeout. This timer of the kernel ends a child that hangs after its parent died.
    signal.setitimer(signal.ITIMER_REAL, seconds)
    reply = _reply(call)
    signal.setitimer(signal.ITIMER_REAL, 0)
    connection.send(reply)


def _silence() -> None:
    """Redirects stderr to /dev/null: C libraries print warnings about images there."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)


def _reply(call: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        return True, call()
    except MemoryError:
        return False, out_of_memory()
    except Exception as error:  # noqa: BLE001 - the parent raises it again
        return False, error


def out_of_memory() -> ImageDecodeCrashed:
    return ImageDecodeCrashed(
        "Decoding the image needs more memory than allowed; send a smaller one or raise LOOKALIKE_DECODE_MEMORY."
    )
