"""Fills outlines with paint and light. What it draws is a layer of its own, laid over a backdrop later."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from services.demo import canvas
from services.demo.canvas import SIZE, Floats
from services.demo.curves import Points, band
from services.demo.palette import RGB, darker, lighter, mixed
from services.demo.patterns import Pattern

Matrix = npt.NDArray[np.float64]
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Paint:
    """A color, perhaps with a pattern in a second one that repeats every `repeat` and is turned by `angle`."""

    color: RGB
    pattern: Pattern | None = None
    second: RGB = (0, 0, 0)
    repeat: float = 0.2
    angle: float = 0.0

    def darker(self, share: float) -> "Paint":
        return replace(self, color=darker(self.color, share), second=darker(self.second, share))

    def lighter(self, share: float) -> "Paint":
        return replace(self, color=lighter(self.color, share), second=lighter(self.second, share))

    def mixed(self, other: RGB, share: float) -> "Paint":
        return replace(self, color=mixed(self.color, other, share), second=mixed(self.second, other, share))

    def turned(self, degrees: float) -> "Paint":
        return replace(self, angle=self.angle + degrees)

    def plain(self) -> "Paint":
        return replace(self, pattern=None)


@dataclass(frozen=True)
class Region:
    """The pixels that an outline touches: their coverage, and where they lie on the product.

    `light` is the side that the light comes from: -1 left, 1 right; `side` is the same as seen in the picture, which
    may be mirrored. `pixels` is the length of one unit.
    """

    x: Floats
    y: Floats
    mask: Floats
    outline: Points
    light: float
    side: float
    pixels: float

    @cached_property
    def across(self) -> Floats:
        """-1 at the left end of the outline, 1 at the right."""
        return self._span(self.x, 0)

    @cached_property
    def down(self) -> Floats:
        return self._span(self.y, 1)

    def _span(self, places: Floats, axis: int) -> Floats:
        low, high = float(self.outline[:, axis].min()), float(self.outline[:, axis].max())
        half = max((high - low) / 2, 1e-6)
        return np.asarray(np.clip((places - np.float32((low + high) / 2)) / np.float32(half), -1, 1))


Shade = Callable[[Region], Floats]
"""How much lighter (above 0) or darker (below 0) a place is than its color."""


class Pen:
    """Draws in units of the canvas through a 3 x 3 matrix to pixels."""

    def __init__(self, matrix: Matrix, light: float) -> None:
        self.color: Floats = np.zeros((SIZE, SIZE, 3), np.float32)
        self.alpha: Floats = np.zeros((SIZE, SIZE), np.float32)
        self._matrix = matrix
        self._pixels = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
        self._side = light
        self._light = light if matrix[0, 0] > 0 else -light
        self._x, self._y = _places(matrix)

    def fill(
        self,
        outline: Points,
        paint: Paint,
        shade: Shade | None = None,
        *,
        holes: Iterable[Points] = (),
        clip: Points | None = None,
        cast: float = 0.0,
        opacity: float = 1.0,
        wrap: float | None = None,
    ) -> None:
        """Paints an outline.

        `cast` is how dark a shadow it throws on what is drawn already. With `wrap`, the pattern runs around a round
        body that is seen from above so far that its level lines sag by that much.
        """
        window, region = self._region(outline, holes, clip)
        if not region.mask.size:
            return
        if cast:
            self._cast(window, region.mask, cast)
        lit = _lit(_colored(region, paint, wrap), shade(region)) if shade else _colored(region, paint, wrap)
        cover = region.mask * np.float32(opacity)
        self.alpha[window] += cover * (1 - self.alpha[window])
        self.color[window] += cover[..., None] * (lit - self.color[window])

    def line(self, line: Points, width: float, paint: Paint, shade: Shade | None = None) -> None:
        """A line of even width."""
        self.fill(band(line, width), paint, shade)

    def dim(self, outline: Points, amount: float, blur: float = 0.0, clip: Points | None = None) -> None:
        """Darkens what is drawn already: a fold, a crease, the inside of a thing."""
        window, soft = self._soft(outline, blur, clip)
        self.color[window] *= (1 - np.float32(amount) * soft)[..., None]

    def glow(self, outline: Points, amount: float, blur: float = 0.0, clip: Points | None = None) -> None:
        """Lightens what is drawn already: a reflection."""
        window, soft = self._soft(outline, blur, clip)
        white = self.alpha[window][..., None] * 255 - self.color[window]
        self.color[window] += white * (np.float32(amount) * soft)[..., None]

    def _region(self, outline: Points, holes: Iterable[Points], clip: Points | None) -> tuple[Window, Region]:
        left, top, mask = canvas.mask(self._pixel(outline), [self._pixel(hole) for hole in holes])
        window = slice(top, top + mask.shape[0]), slice(left, left + mask.shape[1])
        if clip is not None:
            mask = mask * self._stencil(clip)[window]
        region = Region(self._x[window], self._y[window], mask, outline, self._light, self._side, self._pixels)
        return window, region

    def _stencil(self, outline: Points) -> Floats:
        left, top, mask = canvas.mask(self._pixel(outline), ())
        whole = np.zeros((SIZE, SIZE), np.float32)
        whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
        return whole

    def _soft(self, outline: Points, blur: float, clip: Points | None) -> tuple[Window, Floats]:
        left, top, mask = canvas.mask(self._pixel(outline), ())
        window, soft = _spread(left, top, mask, blur * self._pixels)
        return window, soft if clip is None else soft * self._stencil(clip)[window]

    def _cast(self, window: Window, mask: Floats, amount: float) -> None:
        reach = 0.025 * self._pixels
        left, top = window[1].start + round(0.5 * reach), window[0].start + round(0.9 * reach)
        window, soft = _spread(left, top, mask, reach)
        self.color[window] *= (1 - np.float32(amount) * soft)[..., None]

    def _pixel(self, points: Points) -> Points:
        flat = np.column_stack((points, np.ones(len(points)))) @ self._matrix.T
        return np.asarray(flat[:, :2] / flat[:, 2:])


def _places(matrix: Matrix) -> tuple[Floats, Floats]:
    """Where every pixel's center lies on the canvas."""
    inverse = np.linalg.inv(matrix).astype(np.float32)
    column = np.arange(SIZE, dtype=np.float32)[None, :] + np.float32(0.5)
    row = column.T
    x, y, w = (line[0] * column + line[1] * row + line[2] for line in inverse)
    return x / w, y / w


