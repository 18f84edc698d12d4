"""What a catalog's vectors take is what the page for operators says."""

import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from services.descriptions import Quantization
from services.index.edge import EdgeIndex
from services.records import Point

PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text().partition("## Sizing")[2]
QUANTIZATIONS: list[Quantization] = ["none", "scalar", "turbo"]


def formula(part: str) -> str:
    [found] = re.findall(rf"^\| {part}[^|]*\| `([^`]+)` \|", PAGE, re.MULTILINE)
    return found


def bytes_of(part: str, dim: int, n: int) -> float:
    """What the page says that a part takes, a product."""
    return float(eval(formula(part), {"__builtins__": {}}, {"dim": dim, "n": n, "log2": math.log2}))


def copies(quantization: Quantization, dim: int) -> float:
    return 0 if quantization == "none" else bytes_of(f"copies, `{quantization}`", dim, 1)


def kept(file: Path) -> str | None:
    """Which part of the page's table a file is."""
    if "wal" in file.parts:
        return None
    if file.name.startswith("quantized.data"):
        return "copies"
    if "vector_storage-image" in file.parts:
        return "whole vectors"
    if "vector_index-image" in file.parts:
        return "graph"
    return "payload" if "payload_storage" in file.parts else "IDs and indexes"


def measured(path: Path, quantization: Quantization, dim: int, n: int) -> Counter[str]:
    """The bytes of an optimized index of `n` products by part."""
    raw = np.random.default_rng(dim).normal(size=(n, dim)).astype(np.float32)
    looks = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    index = EdgeIndex.open(path, dim, quantization)
    index.upsert([Point(f"product-{i:07}", i + 1, look, image="ab" * 32) for i, look in enumerate(looks)])
    index.optimize()
    index.close()
    sizes: Counter[str] = Counter()
    for file in path.rglob("*"):
        if file.is_file() and (part := kept(file.relative_to(path))):
            # Payloads are in pages made ahead; what they take of the disk is what is written.
            sizes[part] += file.stat().st_blocks * 512 if part == "payload" else file.stat().st_size
    return sizes


@pytest.mark.parametrize("dim", [96, 512])
@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_a_product_takes_what_the_formulas_say(quantization: Quantization, dim: int, tmp_path: Path) -> None:
    few, many = 500, 2500
    before, after = (measured(tmp_path / str(n), quantization, dim, n) for n in (few, many))
    grown = {part: (after[part] - before[part]) / (many - few) for part in after | before}
    assert grown["whole vectors"] == pytest.approx(bytes_of("whole vectors", dim, many), abs=1)
    assert grown.get("copies", 0) == pytest.approx(copies(quantization, dim), abs=1)
    graph = after["graph"] / many
    assert 0.8 * bytes_of("graph", dim, many) < graph < 1.1 * bytes_of("graph", dim, many)
    rest = grown["payload"] + grown["IDs and indexes"]
    assert rest == pytest.approx(bytes_of("the rest", dim, many), rel=0.1)
    [in_memory] = re.findall(r"in memory: (\d+) of it", PAGE)
    assert grown["IDs and indexes"] == pytest.approx(int(in_memory), rel=0.1)


@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_the_table_of_a_million_follows_from_the_formulas(quantization: Quantization) -> None:
    n = 1_000_000
    [in_memory] = re.findall(r"in memory: (\d+) of it", PAGE)

    def memory(dim: int) -> float:
        vectors = copies(quantization, dim) or bytes_of("whole vectors", dim, n)
        return vectors + bytes_of("graph", dim, n) + int(in_memory)

    parts = ("whole vectors", "graph", "the rest")
    disk = copies(quantization, 2048) + sum(bytes_of(part, 2048, n) for part in parts)
    [row] = re.findall(rf"^\| `{quantization}` \| (.*) \|$", PAGE, re.MULTILINE)
    assert row.split(" | ") == [f"{each * n / 1e9:.1f}" for each in (memory(2048), memory(1280), disk)]
