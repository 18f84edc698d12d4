"""What tuned features learn from a catalog's own pictures: what is common to them, and along what they differ most.

Principal component analysis: I. T. Jolliffe, Principal Component Analysis, 2nd edition, Springer 2002.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from services.arrays import packed, unpacked
from services.descriptions import COLOR_DIM, LAYERS_DIM
from services.encoders.recipes import TUNED_DIM
from services.encoders.tuned.color import DIM as COLORS
from services.errors import DataCorrupt
from services.records import Vectors

COLOR_SHARE = 0.1
"""How much of its cosine the color part adds to that of the layers; 0.2 and more cost precision."""
_Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Learned:
    """Two projections, each of a mean and of components, all float32: of layers, (m,) and (m, 96), and of colors,
    (245,) and (245, 32). `dims` (k,), int64, are the numbers of each layer, m in all."""

    dims: npt.NDArray[np.int64]
    layers_mean: _Array
    layers: _Array
    colors_mean: _Array
    colors: _Array

    def apply(self, layers: Vectors, colors: Vectors) -> Vectors:
        """Tuned features, float32 (n, 128), of the numbers of layers (n, m) and of color histograms (n, 245).

        96 numbers of the layers come first, of length one, then 32 of the colors, of length sqrt(0.1), or zeros where
        nothing tells a picture's colors from the mean. A picture without features in the layers, or with numbers that
        are not finite, gets zeros altogether.
        """
        of_layers = _unit(_projected(_joined(layers, self.dims), self.layers_mean, self.layers))
        of_colors = _unit(_projected(colors, self.colors_mean, self.colors))
        joined = np.hstack([of_layers, of_colors * np.float32(np.sqrt(COLOR_SHARE))])
        joined[~(layers.any(axis=1) & of_layers.any(axis=1) & np.isfinite(layers).all(axis=1))] = 0
        return joined

    def to_bytes(self) -> bytes:
        """As a file: the same bytes for the same values."""
        return packed(**{each.name: getattr(self, each.name) for each in fields(self)})


def digest(data: bytes) -> str:
    """What identifies what is learned: the SHA-256 of its file in hex."""
    return hashlib.sha256(data).hexdigest()


def learned(layers: Vectors, dims: Sequence[int], colors: Vectors) -> Learned:
    """Learns from pictures: the numbers of their layers, float32 (n, sum(dims)), and their color histograms, float32
    (n, 245)."""
    layers_mean, of_layers = _components(_joined(layers, dims), LAYERS_DIM)
    colors_mean, of_colors = _components(colors, COLOR_DIM)
    return Learned(np.array(dims, np.int64), layers_mean, of_layers, colors_mean, of_colors)


def from_bytes(data: bytes) -> Learned:
    """What was learned, out of its file. Raises `DataCorrupt` where it is none."""
    try:
        found = Learned(**unpacked(data, [each.name for each in fields(Learned)]))
    except ValueError as error:
        raise DataCorrupt("What features have learned is damaged: restore a backup, or build them again.") from error
    arrays = [found.layers_mean, found.layers, found.colors_mean, found.colors]
    is_known = found.dims.dtype == np.int64 and all(each.dtype == np.float32 for each in arrays)
    width = int(found.dims.sum()) if is_known else 0
    if [each.shape for each in arrays] != [(width,), (width, LAYERS_DIM), (COLORS,), (COLORS, COLOR_DIM)]:
        raise DataCorrupt("What features have learned is of another kind: build them again with this version.")
    return found


def weighted(query: npt.NDArray[np.float32], weight: float) -> npt.NDArray[np.float32]:
    """Tuned features, float32 (128,), with the color part multiplied; its length is another one then."""
    assert query.shape == (TUNED_DIM,)
    scaled = query.copy()
    scaled[LAYERS_DIM:] *= np.float32(weight)
    return scaled


def _projected(rows: Vectors, mean: _Array, components: _Array) -> Vectors:
    return np.asarray((rows - mean) @ components, np.float32)


def _joined(layers: Vectors, dims: Sequence[int] | npt.NDArray[np.int64]) -> Vectors:
    """Each layer's numbers brought to length one."""
    parts: list[Vectors] = np.split(layers, np.cumsum(dims)[:-1], axis=1)
    return np.hstack([_unit(part) for part in parts])


def _unit(rows: Vectors) -> Vectors:
    """Rows brought to length one; those of zeros, or of what is no number, become zeros."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    is_sound = np.isfinite(lengths) & (lengths > 0)
    return np.where(is_sound, rows / np.where(is_sound, lengths, 1), 0).astype(np.float32)


def _components(rows: Vectors, count: int) -> tuple[_Array, _Array]:
    """The mean of rows, (m,), and the directions in which they vary most, (m, count), as columns of length one.

    There are fewer than `count` where rows vary in fewer; the other columns are zeros.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    centered = rows - mean
    # Whichever of both products of the rows with themselves is smaller: a decomposition costs the cube of its side.
    if len(rows) < rows.shape[1]:
        values, vectors = np.linalg.eigh(centered @ centered.T)
        directions = centered.T @ vectors[:, ::-1][:, :count]
    else:
        values, vectors = np.linalg.eigh(centered.T @ centered)
        directions = vectors[:, ::-1][:, :count]
    varies = values[::-1][:count] > values[-1] * 1e-10
    directions = directions * varies
    lengths = np.linalg.norm(directions, axis=0)
    directions /= np.where(lengths > 0, lengths, 1)
    # A direction may as well be its opposite: the largest number of each is positive, so that the choice is no chance.
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[np.newaxis], axis=0)
    directions *= np.where(largest < 0, -1, 1)
    padded = np.zeros((rows.shape[1], count))
    padded[:, : directions.shape[1]] = directions
    return mean.astype(np.float32), padded.astype(np.float32)
