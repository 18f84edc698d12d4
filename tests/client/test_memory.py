"""The client moves any number of products, with pictures and vectors, in less than 100 MB of its own."""

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from beside import beside

from services.records import Embedding
from services.testing import load_stub

OWN = 100 << 20

MOVES = """
import sys
from pathlib import Path
from random import Random
from lookalike import Client, Put

def bytes_of(field):
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field + ":")]
    return int(line.split()[1]) << 10

def products(count, size):
    for number in range(count):
        # It is told by its signature when it comes in, and is decoded much later.
        picture = b"\\xff\\xd8\\xff" + Random(number).randbytes(size)
        yield Put(f"p{number}", picture, {"number": number, "text": "x" * 50})

url, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with Client(url) as client:
    client.catalogs()
    import numpy
    before = bytes_of("VmRSS")
    sent = client.catalog("filled").put_many(products(count, size))
    rows = 0
    for names, vectors in client.catalog("vectors").vectors():
        rows += len(vectors)
        assert vectors.dtype == numpy.float32 and len(names) == len(vectors)
    print(sum(job.total for job in sent.jobs), sent.not_sent, rows, bytes_of("VmHWM") - before)
"""


@pytest.mark.long
def test_products_with_pictures_and_vectors_take_little_memory(
    tmp_path: Path, scale: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    count, size = scale(100_000, 3_000), scale(2_000, 50_000)
    assert count * size > OWN, "it could not hold all pictures"
    with beside(tmp_path / "data", load=load_stub) as service:
        service.working.clear()
        service.app.test_client().put("/v1/catalogs/filled", json={})
        service.app.test_client().put("/v1/catalogs/vectors", json={"encoder": "efficientnet_lite0"})
        catalog = service.catalogs.get("vectors")
        random = np.random.default_rng(1)

        def embeddings() -> Iterator[Embedding]:
            for number in range(count):
                yield Embedding(f"p{number}", random.random(catalog.spec.dim, np.float32))

        deque(catalog.put_embeddings(embeddings()), maxlen=0)
        ran = subprocess.run(
            [sys.executable, "-c", MOVES, service.url, str(count), str(size)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        sent, not_sent, rows, own = map(int, ran.stdout.split())
        record_property("bytes", own)
        assert (sent, not_sent, rows) == (count, 0, count)
        assert own < OWN
        # The changes are canceled, so that the service ends at once.
        jobs, _ = service.ledger.jobs(limit=1000)
        for job in jobs:
            service.ledger.cancel(job.id)
