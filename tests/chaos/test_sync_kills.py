"""A feed that replaces, whose workers are killed ten times, ends as one that was left alone."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from chaos import Supervisor, grid, ordered, points, under_orders
from harness import Pictures, StackService, answer

pytestmark = pytest.mark.long

PRODUCTS = 1400
NAMED = 600
WORK = ("claimed", "upsert", "upserted", "record", "recorded")


def plan(rng: random.Random) -> list[str]:
    """Where workers are killed. After `removed` a part of the deletions waits, and the work on it is hit, too; so the
    removal is taken up seven times, five of them in its middle."""
    parts = [["remove"], ["removed", rng.choice(WORK)], ["removed", rng.choice(WORK)], ["remove"], ["removed"]]
    rng.shuffle(parts)
    return ["decide", *(point for part in parts for point in part), "remove", "end_removal"]


def test_a_sync_that_is_killed_ten_times_ends_as_one_that_was_not(
    make_stack: Callable[..., StackService],
    pictures: Pictures,
    rng: random.Random,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    service, orders = make_stack(2, LOOKALIKE_LEASE_SECONDS="1", LOOKALIKE_QDRANT_TIMEOUT="10"), tmp_path / "orders"
    under_orders(service, orders)
    service.start()
    service.create_catalog()
    pictures.answers["/1.png"] = answer(grid(1))
    lines = [{"product_id": f"p{n}", "image_url": f"{pictures.url}/1.png"} for n in range(PRODUCTS)]
    assert service.finished(service.feed(lines))["applied"] == PRODUCTS
    kept = [{"product_id": f"p{n}", "op": "patch", "attributes": {"n": n}} for n in rng.sample(range(PRODUCTS), NAMED)]
    kills = plan(rng)
    with Supervisor(service) as supervisor:
        ordered(orders, *kills)
        job = service.feed(kept, mode="replace", max_removed="0.6")
        ended = service.finished(job)
    record_property("kills", [*kills, dict(supervisor.restarts)])
    assert len(kills) == len(list(tmp_path.glob("orders.*"))) == 10
    removed = PRODUCTS - NAMED
    counts = {name: ended[name] for name in ("state", "total", "applied", "removed", "failed", "not_removed")}
    assert counts == {
        "state": "succeeded",
        "total": PRODUCTS,
        "applied": PRODUCTS,
        "removed": removed,
        "failed": 0,
        "not_removed": None,
    }
    stored = {name: found[0][0]["attributes"] for name, found in points(service).items()}
    assert stored == {each["product_id"]: each["attributes"] for each in kept}
    stats = service.get("/stats")
    assert (stats["waiting"], stats["in_flight"]) == (0, 0)
