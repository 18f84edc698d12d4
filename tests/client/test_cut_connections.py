"""What is sent over a connection that breaks again and again is one job, and each change of it is applied once."""

import random
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from beside import beside
from both_clients import carry_out
from cutting import ANSWER, CuttingProxy

from lookalike import Client, Patch
from services.records import Embedding
from services.testing import load_stub

LINE_BYTES = 70
TIMES = 3


@pytest.mark.long
@pytest.mark.parametrize(("kind", "lines"), [("sync", 10_000), ("async", 1_000)])
def test_lines_sent_thrice_with_one_key_are_one_job_and_applied_once(kind: str, lines: int, tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    size = lines * LINE_BYTES
    changes = [Patch(f"p{number}", {"number": number}) for number in range(lines)]
    sent: list[Any] = []

    async def sends(client: Any) -> None:
        for _ in range(TIMES):
            sent.append(await client.catalog("shop").put_many(changes, key="nightly"))

    def point() -> int:
        """Somewhere in the request or its answer, or behind both."""
        return chance.randrange(1, 2 * size)

    with beside(tmp_path / "data", load=load_stub) as service, Client(service.url) as direct:
        shop = direct.create_catalog("shop", encoder="efficientnet_lite0")
        features = np.ones(shop.describe().dim, np.float32)
        stored = service.catalogs.get("shop").put_embeddings(Embedding(each.product_id, features) for each in changes)
        deque(stored, maxlen=0)
        address = urlsplit(service.url)
        assert address.hostname and address.port
        # The first connection dies in the middle of a body, others before an answer that is lost.
        points = [chance.randrange(1, 20_000), ANSWER, chance.randrange(1, size), ANSWER]
        with CuttingProxy((address.hostname, address.port), points, point) as proxy:
            try:
                carry_out(kind, f"http://127.0.0.1:{proxy.port}", sends, patience=600)
            except BaseException as failure:
                failure.add_note(f"seed {seed}")
                raise
            assert proxy.cuts >= len(points)
        [job] = direct.jobs()
        assert [[each.id for each in once.jobs] for once in sent] == [[job.id]] * TIMES
        ended = direct.wait(job)
        assert (ended.total, ended.applied, ended.errors) == (lines, lines, False)
        products = [*shop.products(limit=1000)]
        assert {each.product_id: each.attributes for each in products} == {
            each.product_id: each.attributes for each in changes
        }
        versions = {each.version for each in products}
        assert len(versions) == lines and max(versions) - min(versions) == lines - 1
