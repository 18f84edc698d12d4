"""What workers ask of the ledger: claims of changes, their leases and outcomes, and which workers are alive."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from services.errors import LookalikeError
from services.failpoints import hit
from services.ledger import payload
from services.ledger.records import Claim, Claimed, Removal
from services.ledger.store import CHUNK, Store, translated
from services.records import Change, ChangeKind, Outcome, Task


class Claims:
    """Hands changes to workers. Calls may come from several threads; every call raises `LedgerUnavailable`.

    Args:
        store: The Redis, which others may use, too.
        lease: Seconds after which the changes of a worker that has not called `extend` are given to others.
    """

    def __init__(self, store: Store, *, lease: float = 60.0) -> None:
        self._store = store
        self.lease = lease

    def claim(self, drain: str, limit: int, *, alone: bool = False) -> Claimed:
        """Claims changes of one catalog until the lease ends.

        Args:
            drain: Who claims, named `WORKER/...`: it occupies one of that worker's slots.
            limit: How many changes at most.
            alone: Asks for a change that has crashed workers before and must run without others.
        """
        hit("claim")
        answer = self._store.run("claim", drain, limit, int(self.lease * 1000), int(alone))
        id, catalog_id, suspects, more, *rest = answer
        if not rest:
            return Claimed(None, suspects, bool(more))
        hit("claimed")
        if rest[0] == b"removal":
            return Claimed(_of_removal(id.decode(), catalog_id.decode(), rest[1:]), suspects, bool(more))
        changes = [payload.unpacked(item, int(version)) for version, item in zip(rest[1::5], rest[2::5], strict=True)]
        refs, of_jobs, requests = ([each.decode() for each in rest[start::5]] for start in (0, 3, 4))
        claim = Claim(id.decode(), catalog_id.decode(), refs, changes, of_jobs, requests, alone)
        return Claimed(claim, suspects, bool(more))

    def claim_task(self) -> Claim | None:
        """Claims a task until the lease ends, the one that was accepted first; a catalog's tasks go one by one.

        Its `done` is the most that it ever was.
        """
        hit("claim_task")
        answer = self._store.run("claim_task", int(self.lease * 1000))
        if not answer:
            return None
        id, catalog_id, job, kind, parameters, checkpoint, request, most = (each.decode() for each in answer)
        task = Task(kind, json.loads(parameters), int(most or 0), checkpoint=json.loads(checkpoint or "null"))
        hit("claimed_task")
        return Claim(id, catalog_id, [], [], [job], [request], task=task)

    def progress(self, claim: Claim, done: int, total: int | None = None, checkpoint: Any = None) -> bool:
        """Records how far a task is, and as JSON from where another worker goes on; False: it is not this claim's."""
        said = "" if checkpoint is None else json.dumps(checkpoint)
        return bool(self._store.run("task", claim.id, "progress", done, "" if total is None else total, said))

    def end_task(
        self, claim: Claim, result: Mapping[str, Any] | None = None, *, error: LookalikeError | None = None
    ) -> bool:
        """Records that a task is done, with a result as JSON, or that it failed; the claim ends.

        False: it is not this claim's any more.
        """
        hit("end_task")
        ended = ("", error.code, str(error)) if error else (json.dumps(result or {}), "", "")
        is_ours = bool(self._store.run("task", claim.id, "end", *ended))
        hit("ended_task")
        return is_ours

    def extend(self, claim: Claim) -> bool:
        """Begins the lease anew; False where it was over and the changes are others', or its task was canceled."""
        return bool(self._store.run("extend", claim.id, int(self.lease * 1000)))

    def record(self, claim: Claim, outcomes: Sequence[tuple[str, Outcome]], *, others_wait: bool = False) -> bool:
        """Records how changes ended, by their refs; each counts once.

        With that, changes of the catalog wait for nothing any more, unless `others_wait`: what ended needed nothing of
        what the others are put off for.

        Returns:
            False where the lease was over and the changes are others': then nothing is recorded.
        """
        arguments: list[Any] = [int(others_wait)]
        pictured = {ref for ref, change in zip(claim.refs, claim.changes, strict=True) if change.has_image}
        for ref, outcome in outcomes:
            note = payload.note(outcome.code, outcome.message)
            arguments += [ref, outcome.state.value, note, int(ref in pictured)]
        hit("record")
        is_ours = bool(self._store.run("record", claim.id, *arguments))
        hit("recorded")
        return is_ours

    def names(self, claim: Claim) -> Iterator[bytes]:
        """Digests of the products that the job of a removal names, many in one."""
        start = 0
        while True:
            with translated():
                found = self._store.redis.lrange(f"la:names:{claim.jobs[0]}", start, start + CHUNK - 1)
            yield from found
            if len(found) < CHUNK:
                return
            start += CHUNK

    def decide(self, claim: Claim) -> bool:
        """Records that the products of a removal go, whoever goes on with it.

        False: it is not this claim's any more.
        """
        hit("decide")
        return bool(self._store.run("removal", claim.id, "go", ""))

    def remove(self, claim: Claim, product_ids: Sequence[str]) -> bool:
        """Accepts the deletion of some products of a removal, each as one more change of its job.

        False: it is not this claim's any more.
        """
        assert claim.removal is not None
        version = claim.removal.version
        deletes = [payload.packed(Change(each, ChangeKind.DELETE, version=version)) for each in product_ids]
        hit("remove")
        is_ours = bool(self._store.run("remove", claim.id, *deletes))
        hit("removed")
        return is_ours

    def end_removal(self, claim: Claim, not_removed: str | None = None) -> bool:
        """Records that all products of a removal have been accepted, or why they are not removed; the claim ends.

        False: it is not this claim's any more.
        """
        hit("end_removal")
        return bool(self._store.run("removal", claim.id, "end", not_removed or ""))

    def give_back(
        self, claim: Claim, *, pause: float = 0.0, crashed: bool = False, error: LookalikeError | None = None
    ) -> bool:
        """Requeues the changes of a claim that have not ended, its removal or its task.

        Args:
            claim: The claim, which ends.
            pause: Seconds during which nobody gets changes of its catalog; of a task, that task.
            crashed: The worker failed in an unexpected way, which counts as if it had crashed.
            error: Why it is paused, which its jobs tell (`Job.waiting_for`).

        Returns:
            False where the lease was over and the changes are others'.
        """
        code, message = (error.code, str(error)) if error else ("", "")
        return bool(self._store.run("give_back", claim.id, int(pause * 1000), int(crashed), code, message))

    def register(self, worker: str, slots: int, seconds: float) -> None:
        """Reports that a worker is alive for so many seconds and runs up to `slots` drains at once."""
        self._store.run("register", worker, slots, int(seconds * 1000))

    def leave(self, worker: str, slots: int, drains: Collection[str] = ()) -> None:
        """Reports that a worker has ended, so that others can take the place of its `drains`."""
        with translated():
            self._store.redis.zrem("la:workers", f"{worker} {slots}")
            if drains:
                self._store.redis.zrem("la:drains", *drains)

    def spare_drains(self, batch: int) -> int:
        """How many more drains could start now: enough for what waits, `batch` changes each, but no more than there are
        free slots. Who wakes workers asks this. Where no worker is alive, at most one."""
        return int(self._store.run("spare_drains", batch, 1))


def _of_removal(id: str, catalog_id: str, fields: Sequence[bytes]) -> Claim:
    job, version, most, filter, decided, request = (each.decode() for each in fields)
    removal = Removal(int(version), int(most) if most else None, filter or None, decided=bool(decided))
    return Claim(id, catalog_id, [], [], [job], [request], removal=removal)
