"""Near-duplicates: whether two pictures are the same, but for how they are stored, sized, cropped, bordered or lit.

It is told from perceptual hashes alone: the DCT hashes must be near, and the colors of the grids, once they are aligned
and lit alike. Vectors cannot tell: a mirror image and another color are as near as a copy. How the bounds were chosen,
and what they cost, is in docs/decisions.md.
"""

from functools import cache, lru_cache
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from services.hashes import CELLS, color_grid, dct_distance
from services.lab import from_srgb, to_srgb

Cells = npt.NDArray[np.float32]
"""Colors of cells of a grid, or another number of each."""

NEAR_BITS = 22
"""In how many bits near-duplicates differ at most: a mirror image differs in 26 or more."""
LEAST_COLORS, STEP_SHARE = 1.2, 0.2
"""By how much a cell of near-duplicates may differ (L*a*b*): so much, and a share of its difference from the cell
beside it that differs most, since that is what a cell changes by when all are moved by a fifth of one."""
LIGHT = 4 / 3
"""How many times as much light a copy may have."""
LOST = (0.0, 0.05, 0.1)
"""What of either side of a picture a copy may have lost, at one end or shared among both."""
FAR, FARTHER = 2.0, 3.0
"""How many times what near-duplicates may differ by they do at most before parts are looked for; and before it is known
what light was cut off."""
CLIPPED = 250
"""The value of sRGB from which on it may stand for more light than there is room for."""


def are_near_duplicates(one: str, other: str) -> bool:
    """Whether two perceptual hashes are those of the same picture, but for how it is stored, sized, bordered or lit."""
    # The cheapest first: a search asks this of each of its answers.
    return dct_distance(one, other) <= NEAR_BITS and not _are_far(one, other) and color_distance(one, other) <= 1


# Many products may have one picture.
@lru_cache(4096)
def color_distance(one: str, other: str) -> float:
    """How much two pictures differ in color, if one may be a part of the other: 1 is as much as near-duplicates may.

    The mean over the inner cells of the grid, since a border or a sign changes the outer ones, of how much each differs
    as a share of what it may differ by. Of one, parts that have lost what `LOST` says are stretched to the whole, and
    the one counts that is most alike; likewise with both exchanged. What differs much before that is no copy whatever
    the part.
    """
    wholes, (mine, theirs) = [_colors(each) for each in (one, other)], (_inner(one), _inner(other))
    tolerances = np.minimum(_tolerances(one), _tolerances(other))
    found = _difference(mine[None], theirs, tolerances)
    if found > FAR:
        return found
    parts = ((_parts(wholes[0]), theirs), (_parts(wholes[1]), mine))
    return min(found, *(_difference(some, whole, tolerances) for some, whole in parts))


def _are_far(one: str, other: str) -> bool:
    """Whether colors differ so much, at the first glance, that none is a part of the other: most pairs end here.

    More light multiplies L* + 16, a* and b* alike (all have the cube root of CIE 15), but where it is cut off.
    """
    mine, theirs = _glance(one), _glance(other)
    light = min(max(float(theirs[:, 0].sum() / mine[:, 0].sum()), 1 / LIGHT), LIGHT)
    apart = mine * light - theirs if light > 1 else mine - theirs / light
    tolerances = np.minimum(_tolerances(one), _tolerances(other))
    return float((_lengths(apart) / tolerances).mean()) > FARTHER


@lru_cache(4096)
def _glance(hash: str) -> Cells:
    """L* + 16, a* and b* of the inner cells: shape (36, 3)."""
    return np.asarray(np.add(color_grid(hash)[1:-1, 1:-1].reshape(-1, 3), (16, 0, 0)), np.float32)


@lru_cache(4096)
def _colors(hash: str) -> Cells:
    """The cells in sRGB, 0..255, in which the mean color of a part is that of its cells: shape (8, 8, 3)."""
    return to_srgb(color_grid(hash)).astype(np.float32)


def _inner(hash: str) -> Cells:
    """The cells that are not at the edge: shape (36, 3)."""
    return _colors(hash)[1:-1, 1:-1].reshape(-1, 3)


@lru_cache(4096)
def _tolerances(hash: str) -> Cells:
    """What each inner cell may differ by: shape (36,)."""
    grid = color_grid(hash)
    down, right = _lengths(grid[1:, 1:-1] - grid[:-1, 1:-1]), _lengths(grid[1:-1, 1:] - grid[1:-1, :-1])
    beside = np.maximum(np.maximum(down[:-1], down[1:]), np.maximum(right[:, :-1], right[:, 1:]))
    return np.asarray((LEAST_COLORS + STEP_SHARE * beside).ravel(), np.float32)


def _lengths(colors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # Several times as fast as `np.linalg.norm` of few.
    return np.asarray(np.sqrt(np.einsum("...i,...i->...", colors, colors)))


def _difference(parts: Cells, whole: Cells, tolerances: Cells) -> float:
    """That of the part, of several of shape (n, 36, 3), that is most alike."""
    lit, wanted = _lit_alike(parts, whole)
    best = int(np.abs(lit - wanted).sum(axis=(1, 2)).argmin())
    colors = from_srgb(np.round([lit[best], wanted[best]]).astype(np.uint8))
    return float((_lengths(colors[0] - colors[1]) / tolerances).mean())


def _lit_alike(parts: Cells, whole: Cells) -> tuple[Cells, Cells]:
    """Parts and the whole, each pair in the light of the brighter one.

    An editor multiplies the values of sRGB, and what leaves their range is cut off, channel by channel: a bright color
    turns white. So the darker one is made brighter, which gives what the copy has, and never the other way round.
    """
    open = (parts < CLIPPED) & (whole < CLIPPED)
    ours, theirs = (np.where(open, each, 0).sum(axis=(1, 2)) for each in (parts, whole))
    light = np.ones_like(ours)
    np.divide(theirs, ours, out=light, where=ours > 0)
    light = np.clip(light, 1 / LIGHT, LIGHT)[:, None, None]
    return np.minimum(parts * np.maximum(light, 1), 255), np.minimum(whole * np.maximum(1 / light, 1), 255)


def _parts(whole: Cells) -> Cells:
    """The inner cells of parts of a picture, each stretched to the whole: shape (36, 36, 3)."""
    shares = _shares()
    count = len(shares)
    rows = (shares.reshape(-1, CELLS) @ whole.reshape(CELLS, -1)).reshape(count, -1, CELLS, 3)
    cells = rows.transpose(0, 1, 3, 2).reshape(-1, CELLS) @ shares.reshape(-1, CELLS).T
    parts = cells.reshape(count, -1, 3, count, CELLS - 2).transpose(0, 3, 1, 4, 2)
    return np.asarray(parts.reshape(count**2, -1, 3), np.float32)


@cache
def _shares() -> Cells:
    """What each cell of a side has of the inner cells of its parts: shape (parts, 6, 8), each row adding up to 1."""
    ends = [(first, 1 - last) for first, last in product(LOST, LOST) if first + last <= LOST[-1]]
    edges = np.array([np.linspace(*each, CELLS + 1) for each in ends]) * CELLS
    cells = np.arange(CELLS)
    upper = np.minimum(edges[:, 1:, None], cells + 1)
    inside = np.maximum(upper - np.maximum(edges[:, :-1, None], cells), 0)[:, 1:-1]
    return np.asarray(inside / inside.sum(axis=-1, keepdims=True), np.float32)
