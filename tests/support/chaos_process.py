"""A process of the service that ends itself where a test says: python chaos_process.py ORDERS COMMAND ARGUMENTS...

The command `stub` is stub_worker.py, others are those of `lookalike`. A test writes fault points to the file ORDERS, a
line each; the first process that reaches the first takes that away and is gone, as by `kill -9`.
"""

import os
import signal
import sys
from pathlib import Path

import stub_worker

from services import failpoints


def obey(orders: Path) -> None:
    """Ends this process at the point that is ordered, whenever one is."""

    def pass_by(point: str) -> None:
        try:
            ordered = orders.read_text()
            first, _, others = ordered.partition("\n")
            if first != point:
                return
            taken = orders.rename(orders.with_name(f"{orders.name}.{os.getpid()}"))
            if taken.read_text() != ordered:  # another process was faster, and this is the next order
                os.link(taken, orders)
                taken.unlink()
                return
            if others:
                taken.write_text(others)
                os.link(taken, orders)
        except FileNotFoundError:
            return  # nothing is ordered, or another process was faster
        os.kill(os.getpid(), signal.SIGKILL)

    for point in failpoints.ALL:
        failpoints.enable(point, lambda point=point: pass_by(point))  # type: ignore[misc]


def main() -> None:
    orders, command, *arguments = sys.argv[1:]
    obey(Path(orders))
    if command == "stub":
        sys.argv = [stub_worker.__file__, *arguments]
        stub_worker.main()
        return
    from api.cli.main import main

    sys.argv = ["lookalike", command, *arguments]
    main()


if __name__ == "__main__":
    main()