def _spread(left: int, top: int, mask: Floats, blur: float) -> tuple[Window, Floats]:
    """A blurred mask with the margin that the blur needs, cut to the canvas."""
    margin = round(2 * blur) if blur >= 0.5 else 0
    soft = canvas.softened(np.pad(mask, margin), blur) if margin else mask
    top, left = top - margin, left - margin
    skip_top, skip_left = max(0, -top), max(0, -left)
    soft = soft[skip_top : SIZE - top, skip_left : SIZE - left]
    top, left = max(0, top), max(0, left)
    return (slice(top, top + soft.shape[0]), slice(left, left + soft.shape[1])), soft


def _colored(region: Region, paint: Paint, wrap: float | None) -> Floats:
    color = np.array(paint.color, np.float32)
    if paint.pattern is None:
        return np.broadcast_to(color, (*region.mask.shape, 3))
    x, y = region.x, region.y
    if wrap is not None:
        x, y = _wrapped(region, wrap)
    turn = np.radians(paint.angle)
    cos, sin = np.float32(np.cos(turn) / paint.repeat), np.float32(np.sin(turn) / paint.repeat)
    share = paint.pattern(x * cos + y * sin, y * cos - x * sin)[..., None]
    return color + (np.array(paint.second, np.float32) - color) * share


def _wrapped(region: Region, sag: float) -> tuple[Floats, Floats]:
    across = np.clip(region.across, -0.985, 0.985)
    half = np.float32(np.ptp(region.outline[:, 0]) / 2)
    return np.arcsin(across) * half, region.y - np.float32(sag) * np.sqrt(1 - across**2)


def _lit(color: Floats, light: Floats) -> Floats:
    """Shadows keep the hue and turn a little cool, lights go towards white."""
    dark = np.clip(-light, 0, 0.95)[..., None] * np.array((1.0, 0.97, 0.9), np.float32)
    bright = np.clip(light, 0, 1)[..., None]
    return color * (1 - dark) + (255 - color * (1 - dark)) * bright
