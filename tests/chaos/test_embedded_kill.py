"""The embedded index survives kill -9: what was told as done is there when it is opened again, in less than 3
seconds of a processor: what others do on the machine is not counted."""

import json
import random
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_writer import features

from services.catalog.features import normalized

pytestmark = pytest.mark.long

WRITER = Path(__file__).parent.parent / "support" / "edge_writer.py"
OPEN_SECONDS = 3.0
"""On a machine that does nothing else: the full chaos runs alone."""

Product = tuple[int, int]
"""The numbers of its vector and of its attributes."""


@dataclass
class Model:
    """What was told as done; `maybe` is what the operation would have made that was begun and not told."""

    products: dict[str, Product] = field(default_factory=dict)
    maybe: dict[str, Product | None] = field(default_factory=dict)
    done: int = 0
    wrong: list[str] = field(default_factory=list)

    def begin(self, kind: str, names: list[str], number: int) -> None:
        for name in names:
            before = self.products.get(name)
            if kind == "put":
                self.maybe[name] = (number, number)
            elif kind == "remove":
                self.maybe[name] = None
            else:
                self.maybe[name] = (before[0], number) if before else None

    def end(self, told: list[bool]) -> None:
        for name, product in self.maybe.items():
            self.products.pop(name, None)
            if product:
                self.products[name] = product
        self.maybe = {}
        self.done += 1

    def check(self, found: dict[str, tuple[dict[str, Any], bytes]]) -> None:
        """Holds what was found against what was told; what was under way may be there or not, product by product."""
        for name in {*found, *self.products, *self.maybe}:
            allowed = [self.products.get(name)] + ([self.maybe[name]] if name in self.maybe else [])
            is_there = found.get(name)
            fits = [product for product in allowed if _is(product, is_there)]
            if not fits:
                self.wrong.append(f"{name}: {is_there and is_there[0]}, where {allowed} were told")
            self.products.pop(name, None)
            if fits and fits[0]:
                self.products[name] = fits[0]
        self.maybe = {}


def _is(product: Product | None, found: tuple[dict[str, Any], bytes] | None) -> bool:
    if product is None or found is None:
        return product is None and found is None
    vector, _ = normalized(features(product[0]))
    return found[0] == {"n": product[1]} and bool(np.allclose(np.frombuffer(found[1], np.float32), vector, atol=1e-6))


def live(folder: Path, seed: int, acts: int, pause: float, model: Model) -> float:
    """Runs a writer until it has told so many operations, and `pause` seconds more; gives how long opening took."""
    command = [sys.executable, str(WRITER), str(folder), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found: dict[str, tuple[dict[str, Any], bytes]] = {}
        seconds, checked, until = 0.0, False, model.done + acts
        for line in process.stdout:
            match json.loads(line):
                case ["open", told]:
                    seconds = told
                case ["has", name, attributes, vector]:
                    found[name] = attributes, b64decode(vector)
                case ["begun", kind, names, number]:
                    if not checked:
                        model.check(found)
                        checked = True
                    model.begin(kind, names, number)
                case ["done", told]:
                    model.end(told)
                    if model.done == until:
                        time.sleep(pause)
                        process.kill()
        assert checked, "it did not come to its work"
    return seconds


def test_nothing_told_is_lost(
    tmp_path: Path, rng: random.Random, scale: Callable[..., int], record_property: Callable[[str, object], None]
) -> None:
    kills, operations = scale(200, 10), scale(20_000, 1_000)
    model, seconds = Model(), []
    for _ in range(kills + 1):
        acts = round(operations / kills * rng.uniform(0.5, 1.5))
        seconds.append(live(tmp_path / "data", rng.getrandbits(31), acts, rng.uniform(0, 0.02), model))
        assert model.wrong == []
    slowest = sorted(((round(each, 2), life) for life, each in enumerate(seconds)), reverse=True)[:3]
    record_property("operations, slowest openings and which", (model.done, slowest))
    assert model.done >= operations * 0.8 and len(model.products) > 10
    assert max(seconds) <= scale(OPEN_SECONDS, 60.0)


def test_the_model_sees_what_is_lost_wrong_or_back_again() -> None:
    """The control."""

    def stored(vector: int, number: int) -> tuple[dict[str, Any], bytes]:
        return {"n": number}, normalized(features(vector))[0].tobytes()

    for found, is_right in (
        ({"a": stored(1, 1)}, True),
        ({"a": stored(1, 1), "b": stored(3, 3)}, True),  # under way
        ({}, False),
        ({"a": stored(1, 2)}, False),
        ({"a": stored(2, 1)}, False),
        ({"a": stored(1, 1), "c": stored(4, 4)}, False),  # removed
    ):
        model = Model()
        for kind, name, number in (("put", "a", 1), ("put", "c", 4), ("remove", "c", 0)):
            model.begin(kind, [name], number)
            model.end([True])
        model.begin("put", ["b"], 3)
        model.check(found)
        assert (model.wrong == []) is is_right, found
