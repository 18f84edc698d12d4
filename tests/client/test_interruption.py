"""Ctrl-C ends the program, and what was accepted goes on: the last lines say where it stands, and how to go on."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from beside import Beside, beside
from harness import picture

from lookalike import Client, Image, Put
from lookalike.changes import hash_of
from services.testing import load_stub

WAITING = """
import sys
from lookalike import Client
with Client(sys.argv[1]) as client:
    client.wait(sys.argv[2], on_progress=lambda progress: print("now", flush=True))
"""

SENDING = """
import sys
from threading import Event
from lookalike import Client, Image, Put

def products():
    for number in range(130):
        yield Put(f"p{number}", Image(sys.argv[2]), {"number": number})
    print("now", flush=True)
    Event().wait()

with Client(sys.argv[1]) as client:
    client.catalog("shop").put_many(products(), key="nightly", piece=50)
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Beside]:
    with beside(tmp_path / "data", load=load_stub) as service:
        service.working.clear()
        yield service


def interrupted(code: str, *arguments: str) -> str:
    """What a program says when it is interrupted, as soon as it says `now`."""
    command = [sys.executable, "-c", code, *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline() == "now\n", process.stderr.read()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(300) == -signal.SIGINT, said
    return said


def uploaded(client: Client) -> Image:
    """A picture that the service has: that of the only product, which waits."""
    client.create_catalog("shop").put_many([Put("first", picture(1))])
    return Image(hash_of(picture(1)))


def test_whoever_interrupts_waiting_is_told_where_the_job_stands(service: Beside) -> None:
    with Client(service.url) as client:
        image = uploaded(client)
        [job] = client.catalog("shop").put_many(Put(f"p{number}", image) for number in range(30)).jobs
        said = interrupted(WAITING, service.url, job.id)
        assert said.splitlines()[-1] == (
            f"Job {job.id} goes on in the service: 0 of 30 changes have ended. wait('{job.id}') waits again, "
            f"cancel('{job.id}') ends it."
        )
        service.working.set()
        ended = client.wait(job)
        assert (ended.state, ended.applied) == ("succeeded", 30)


def test_whoever_interrupts_sending_goes_on_with_the_same_key(service: Beside) -> None:
    with Client(service.url) as client:
        image = uploaded(client)
        said = interrupted(SENDING, service.url, image.hash)
        accepted = sorted(int(each.id) for each in client.jobs())[1:]
        assert said.splitlines()[-1] == (
            f"Accepted by then: 100 changes in 2 jobs (the last: {accepted[0]}, {accepted[1]}), which go on in the "
            "service. The same put_many with key='nightly' goes on from there."
        )

        def products() -> Iterator[Put]:
            for number in range(130):
                yield Put(f"p{number}", image, {"number": number})

        service.working.set()
        sent = client.wait(client.catalog("shop").put_many(products(), key="nightly", piece=50))
        assert [int(job.id) for job in sent.jobs[:2]] == accepted
        assert [(job.total, job.applied) for job in sent.jobs] == [(50, 50), (50, 50), (30, 30)]
        assert client.catalog("shop").count() == 131


def test_waiting_that_takes_too_long_says_where_the_job_stands(service: Beside) -> None:
    with Client(service.url) as client:
        uploaded(client)
        [job] = client.jobs()
        with pytest.raises(TimeoutError) as late:
            client.wait(job, timeout=0)
        notes: Any = late.value.__notes__
        assert notes[0].startswith(f"Job {job.id} goes on in the service: 0 of 1 changes")
