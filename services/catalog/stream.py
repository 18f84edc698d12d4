"""A stream of changes, cut into batches, several of which are in progress at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from services.images.budget import IN_HAND
from services.records import Change, Outcome

AT_ONCE = 3
"""Batches in progress: one is encoded while another is decoded and a third is written."""

Batches = dict[Future[list[Outcome]], set[str]]
"""The batches in progress, and the products of each."""


def applied(
    changes: Iterable[Change],
    apply: Callable[[Sequence[Change]], list[Outcome]],
    size: int,
    *,
    max_bytes: int = IN_HAND,
) -> Iterator[Outcome]:
    """The outcomes of changes, as their batches end; changes of one product are applied in their order.

    Whatever `apply` raises is raised when the other batches have ended and their outcomes are given. A caller that
    stops iterating waits for nothing.

    Args:
        changes: Read no further than what is in progress needs.
        apply: Applies one batch.
        size: Changes of a batch at most.
        max_bytes: Bytes of images in a batch at most; one larger image is a batch of its own.
    """
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="batch")
    batches: Batches = {}
    try:
        for batch in _cut(changes, size, max_bytes):
            products = {change.product_id for change in batch}
            while len(batches) == AT_ONCE or any(products & others for others in batches.values()):
                yield from _next_ended(batches)
            batches[pool.submit(apply, batch)] = products
        while batches:
            yield from _next_ended(batches)
    except Exception:
        yield from _succeeded(batches)
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _cut(changes: Iterable[Change], size: int, max_bytes: int) -> Iterator[list[Change]]:
    """Batches with one change of each product, and with not too many bytes of images."""
    batch: dict[str, Change] = {}
    held = 0
    for change in changes:
        here = len(change.image) if isinstance(change.image, bytes) else 0
        if change.product_id in batch or (batch and held + here > max_bytes):
            yield [*batch.values()]
            batch, held = {}, 0
        batch[change.product_id] = change
        held += here
        if len(batch) == size:
            yield [*batch.values()]
            batch, held = {}, 0
    if batch:
        yield [*batch.values()]


def _next_ended(batches: Batches) -> Iterator[Outcome]:
    """Waits for a batch to end."""
    done, _ = wait(batches, return_when=FIRST_COMPLETED)
    future = done.pop()
    del batches[future]
    yield from future.result()


def _succeeded(batches: Batches) -> Iterator[Outcome]:
    """The outcomes of the batches that do not fail."""
    for future in batches:
        if future.exception() is None:
            yield from future.result()
