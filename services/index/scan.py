"""When a search with a filter scans what passes instead of walking the graph: the rule of both Qdrant indexes.

A scan misses nothing, and takes as long as reading what passes. A walk may miss products, because those that pass are
not all linked with each other; so it keeps more candidates and looks at the neighbors of neighbors, too (Qdrant calls
that ACORN), which takes long where few pass. So few are scanned, and walks are left with filters that many pass.

Without quantization the embedded index estimates how many pass and decides for each search (`is_scanned`). A search
cannot ask for a scan of compressed vectors, and on a server an estimate would be one more request: there Qdrant decides
for itself, by `FULL_SCAN_KB`. It also holds for searches without a filter, so it is lower than what a scan is worth.
"""

from collections.abc import Callable, Mapping

from services.descriptions import Quantization

DEFAULT_KB = 10_000
"""Kilobytes of vectors that Qdrant scans by itself where it is told nothing else."""

FULL_SCAN_KB: Mapping[Quantization, int] = {"none": 32_000, "scalar": 64_000, "turbo": 64_000}
"""Qdrant's `full_scan_threshold`, in kilobytes of whole vectors of one segment, also where compressed ones are read."""

CANDIDATES = 256
"""Candidates that a walk with a filter keeps (`hnsw_ef`); Qdrant's default is 100."""

NEAREST = 40
"""Candidates that a walk keeps for each of many vectors, of which only what is near is wanted; Qdrant's default is
100. Of 400 copies, among 20,000 products of 128 and of 1,024 numbers, none was missed with 20 candidates."""

ACORN_SHARE = 1.0
"""Share of products up to which a walk looks at neighbors of neighbors (`max_selectivity`). Where an attribute is not
indexed Qdrant takes half of the products to pass, so a lower limit would leave out the filters that need it most."""

_SCANNED = 30_000_000
"""Numbers that a scan may read: 13,000 products of 2,048, or 78,000 of 128, in some 11 ms."""

_EACH = 256
"""Numbers that could be read while a scan finds the next product that passes."""


def is_scanned(dim: int, linked: int, passing: Callable[[], int]) -> bool:
    """Whether a search with a filter has to ask for a scan of what passes.

    Args:
        dim: Numbers of a vector.
        linked: Vectors in the graph; where there are few, Qdrant scans what passes without being asked.
        passing: Estimates how many products pass; it is called only where that decides.
    """
    if linked * dim * 4 <= DEFAULT_KB * 1024:
        return False
    most = _SCANNED // (dim + _EACH)
    return linked <= most or passing() <= most
