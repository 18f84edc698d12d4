"""Works on a catalog in a data folder until it is killed: python edge_writer.py FOLDER SEED

It says on stdout, a JSON array a line: `open` and how many seconds of a processor that took, `has` and each product
with its attributes and vector, then of each operation `begun` and, when the catalog has told its end, `done`.
"""

import json
import random
import sys
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np

from services import bootstrap, settings
from services.catalog.opening import new_spec
from services.records import Change, ChangeKind, Embedding, State, Vector
from services.testing import load_stub

PRODUCTS = 60
DIM = 1280


def features(seed: int) -> Vector:
    return np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)


def say(*what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def operations(rng: random.Random) -> Any:
    """Without end: each has one to four products, a kind, and a number that says with what."""
    while True:
        names = rng.sample([f"p{n}" for n in range(PRODUCTS)], rng.randint(1, 4))
        yield rng.choices(["put", "patch", "remove"], [5, 3, 2])[0], names, rng.getrandbits(31)


def main() -> None:
    began = time.process_time()
    with bootstrap.catalogs(settings.load(data=Path(sys.argv[1])), load=load_stub) as catalogs:
        if catalogs.find("shoes") is None:
            catalogs.create(new_spec("shoes", "efficientnet_lite0", "random:1", "nearest"))
        catalog = catalogs.get("shoes")
        catalog.count()
        say("open", time.process_time() - began)
        for point in catalog.points():
            assert point.vector is not None
            vector = b64encode(np.asarray(point.vector, np.float32).tobytes()).decode()
            say("has", point.product_id, dict(point.attributes), vector)
        for kind, names, number in operations(random.Random(int(sys.argv[2]))):
            say("begun", kind, names, number)
            if kind == "put":
                made = [Embedding(name, features(number), {"n": number}) for name in names]
                ended = list(catalog.put_embeddings(made))
            elif kind == "patch":
                ended = catalog.apply([Change(name, ChangeKind.PATCH, attributes={"n": number}) for name in names])
            else:
                ended = catalog.apply([Change(name, ChangeKind.DELETE) for name in names])
            say("done", [outcome.state is not State.FAILED for outcome in ended])


if __name__ == "__main__":
    main()
