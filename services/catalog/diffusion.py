"""A second look at the first neighbors: those that are also near to each other come before those that are not.

Diffusion on the graph of the query and its neighbors: D. Zhou et al., "Ranking on Data Manifolds", NIPS 2003; with the
powers and the mutual neighbors of A. Iscen et al., "Efficient Diffusion on Region Manifolds", CVPR 2017.
"""

import numpy as np
import numpy.typing as npt

from services.records import Vector, Vectors

CANDIDATES = 50
"""Neighbors that are ranked again."""
MUTUAL = 20
"""How many nearest of each count as near to it; only who is that of each other is joined."""
POWER = 3
"""Of the cosine, by which two are joined: far ones hardly count."""
SAME = 1e-6
"""What float32 vectors of the same picture differ by, at most, in a power of their cosines."""
ALPHA = 0.8
"""How much comes from the neighbors of neighbors; the rest is the query's own."""


def order(query: Vector, neighbors: Vectors) -> list[int]:
    """The rows of neighbors, best first.

    Args:
        query: float32 (dim,), of length one.
        neighbors: float32 (n, dim), of length one, nearest to the query first; those that diffusion does not tell apart
            stay in this order.
    """
    vectors = np.vstack([query, neighbors]).astype(np.float64)
    joined = np.maximum(vectors @ vectors.T, 0) ** POWER
    np.fill_diagonal(joined, 0)
    joined *= _mutual(joined)
    scale = 1 / np.sqrt(np.maximum(joined.sum(axis=1), 1e-12))
    flow = scale[:, np.newaxis] * joined * scale
    start = np.zeros(len(vectors))
    start[0] = 1 - ALPHA
    reached = np.linalg.solve(np.eye(len(vectors)) - ALPHA * flow, start)[1:]
    # What the last digits of both would decide, the cosine does.
    return [int(row) for row in np.argsort(-np.round(reached, 12), kind="stable")]


def _mutual(joined: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Who is among the nearest of each other. Those that are as near as the last of these are among them, too: products
    with the same picture are treated alike."""
    last = np.sort(joined, axis=1)[:, -MUTUAL:][:, :1]
    near = joined >= last - SAME
    return near & near.T
