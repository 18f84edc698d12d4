"""Ends or forgets many changes at once: of a job that is canceled or was never committed, or of a catalog."""

from collections.abc import Callable

from services.errors import CatalogNotFound
from services.ledger.store import CHUNK, Store, translated
from services.records import State


def cancel(store: Store, number: str, *, claimed: bool = False) -> None:
    """Cancels the changes of a job that wait, and its removal; with `claimed` also what workers are processing.

    Raises `LedgerUnavailable`.
    """
    # First: it appends changes to the job.
    store.run("forgo", number)
    with translated():
        total = int(store.redis.hget(f"la:job:{number}", "n") or 0)
    for start in range(0, total, CHUNK):
        store.run("settle", number, State.CANCELED.value, int(claimed), *range(start, start + CHUNK))


def discard(store: Store, number: bytes) -> None:
    """Forgets a job that was never committed; one that was stays. Raises `LedgerUnavailable`."""
    with translated():
        fields = store.redis.hmget(b"la:job:" + number, "got", "f")
    # Lines of a chunk that was refused half-way are not in the count yet.
    lines = sum(int(field or 0) for field in fields) + 2 * CHUNK
    for start in range(0, lines, CHUNK):
        store.run("discard", number, *range(start, start + CHUNK))
    store.run("discard", number)


def drop(store: Store, catalog_id: str, remove: Callable[[], None] = lambda: None) -> None:
    """Cancels all changes of a catalog, calls `remove`, and forgets the catalog; later changes are refused.

    Where `remove` raises, the catalog accepts changes again, and its versions go on; but where it raises
    `CatalogNotFound`, the catalog is forgotten all the same.

    Raises `LedgerUnavailable` and what `remove` does.
    """
    for number in store.run("drop", catalog_id, "begin"):
        cancel(store, number.decode(), claimed=True)
    try:
        remove()
    except CatalogNotFound:
        store.run("drop", catalog_id, "end")
        raise
    except BaseException:
        restore(store, catalog_id)
        raise
    store.run("drop", catalog_id, "end")


def restore(store: Store, catalog_id: str) -> None:
    """Lets a catalog whose removal was begun accept changes again. Raises `LedgerUnavailable`."""
    store.run("drop", catalog_id, "undo")
