"""Many changes: a full queue holds back whoever makes them, and what cannot be sent fails alone."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from beside import beside
from waiting import until

from lookalike import Client, Delete, Patch, Put
from services.testing import load_stub


def test_a_change_that_json_cannot_write_fails_alone(tmp_path: Path) -> None:
    odd: list[Any] = [
        Patch("nan", {"price": float("nan")}),
        Patch("date", {"since": date(2026, 11, 30)}),
        Put("name", "photos/1.jpg"),
        Delete("lone\ud800"),
    ]
    with beside(tmp_path / "data", load=load_stub) as service, Client(service.url) as client:
        sent = client.wait(client.create_catalog("shop").put_many([*odd, Delete("fine")]))
        assert [(each.product_id, each.code) for each in sent.failures] == [
            (each.product_id, "change_invalid") for each in odd
        ]
        assert (sent.not_sent, [(job.total, job.unchanged) for job in sent.jobs]) == (4, [(1, 1)])
        assert client.catalog("shop").put_many([]).jobs == ()


@pytest.mark.long
def test_a_full_queue_is_waited_for_and_nothing_is_taken_meanwhile(tmp_path: Path) -> None:
    taken: list[int] = []

    def changes() -> Iterator[Delete]:
        for number in range(300):
            taken.append(number)
            yield Delete(f"p{number}")

    with (
        beside(tmp_path / "data", load=load_stub, max_waiting=100) as service,
        Client(service.url, patience=0) as client,
    ):
        service.working.clear()
        shop = client.create_catalog("shop")
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(shop.put_many, changes(), piece=100)
            # Of four batches of 64 the first piece is accepted, and the second one does not fit.
            until(lambda: len(taken) == 256 or sending.done())
            assert not sending.done()
            service.working.set()
            sent = client.wait(sending.result())
        assert [(job.total, job.unchanged) for job in sent.jobs] == [(100, 100)] * 3
