"""The process that builds a search graph: python edge_graph_process.py PARENT SHARD

A program of its own, which imports nothing of ours: the library does not let other threads work while it builds. It
prints `built`, or `nothing` where there was nothing to build, and ends with its parent.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
NICENESS = 10
"""A tenth of a processor that others want, too: one that encodes for hours must not hold off the graph for ever."""


def main() -> None:
    parent, shard = int(sys.argv[1]), sys.argv[2]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # The library takes a thread for each processor that it may use; half of them are left to whoever searches.
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, processors[len(processors) // 2 :])
    if os.getppid() != parent:
        sys.exit("The process that wanted the graph is gone.")
    os.nice(NICENESS)

    import qdrant_edge

    edge = qdrant_edge.EdgeShard.load(shard)
    built = edge.optimize()
    edge.flush()
    edge.close()
    sys.stdout.write("built" if built else "nothing")


if __name__ == "__main__":
    main()
