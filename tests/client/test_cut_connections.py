"""What is sent over a connection that breaks again and again is one job, and each change of it is applied once."""

import random
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from beside import beside
from both_clients import carry_out
from cutting import ANSWER, CuttingProxy
from harness import picture

from lookalike import Put
from services.testing import load_stub

LINE_BYTES = 100
TIMES = 3


@pytest.mark.long
@pytest.mark.parametrize(("kind", "lines"), [("sync", 10_000), ("async", 1_000)])
def test_lines_sent_thrice_with_one_key_are_one_job_and_applied_once(kind: str, lines: int, tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    size = lines * LINE_BYTES
    pictures = [picture(number) for number in range(8)]
    changes = [Put(f"p{number}", pictures[number % 8], {"number": number}) for number in range(lines)]

    def point() -> int:
        """Somewhere in the request or its answer, or behind both."""
        return chance.randrange(1, 2 * size)

    with beside(tmp_path / "data", load=load_stub) as service:
        address = urlsplit(service.url)
        assert address.hostname and address.port

        async def scenario(client: Any) -> None:
            shop = await client.create_catalog("shop")
            sent = [await shop.put_many(changes, key="nightly") for _ in range(TIMES)]
            assert [[job.id for job in each.jobs] for each in sent] == [[sent[0].jobs[0].id]] * TIMES
            assert [each.not_sent for each in sent] == [0] * TIMES
            [job] = (await client.wait(sent[0])).jobs
            assert (job.total, job.applied, job.errors) == (lines, lines, False)
            assert [each.id async for each in client.jobs()] == [job.id]
            products = [each async for each in shop.products(limit=1000)]
            assert {each.product_id: each.attributes for each in products} == {
                each.product_id: each.attributes for each in changes
            }
            versions = {each.version for each in products}
            assert len(versions) == lines and max(versions) - min(versions) == lines - 1

        # The first connection dies in the middle of a body, others before an answer that is lost.
        points = [chance.randrange(1, 20_000), ANSWER, chance.randrange(1, size), ANSWER]
        with CuttingProxy((address.hostname, address.port), points, point) as proxy:
            try:
                carry_out(kind, f"http://127.0.0.1:{proxy.port}", scenario, patience=600)
            except BaseException as failure:
                failure.add_note(f"seed {seed}")
                raise
            assert proxy.cuts >= len(points)
