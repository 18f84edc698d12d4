"""A stream of changes, cut into batches, several of which are in hand at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from services.images.budget import IN_HAND
from services.records import Change, Outcome

AT_ONCE = 3
"""Batches in hand: one is encoded while another is decoded and a third is written."""

Batches = dict[Future[list[Outcome]], set[str]]
"""The batches in hand, and the products of each."""


def applied(
    changes: Iterable[Change], apply: Callable[[Sequence[Change]], list[Outcome]], size: int
) -> Iterator[Outcome]:
    """The outcomes of changes, as batches of `size` end; changes of one product are applied in their order.

    Not more is taken from `changes` than is in hand. What `apply` raises ends the run when the other batches have
    ended and their outcomes are told. Whoever stops asking is let go at once, with batches still in hand.
    """
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="batch")
    batches: Batches = {}
    try:
        for batch in _cut(changes, size):
            products = {change.product_id for change in batch}
            while len(batches) == AT_ONCE or any(products & others for others in batches.values()):
                yield from _ended(batches)
            batches[pool.submit(apply, batch)] = products
        while batches:
            yield from _ended(batches)
    except Exception:
        yield from _told(batches)
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _cut(changes: Iterable[Change], size: int) -> Iterator[list[Change]]:
    """Batches with one change of each product, and with not too many bytes of images."""
    batch: dict[str, Change] = {}
    held = 0
    for change in changes:
        here = len(change.image) if isinstance(change.image, bytes) else 0
        if change.product_id in batch or (batch and held + here > IN_HAND):
            yield [*batch.values()]
            batch, held = {}, 0
        batch[change.product_id] = change
        held += here
        if len(batch) == size:
            yield [*batch.values()]
            batch, held = {}, 0
    if batch:
        yield [*batch.values()]


def _ended(batches: Batches) -> Iterator[Outcome]:
    """Waits for a batch."""
    done, _ = wait(batches, return_when=FIRST_COMPLETED)
    future = done.pop()
    del batches[future]
    yield from future.result()


def _told(batches: Batches) -> Iterator[Outcome]:
    """The outcomes of the batches that end well."""
    for future in batches:
        if future.exception() is None:
            yield from future.result()
