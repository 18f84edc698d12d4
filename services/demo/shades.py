"""How light falls on shapes: round ones, flat ones, padded ones."""

import numpy as np

from services.demo.canvas import Floats, softened
from services.demo.pen import Region, Shade


def round_body(gloss: float = 0.25, depth: float = 0.5) -> Shade:
    """A body turned around an upright axis, with a streak of reflected light."""

    def shade(region: Region) -> Floats:
        across = region.across * np.float32(-region.light)
        facing = np.sqrt(np.clip(1 - across**2, 0, 1))
        lit = np.float32(depth) * (0.9 * facing - 0.5 * across - 0.85)
        streak: Floats = np.exp(-(((across + 0.5) / 0.13) ** 2))
        return _eased(lit, 0.35) + np.float32(gloss) * streak

    return shade


def ball(gloss: float = 0.35, depth: float = 0.6) -> Shade:
    """A body round both ways."""

    def shade(region: Region) -> Floats:
        across, down = region.across * np.float32(-region.light), region.down
        facing = np.sqrt(np.clip(1 - across**2 - down**2, 0, 1))
        lit = np.float32(depth) * (0.7 * facing - 0.4 * across - 0.45 * down - 0.6)
        spot = np.exp(-((across + 0.4) ** 2 + (down + 0.45) ** 2) / 0.03)
        return _eased(lit, 0.35) + np.float32(gloss) * spot

    return shade


def slope(top: float, bottom: float) -> Shade:
    """Even light that changes from top to bottom."""

    def shade(region: Region) -> Floats:
        share = (region.down + 1) / 2
        return np.float32(top) + np.float32(bottom - top) * share

    return shade


def sideways(left: float, right: float) -> Shade:
    """Even light that changes from left to right."""

    def shade(region: Region) -> Floats:
        share = (region.across + 1) / 2
        return np.float32(left) + np.float32(right - left) * share

    return shade


def padded(width: float = 0.06, depth: float = 0.5) -> Shade:
    """Edges that bend away over `width`, as of cushions, cloth and thick leather."""

    def shade(region: Region) -> Floats:
        pixels = max(1.0, width * region.pixels)
        height = softened(np.pad(region.mask, 1), pixels)
        down, across = height[2:, 1:-1] - height[:-2, 1:-1], height[1:-1, 2:] - height[1:-1, :-2]
        lit = down * np.float32(0.8) - across * np.float32(0.6 * region.side)
        return _eased(lit * np.float32(pixels * depth * 0.8), 0.5)

    return shade


def both(one: Shade, other: Shade) -> Shade:
    return lambda region: one(region) + other(region)


def _eased(lit: Floats, share: float) -> Floats:
    """Shadows as they are, and a share of the light: white is soon reached."""
    return np.where(lit < 0, lit, np.float32(share) * lit)
