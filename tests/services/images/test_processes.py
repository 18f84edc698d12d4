import os
import re
import resource
import signal
import subprocess
import sys
import time
from bisect import bisect
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from waiting import until

from services.errors import DecodingUnavailable, ImageCorrupt, ImageDecodeCrashed, ImageDecodeTimeout
from services.images.processes import STARTS, Children

MEMORY = 512 << 20


@pytest.fixture
def children() -> Iterator[Children]:
    with Children(2, timeout=20, memory=MEMORY) as children:
        yield children


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


def test_a_call_runs_in_another_process_and_its_answer_comes_back(children: Children) -> None:
    assert children.submit(divmod, 17, 5).result() == (3, 2)
    assert children.submit(int, "ff", base=16).result() == 255
    assert children.submit(os.getpid).result() != os.getpid()


def test_an_error_keeps_its_class_and_message(children: Children) -> None:
    future = children.submit(exec, "from services.errors import ImageCorrupt; raise ImageCorrupt('Cut off, 5 %.')")
    with pytest.raises(ImageCorrupt, match=r"^Cut off, 5 %\.$"):
        future.result()


@pytest.mark.parametrize("end", ["os.abort()", "os._exit(0)", "os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 11)"])
def test_a_crash_costs_that_task_only(children: Children, end: str) -> None:
    before = [children.submit(divmod, n, 7) for n in range(5)]
    crash = children.submit(exec, f"import os; {end}")
    after = [children.submit(divmod, n, 7) for n in range(5, 20)]

    with pytest.raises(ImageDecodeCrashed, match="exit code"):
        crash.result()
    assert [future.result() for future in before + after] == [divmod(n, 7) for n in range(20)]


def test_a_child_killed_at_work_costs_that_task_only(children: Children, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    victim = children.submit(
        exec, f"import os, time; open({str(pid_file)!r}, 'w').write(f'{{os.getpid()}}.'); time.sleep(60)"
    )
    others = [children.submit(divmod, n, 7) for n in range(10)]
    until(lambda: pid_file.exists() and pid_file.read_text().endswith("."))

    os.kill(int(pid_file.read_text()[:-1]), signal.SIGKILL)

    with pytest.raises(ImageDecodeCrashed, match="exit code -9"):
        victim.result()
    assert [future.result() for future in others] == [divmod(n, 7) for n in range(10)]


def test_a_child_killed_while_idle_costs_nothing(children: Children) -> None:
    pid = children.submit(os.getpid).result()
    os.kill(pid, signal.SIGKILL)
    assert [children.submit(divmod, 17, 5).result() for _ in range(4)] == [(3, 2)] * 4


def test_a_task_over_its_time_costs_itself_only() -> None:
    with Children(2, timeout=0.5, memory=MEMORY) as children:
        late = children.submit(time.sleep, 60)
        others = [children.submit(divmod, n, 7) for n in range(10)]
        with pytest.raises(ImageDecodeTimeout, match=r"0\.5 s"):
            late.result(timeout=10)
        assert [future.result() for future in others] == [divmod(n, 7) for n in range(10)]


def test_memory_over_the_limit_is_refused_and_the_child_goes_on() -> None:
    with Children(1, timeout=20, memory=MEMORY) as children:
        with pytest.raises(ImageDecodeCrashed, match="LOOKALIKE_DECODE_MEMORY"):
            children.submit(eval, f"len(bytearray({MEMORY}))").result()
        assert children.submit(eval, f"len(bytearray({MEMORY // 4}))").result() == MEMORY // 4


LEAK = "import builtins; builtins.kept = [*getattr(builtins, 'kept', []), bytearray(%d << 20)]"


def can_take(children: Children, mebibytes: int) -> bool:
    try:
        return children.submit(eval, f"len(bytearray({mebibytes} << 20))").result() == mebibytes << 20
    except ImageDecodeCrashed:
        return False


def test_a_task_may_take_as_much_memory_as_in_a_fresh_child_whatever_that_did_before() -> None:
    with Children(1, timeout=20, memory=MEMORY) as children:
        assert can_take(children, 400) and not can_take(children, 512)
        most = 399 + bisect(range(400, 512), False, key=lambda each: not can_take(children, each))
        for _ in range(2):
            children.submit(exec, LEAK % 24).result()
            assert can_take(children, most - 1) and not can_take(children, most + 2)


def test_a_child_that_keeps_much_of_its_tasks_is_replaced() -> None:
    with Children(1, timeout=20, memory=MEMORY) as children:
        first = children.submit(os.getpid).result()
        children.submit(exec, LEAK % 48).result()
        assert children.submit(os.getpid).result() == first
        children.submit(exec, LEAK % 48).result()
        assert children.submit(os.getpid).result() != first
        until(lambda: is_gone(first))


def test_large_blocks_that_were_freed_leave_no_address_space_behind() -> None:
    """In pieces of a heap they would: glibc comes to keep blocks as large as those that it has seen freed."""
    pieces = "[bytes(size << 20) for _ in range(3) for size in (20, 9, 30, 14)][::2] and None"
    size = "int(open('/proc/self/statm').read().split()[0]) >> 8"
    with Children(1, timeout=20, memory=MEMORY) as children:
        before = children.submit(eval, size).result()
        for _ in range(5):
            children.submit(eval, pieces).result()
        assert children.submit(eval, size).result() <= before + 20


def test_a_child_that_cannot_start_is_no_fault_of_an_image() -> None:
    with (
        Children(1, timeout=20, memory=4 << 20) as children,
        pytest.raises(DecodingUnavailable, match="does not start"),
    ):
        children.submit(np.zeros, 3).result()


FLAKY = """
import pathlib, sys
tries = pathlib.Path(__file__).with_suffix(".tries")
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
if len(tries.read_text()) <= {failures}:
    sys.exit(7)
"""


@pytest.mark.parametrize(("failures", "starts"), [(0, True), (1, True), (STARTS - 1, True), (STARTS, False)])
def test_a_start_that_fails_is_tried_again_and_all_ends_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, starts: bool
) -> None:
    (tmp_path / "flaky.py").write_text(FLAKY.format(failures=failures))
    monkeypatch.syspath_prepend(tmp_path)
    with Children(1, timeout=20, memory=MEMORY, modules=("flaky",)) as children:
        future = children.submit(len, "abc")
        if starts:
            assert future.result() == 3
        else:
            with pytest.raises(DecodingUnavailable, match=re.escape(f"({', '.join(['exit code 7'] * STARTS)})")):
                future.result()


