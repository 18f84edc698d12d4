"""A process that reindexes the catalog `shop` of a data folder, and kills itself when it passes a point again.

python reindex_process.py FOLDER POINT TIMES
"""

import os
import signal
import sys
from pathlib import Path

from services import bootstrap, failpoints, settings
from services.catalog.generations import Generations
from services.testing import load_stub


def main(data: Path, point: str, times: int) -> None:
    left = times

    def kill() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    given = settings.load(data=data, decode_processes=1)
    with bootstrap.catalogs(given, load=load_stub) as catalogs:
        if catalogs.get("shop").spec.encoder == "inception_v3":
            return
        generations = Generations(catalogs, "shop", page=4)
        id = generations.begin_or_go_on({"encoder": "inception_v3"}).id
        failpoints.enable(point, kill)
        generations.promote(id)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
