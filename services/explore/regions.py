"""The regions of a map: where its points lie dense, each with a name from what its products have in common."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log2

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.uint16]
Points = npt.NDArray[np.uint16]
"""x and y of products on a map: uint16 (n, 2), 0..`SIDE`."""

SIDE = 65535
"""The greatest x and y."""
NO_REGION = 65535
"""The label of a point that is in no region."""
MOST = 40
"""Regions that a map has at most: more names than that cannot be read."""
FEWEST, SHARE = 3, 0.005
"""Products that a region has at least, and the share of all."""
TYPICAL = 0.5
"""The share of a region's products that have what it is named after, at least."""

LIFT = 1.5
"""How many times the share of all products that share is, at least."""

_CELLS = 96
_BLUR, _OF, _LEAST, _MOST = 2.0, 2000, 1.0, 4.0
"""Cells in standard deviations for so many products; of others it goes with n ** (-1 / 6) (Scott 1992)."""

Columns = Mapping[str, Sequence[str | None]]
"""The value of each product, by attribute."""


@dataclass(frozen=True, slots=True)
class Region:
    """A dense part of a map: `x` and `y` are a place in the midst of it, 0..65535, and `products` how many it has.

    `name` is "" where its products have too little in common.
    """

    name: str
    x: int
    y: int
    products: int


def regions_of(
    points: Points, columns: Columns, check: Callable[[], object] = lambda: None
) -> tuple[Labels, tuple[Region, ...]]:
    """The regions, those with most products first, and of each point the number of its region, or `NO_REGION`.

    Points belong to the peak of their density that is uphill from them (Koontz, Narendra & Fukunaga 1976, on a grid).
    Neighboring peaks with the same name are one region. `check` is called before each attribute is counted, and before
    each region is named, found and joined: what it raises ends this.
    """
    labels = np.full(len(points), NO_REGION, np.uint16)
    if not len(points):
        return labels, ()
    cells = points.astype(np.int64) * _CELLS // (SIDE + 1)
    flat = cells[:, 1] * _CELLS + cells[:, 0]
    peaks = _peaks(flat)
    namer = _Namer(columns, _totals(columns, check), check)
    peak_of = peaks[flat]
    names = {int(peak): namer.name(np.flatnonzero(peak_of == peak)) for peak in np.unique(peak_of)}
    check()
    joined = _joined(peaks, np.unique(flat), names)
    sizes = Counter(joined[flat].tolist())
    least = max(FEWEST, SHARE * len(points))
    found: list[Region] = []
    for peak, size in sizes.most_common(MOST):
        if size >= least:
            rows = np.flatnonzero(joined[flat] == peak)
            labels[rows] = len(found)
            x, y = _midst(points[rows])
            found.append(Region(namer.name(rows), x, y, size))
    return labels, tuple(found)


def _totals(columns: Columns, check: Callable[[], object]) -> Mapping[str, Counter[str | None]]:
    totals: dict[str, Counter[str | None]] = {}
    for key, column in columns.items():
        check()
        totals[key] = Counter(column)
    return totals


def _peaks(flat: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Of each cell of the grid the one that is the peak uphill from it."""
    counts = np.bincount(flat, minlength=_CELLS * _CELLS).reshape(_CELLS, _CELLS)
    blur = min(max(_BLUR * (_OF / len(flat)) ** (1 / 6), _LEAST), _MOST)
    reach = int(3 * blur)
    bell = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * blur**2))
    density = np.pad(counts.astype(np.float64), reach)
    for axis in (0, 1):
        density = sum(weight * np.roll(density, shift - reach, axis) for shift, weight in enumerate(bell))
    # One more cell around, which is lower than all.
    density = np.pad(density[reach:-reach, reach:-reach], 1, constant_values=-1)
    size = _CELLS + 2
    around = [dy * size + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    inner = np.arange(size * size).reshape(size, size)[1:-1, 1:-1].ravel()
    heights = density.ravel()
    best, uphill = heights[inner], inner.copy()
    for shift in around:
        is_higher = heights[inner + shift] > best
        best = np.where(is_higher, heights[inner + shift], best)
        uphill = np.where(is_higher, inner + shift, uphill)
    # As numbers of cells without those around.
    uphill = (uphill // size - 1) * _CELLS + uphill % size - 1
    while (further := uphill[uphill]).tobytes() != uphill.tobytes():
        uphill = further
    return uphill


def _joined(
    peaks: npt.NDArray[np.int64], used: npt.NDArray[np.int64], names: Mapping[int, str]
) -> npt.NDArray[np.int64]:
    """The same, with one peak for those that have a name in common and cells with points next to each other."""
    parent = {peak: peak for peak in names}

    def root(peak: int) -> int:
        while parent[peak] != peak:
            peak = parent[peak]
        return peak

    here = set(used.tolist())
    for cell in here:
        x = cell % _CELLS
        for other in (cell + 1, cell + _CELLS - 1, cell + _CELLS, cell + _CELLS + 1):
            if other not in here or abs(other % _CELLS - x) > 1:
                continue
            one, two = root(int(peaks[cell])), root(int(peaks[other]))
            if one != two and names[one] and names[one] == names[two]:
                parent[max(one, two)] = min(one, two)
    found = peaks.copy()
    found[used] = [root(int(peaks[cell])) for cell in used]
    return found


@dataclass(frozen=True, slots=True)
class _Namer:
    """Gives regions names. `totals` count the values of each column."""

    columns: Columns
    totals: Mapping[str, Counter[str | None]]
    check: Callable[[], object]

    def name(self, rows: npt.NDArray[np.int64]) -> str:
        """What most of these products have, and few others: the value with the greatest share p of them times
        log(p / q), q being its share of all (its part of their Kullback-Leibler divergence; differential cluster
        labeling, Manning, Raghavan & Schütze 2008, 17.3). One of another attribute comes before, if most of those have
        that, too.
        """
        first = self._typical(rows, "")
        if first is None:
            return ""
        key, value = first
        have = np.array([row for row in rows if self.columns[key][row] == value])
        second = self._typical(have, key)
        return value if second is None or second[1] == value else f"{second[1]} {value}"

    def _typical(self, rows: npt.NDArray[np.int64], but: str) -> tuple[str, str] | None:
        best, found = 0.0, None
        for key, column in self.columns.items():
            if key == but:
                continue
            self.check()
            for value, count in Counter(column[row] for row in rows).items():
                share, of_all = count / len(rows), self.totals[key][value] / len(column)
                weight = share * log2(share / of_all)
                is_typical = value is not None and share >= TYPICAL and share >= LIFT * of_all
                if is_typical and weight > best + 1e-9:
                    best, found = weight, (key, str(value))
        return found


def _midst(points: Points) -> tuple[int, int]:
    """The point that is nearest to the median of all: a place in the region, whatever its form."""
    middle = np.median(points, axis=0)
    x, y = points[np.square(points - middle).sum(axis=1).argmin()]
    return int(x), int(y)
