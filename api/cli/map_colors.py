"""What color each product of a map has, and the key to that."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.catalog.map_columns import NO_VALUE, Column

NO_COLOR = "#9aa1a9"
PALETTE = (
    *("#0067a5", "#f38400", "#008856", "#be0032", "#875692", "#f3c300", "#a1caf1", "#882d17", "#e68fac", "#8db600"),
    *("#604e97", "#f99379", "#2b3d26", "#c2b280", "#b3446c", "#dcd300", "#654522", "#e25822"),
)
"""Colors of the greatest contrast (Kelly 1965), without black, white and gray."""
RAMP = ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725")
"""From little to much: viridis (van der Walt & Smith 2015)."""
OWN = {
    "red": "#c43432",
    "orange": "#e07a34",
    "yellow": "#e8c342",
    "green": "#4f9a4b",
    "teal": "#2a8484",
    "blue": "#467cd0",
    "navy": "#2a3a62",
    "purple": "#7a589c",
    "pink": "#e08aa8",
    "brown": "#865836",
    "black": "#303034",
    "white": "#f4f3ee",
    "gray": "#92969a",
    "grey": "#92969a",
    "beige": "#d6c2a2",
    "gold": "#c9a227",
    "silver": "#b9bec4",
}
"""Values that are names of colors are shown in them."""
OTHERS, NOTHING = "other", "no value"


@dataclass(frozen=True, slots=True)
class Key:
    """The entries of a legend, names with colors, and the color of each product; "" where no attribute was asked
    for."""

    entries: list[tuple[str, str]]
    colors: list[str]


def key_of(column: Column) -> Key:
    """The key to a column: the most frequent values with a color each, numbers in classes with as many products."""
    return _of_numbers(column) if column.kind == "number" else _of_values(column)


def _of_values(column: Column) -> Key:
    palette = _palette(column.values)
    colors = [palette[code] if code < len(palette) else NO_COLOR for code in column.codes.tolist()]
    entries = list(zip(column.values, palette, strict=False))
    if len(column.values) > len(palette):
        entries.append((OTHERS, NO_COLOR))
    if (column.codes == NO_VALUE).any():
        entries.append((NOTHING, NO_COLOR))
    return Key(entries, colors)


def _palette(values: Sequence[str]) -> list[str]:
    named = [OWN.get(value.casefold()) for value in values[: len(OWN)]]
    own = [each for each in named if each]
    return own if own and len(own) == len(named) else list(PALETTE[: len(values)])


def _of_numbers(column: Column) -> Key:
    numbers = column.numbers
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        return Key([(NOTHING, NO_COLOR)], [NO_COLOR] * len(numbers))
    edges = np.unique(np.quantile(known, np.linspace(0, 1, len(RAMP) + 1)))
    count = max(len(edges) - 1, 1)
    ramp = [RAMP[round(at * (len(RAMP) - 1) / max(count - 1, 1))] for at in range(count)]
    classes = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, count - 1)
    colors = [NO_COLOR if np.isnan(number) else ramp[at] for number, at in zip(numbers, classes.tolist(), strict=True)]
    ends = [(float(edges[at]), float(edges[min(at + 1, len(edges) - 1)])) for at in range(count)]
    entries = [(f"{low:g}" if low == high else f"{low:g} to {high:g}", ramp[at]) for at, (low, high) in enumerate(ends)]
    if len(known) < len(numbers):
        entries.append((NOTHING, NO_COLOR))
    return Key(entries, colors)
