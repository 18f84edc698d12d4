"""Tasks that a command has a running service do."""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from beside import Beside, beside
from waiting import until

from api.client.catalog import RemoteCatalog
from api.client.catalogs import RemoteCatalogs
from services import settings
from services.errors import Conflict, DataFull
from services.ledger import Claims
from services.records import Job, JobState

pytestmark = pytest.mark.long


@pytest.fixture
def service(own: Path, tmp_path: Path) -> Iterator[Beside]:
    with beside(Path(shutil.copytree(own, tmp_path / "data"))) as service:
        yield service


@pytest.fixture
def catalog(service: Beside) -> Iterator[RemoteCatalog]:
    with RemoteCatalogs(service.url, settings.load(data=service.catalogs.registry.path)) as catalogs:
        yield catalogs.get("products")


def begun(service: Beside) -> Job:
    """The task when it has been accepted."""
    until(lambda: bool(service.ledger.jobs()[0]))
    [job], _ = service.ledger.jobs()
    return job


def meanwhile(do: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=do)
    thread.start()
    return thread


def test_the_service_builds_the_graph(service: Beside, catalog: RemoteCatalog) -> None:
    assert [catalog.optimize(), catalog.optimize()] == [True, False]
    assert [job.state for job in service.ledger.jobs()[0]] == [JobState.SUCCEEDED] * 2


def test_a_canceled_task_is_told(service: Beside, catalog: RemoteCatalog) -> None:
    service.working.clear()
    other = meanwhile(lambda: service.ledger.cancel(begun(service).id))
    with pytest.raises(Conflict, match=r"The graph was not finished: job \d+ was canceled"):
        catalog.optimize()
    other.join()


def test_a_task_that_fails_raises_its_reason(service: Beside, catalog: RemoteCatalog) -> None:
    service.working.clear()
    claims = Claims(service.ledger.store)

    def fail() -> None:
        begun(service)
        claim = claims.claim_task()
        assert claim and claims.end_task(claim, error=DataFull("The disk is full."))

    other = meanwhile(fail)
    with pytest.raises(DataFull, match="The disk is full"):
        catalog.optimize()
    other.join()


def test_ctrl_c_cancels_the_task(service: Beside, catalog: RemoteCatalog) -> None:
    service.working.clear()
    other = meanwhile(lambda: (begun(service), os.kill(os.getpid(), signal.SIGINT)))
    with pytest.raises(KeyboardInterrupt):
        catalog.optimize()
    other.join()
    assert begun(service).state is JobState.CANCELED


def test_ctrl_c_cancels_the_task_also_before_its_answer_has_come(service: Beside, catalog: RemoteCatalog) -> None:
    """The answer of the request that begins it is held until the same request comes again."""
    service.working.clear()
    answers, again = service.app.wsgi_app, threading.Event()
    begins = iter(("first", "second"))
    this = threading.get_ident()

    def late(environ: Any, start: Any) -> Any:
        answer = answers(environ, start)
        if environ["PATH_INFO"].endswith("/optimize"):
            if next(begins) == "second":
                again.set()
            else:
                signal.pthread_kill(this, signal.SIGINT)
                again.wait(60)
        return answer

    service.app.wsgi_app = late  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        catalog.optimize()
    assert again.is_set() and begun(service).state is JobState.CANCELED
