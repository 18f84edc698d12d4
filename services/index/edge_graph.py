"""The search graph of an index in this process: built on a copy by another process, while the index goes on."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import qdrant_edge as qdrant

from services.errors import Conflict, DataFull, GraphNotBuilt
from services.failpoints import hit
from services.index import edge_graph_process
from services.index.edge_fields import EdgeFields, stored_fields
from services.index.edge_folder import GoOn, ShardFolder, copy_shard, size_of, sync_tree
from services.index.edge_shard import LiveShard, Shard, closed, translated
from services.index.vector_index import point_id

SPACE = 3
"""How many times what the index takes must be free: for the copy, its new segments, and what is written meanwhile."""

_PAGE = 64
_FEW = 64
"""Products that may be left for the moment in which writes wait."""
_ROUNDS = 10
"""After so many, writes wait for what is left, or one who writes quickly enough would hold off the switch for ever."""
_POLL_SECONDS = 0.1


class GraphBuilder:
    """Builds the graph of one open index.

    1. The shard is copied, while writes wait. 2. A child process builds the graph of the copy. 3. What was written
    since then is brought to the copy, until little is left. 4. While writes wait, the rest is, and the copy becomes
    the index. Searches go on all the time.

    Args:
        folder: Which shard is the index.
        live: That shard.
        writing: The lock that every write holds; the same thread may take it again.
        config: The configuration with which a shard is opened.
        max_version: `VectorIndex.max_version`.
    """

    def __init__(
        self,
        folder: ShardFolder,
        live: LiveShard,
        writing: AbstractContextManager[object],
        config: qdrant.EdgeConfig,
        max_version: Callable[[], int],
    ) -> None:
        self._folder = folder
        self._live = live
        self._writing = writing
        self._config = config
        self._max_version = max_version
        self._written: set[str] | None = None
        self._building = threading.Lock()
        self._stopping = threading.Event()

    def note(self, product_ids: Iterable[str]) -> None:
        """Who writes products says so before, while it holds the lock of writes."""
        if self._written is not None:
            self._written.update(product_ids)

    def build(self, check_space: Callable[[int], None], canceled: Callable[[], bool]) -> bool:
        """See `VectorIndex.optimize`."""

        def go_on() -> None:
            if self._stopping.is_set() or canceled():
                raise _Stopped

        if not self._building.acquire(blocking=False):
            raise Conflict("The search graph of this catalog is being built already: wait until it is, or cancel that.")
        try:
            return self._build(check_space, go_on)
        except _Stopped:
            if self._stopping.is_set():
                raise closed() from None
            return False
        finally:
            self._building.release()

    def stop(self) -> None:
        """Ends a build in progress and waits for that; no other begins."""
        self._stopping.set()
        with self._building:
            pass

    def _build(self, check_space: Callable[[int], None], go_on: GoOn) -> bool:
        go_on()
        self._folder.tidy()
        copy = self._folder.next()
        try:
            version = self._copy(copy, check_space, go_on)
            hit("graph_copied")
            if not _built(copy, go_on):
                return False
            hit("graph_built")
            old = self._switch(copy, version, go_on)
        finally:
            with self._writing:
                self._written = None
            if self._folder.shard != copy:
                self._folder.tidy()
        try:
            self._folder.sync()
            hit("graph_switched")
        finally:
            self._live.retire(old)
        self._folder.tidy()
        return True

    def _copy(self, copy: Path, check_space: Callable[[int], None], go_on: GoOn) -> int:
        """Copies the index as it is; returns its highest version."""
        with self._writing, self._live.use() as live:
            check_space(SPACE * size_of(live.path))
            live.edge.flush()
            version = self._max_version()
            copy_shard(live.path, copy, go_on)
            self._written = set()
        return version

    def _switch(self, copy: Path, version: int, go_on: GoOn) -> Shard:
        """Makes the copy the index; returns the shard that was."""
        new = Shard.load(copy, self._config)
        try:
            self._catch_up(new, go_on)
            sync_tree(copy, go_on)
            # From here on, what the log holds is enough.
            self._catch_up(new, go_on)
            hit("graph_caught_up")
            with self._writing:
                self._bring(new, self._taken(), go_on)
                go_on()
                new.sync_log()
                self._folder.prepare(copy, version)
                hit("graph_prepared")
                self._folder.switch()
                # What is written to it from now on is not durable before the switch is: `EdgeIndex.flush` sees to that.
                old = self._live.exchange(new)
        except BaseException:
            if self._folder.shard != copy:
                new.edge.close()
            raise
        return old

    def _catch_up(self, new: Shard, go_on: GoOn) -> None:
        for _ in range(_ROUNDS):
            with self._writing:
                product_ids = self._taken()
            self._bring(new, product_ids, go_on)
            if len(self._written or ()) <= _FEW:
                return

    def _taken(self) -> list[str]:
        """The products that were written since this was last asked."""
        product_ids, self._written = list(self._written or ()), set()
        return product_ids

    def _bring(self, new: Shard, product_ids: list[str], go_on: GoOn) -> None:
        """Brings what the index has of these products, and its field indexes, to `new`.

        What is written meanwhile is noted again, so it comes later.
        """
        with translated():
            self._bring_fields(new)
            for start in range(0, len(product_ids), _PAGE):
                go_on()
                ids = [point_id(product_id) for product_id in product_ids[start : start + _PAGE]]
                with self._live.use() as live:
                    records = live.edge.retrieve([*ids], with_payload=True, with_vector=True)
                points = [qdrant.Point(record.id, record.vector or {}, record.payload) for record in records]
                purged = set(ids) - {str(record.id) for record in records}
                if points:
                    new.edge.update(qdrant.UpdateOperation.upsert_points(points))
                if purged:
                    new.edge.update(qdrant.UpdateOperation.delete_points([*purged]))

    def _bring_fields(self, new: Shard) -> None:
        with self._live.use() as live:
            wanted = stored_fields(live.edge.info().payload_schema)
        fields = EdgeFields(lambda: new.edge.info().payload_schema, new.edge.update)
        for name in fields.built().keys() - wanted.keys():
            fields.delete(name)
        for name, index in wanted.items():
            fields.create(name, index)


class _Stopped(Exception):
    """The build was canceled, or its index is being closed."""


def _built(shard: Path, go_on: GoOn) -> bool:
    """Builds the graph of a closed shard in a child process; whether there was anything to build.

    Raises `GraphNotBuilt`, `DataFull`, and what `go_on` raises.
    """
    program = Path(edge_graph_process.__file__)
    process = subprocess.Popen(
        [sys.executable, "-P", str(program), str(os.getpid()), str(shard)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Ctrl-C is for us. No session of its own: Linux gives each session the same share of the processors, so being
        # nice would not help.
        process_group=0,
    )
    try:
        while True:
            go_on()
            try:
                out, said = process.communicate(timeout=_POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if process.returncode:
        raise _failure(process.returncode, said.decode(errors="replace").strip())
    return out == b"built"


def _failure(status: int, said: str) -> Exception:
    # The library looks for space before it begins. Where a file cannot grow later, the kernel ends who has it mapped.
    if status == -signal.SIGBUS or "Not enough space" in said or "No space left" in said:
        return DataFull("The disk became full while the search graph was built; free some space and try again.")
    if status < 0:
        return GraphNotBuilt(
            f"The search graph was not built: its process was ended by {signal.Signals(-status).name}, which may mean "
            "that memory ran out. The catalog is as it was; try again."
        )
    last = said.splitlines()[-1] if said else f"status {status}"
    return GraphNotBuilt(f"The search graph was not built: {last}. The catalog is as it was.")
