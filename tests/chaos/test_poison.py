"""Poison hurts only itself: what ends a decoding child or a whole worker fails with a reason, and nothing else does."""

import io
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from chaos import Log, Supervisor, colors, differences, grid
from harness import Pictures, StackService, answer
from PIL import Image
from poison_worker import DEADLY
from poisons import POISONS

pytestmark = pytest.mark.long

WORKER = Path(__file__).parent.parent / "support" / "poison_worker.py"


def deadly() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), DEADLY, np.uint8)).save(out, "PNG")
    return out.getvalue()


def test_poison_hurts_only_itself(
    make_stack: Callable[..., StackService],
    pictures: Pictures,
    rng: random.Random,
    scale: Callable[..., int],
    record_property: Callable[[str, object], None],
) -> None:
    products, decoders, workers = scale(1000, 50), scale(10, len(POISONS)), scale(2, 1)
    service = make_stack(worker=WORKER, LOOKALIKE_DECODE_TIMEOUT="3", LOOKALIKE_LEASE_SECONDS="3")
    log, codes, images = Log(), {}, {}
    bad = rng.sample(range(products), decoders + workers)
    kinds = [*POISONS] * 2
    for number in range(products):
        name, seed = f"p{number}", rng.getrandbits(31)
        assert tuple(colors(seed)[0, 0]) != DEADLY
        if number in bad[:decoders]:
            kind = kinds[bad.index(number)]
            images[name], codes[name] = grid(seed) + kind, POISONS[kind][1]
        elif number in bad:
            images[name], codes[name] = deadly(), "worker_crashed"
        else:
            images[name], log.expected[name] = grid(seed), seed
        pictures.answers[f"/{name}.png"] = answer(images[name])
    service.start()
    with Supervisor(service) as supervisor:
        service.create_catalog()
        lines = ({"product_id": name, "image_url": f"{pictures.url}/{name}.png"} for name in images)
        job = service.finished(service.feed(lines), 900)
        failed = {
            item["product_id"]: (item["code"], bool(item["message"]))
            for item in service.get(f"/jobs/{job['id']}/items", params={"limit": 1000})["items"]
        }
    record_property("workers ended", dict(supervisor.restarts))
    assert (job["applied"], job["failed"]) == (products - len(bad), len(bad))
    assert failed == {name: (code, True) for name, code in codes.items()}
    assert differences(service, log) == []
    assert sum(supervisor.restarts.values()) >= workers