@pytest.mark.parametrize("spare", [0, 1, 2])
def test_no_files_left_for_a_child_is_no_fault_of_an_image_and_passes(children: Children, spare: int) -> None:
    opened: list[int] = []
    highest = max(int(file.name) for file in Path("/proc/self/fd").iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, hard))
    try:
        with suppress(OSError):
            while True:
                opened.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(spare):
            os.close(opened.pop())
        with pytest.raises(DecodingUnavailable, match=r"does not start \(Too many open files\)") as raised:
            children.submit(np.zeros, 3).result()
        assert raised.value.retryable
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for file in opened:
            os.close(file)
    assert children.submit(len, "abc").result() == 3


def test_what_c_libraries_print_about_an_image_is_not_shown(
    children: Children, capfd: pytest.CaptureFixture[str]
) -> None:
    children.submit(os.write, 1, b"noise").result()
    children.submit(os.write, 2, b"noise").result()
    assert capfd.readouterr() == ("", "")


def test_a_crash_writes_no_core_file(children: Children) -> None:
    assert children.submit(resource.getrlimit, resource.RLIMIT_CORE).result() == (0, 0)


def test_a_child_is_replaced_after_so_many_tasks() -> None:
    with Children(1, timeout=20, memory=MEMORY, recycle=3) as children:
        pids = [children.submit(os.getpid).result() for _ in range(7)]
    assert pids == [pids[0]] * 3 + [pids[3]] * 3 + [pids[6]]
    assert len({pids[0], pids[3], pids[6]}) == 3


def test_no_child_is_started_before_there_is_work() -> None:
    with Children(2, timeout=20, memory=MEMORY) as children:
        assert children.pids() == []


def test_close_cancels_what_waits_and_runs_and_leaves_no_child() -> None:
    children = Children(2, timeout=60, memory=MEMORY)
    futures = [children.submit(time.sleep, 25) for _ in range(10)]
    until(lambda: len(children.pids()) == 2)
    pids = children.pids()

    children.close()

    assert all(not Path(f"/proc/{pid}").exists() for pid in pids)
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(timeout=0)
    with pytest.raises(RuntimeError, match="closed"):
        children.submit(divmod, 17, 5)
    children.close()


SCRIPT = f"""
import os, signal, sys, time
from pathlib import Path
from services.images.processes import STARTS, Children

interrupts = []
signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))
mark = Path(sys.argv[1])
children = Children(2, timeout=1, memory={MEMORY})
busy = children.submit(exec, f"import time; open({{str(mark)!r}}, 'w').close(); time.sleep({{sys.argv[2]}})")
idle = children.submit(os.getpid).result()
while not mark.exists():
    time.sleep(0.01)
print(*children.pids(), flush=True)
"""


def script(tmp_path: Path, sleep: float, rest: str) -> "subprocess.Popen[str]":
    """A program with no `if __name__ == "__main__"`, one idle child and one that sleeps."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT + rest, str(tmp_path / "mark"), str(sleep)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_no_child_outlives_a_killed_parent_even_one_that_hangs(tmp_path: Path) -> None:
    parent = script(tmp_path, 3600, "os.kill(os.getpid(), signal.SIGKILL)")
    assert parent.stdout and parent.stderr
    with parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    until(lambda: all(is_gone(pid) for pid in pids), seconds=6)


def test_control_c_does_not_reach_the_children(tmp_path: Path) -> None:
    rest = """
while not interrupts:
    time.sleep(0.01)
print(busy.result())
children.close()
"""
    parent = script(tmp_path, 0.7, rest)
    assert parent.stdout
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.communicate(timeout=20) == ("None\n", "")
    assert parent.returncode == 0
    assert all(is_gone(pid) for pid in pids)
