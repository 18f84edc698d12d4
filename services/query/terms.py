"""The terms of a query: what each is, how much it counts, and how it is written.

    sneaker-12 - mug-3 + 0.5 direction:floral

A term is a product's ID, `product:ID`, `direction:NAME`, or `file:PATH`, a picture. Between two terms stands `+` or
`-`, with white space around it, since IDs may hold both; a number before a term is its weight. What has white space, or
would mean something else, is written in double quotes: `"mug 3"`, `"12"`, `direction:"mid century"`; within them `""`
is a quote. Quotes without a prefix always name a product.
"""

import math
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from services.errors import InvalidProductID, InvalidQuery
from services.names import checked_product_id
from services.records import Vector

MAX_TERMS = 64
MAX_WEIGHT = 100.0
IMAGE, VECTOR = "image", "vector"
"""What a picture and a vector are called that have no name."""


@dataclass(frozen=True, slots=True)
class ProductTerm:
    """A product of the catalog."""

    product_id: str

    def __str__(self) -> str:
        return f"product {self.product_id!r}"

    @property
    def written(self) -> str:
        """What answers call it."""
        return self.product_id


@dataclass(frozen=True, slots=True)
class DirectionTerm:
    """A direction that the catalog has learned."""

    name: str

    def __str__(self) -> str:
        return f"direction {self.name!r}"

    @property
    def written(self) -> str:
        """What answers call it."""
        return f"direction:{self.name}"


@dataclass(frozen=True, slots=True)
class ImageTerm:
    """A picture: its bytes, and what it is called in answers."""

    image: bytes = field(repr=False)
    name: str = IMAGE

    def __str__(self) -> str:
        return f"picture {self.name!r}"

    @property
    def written(self) -> str:
        """What answers call it."""
        return self.name


@dataclass(frozen=True, slots=True, eq=False)
class VectorTerm:
    """A vector of any length, float32 (dim,), and what it is called in answers."""

    vector: Vector = field(repr=False)
    name: str = VECTOR

    def __str__(self) -> str:
        return f"vector {self.name!r}"

    @property
    def written(self) -> str:
        """What answers call it."""
        return self.name


Example: TypeAlias = ProductTerm | ImageTerm | VectorTerm
"""What has a place in the space of the catalog."""

Operand: TypeAlias = Example | DirectionTerm


@dataclass(frozen=True, slots=True)
class Term:
    """An operand and how much it counts: a negative weight leads away from it. Of a direction the weight is how far
    to go along it; 1 is as far as usual."""

    operand: Operand
    weight: float = 1.0

    def checked(self) -> "Term":
        """It itself. Raises `InvalidQuery` where its weight means nothing, or there is no such product ID."""
        if not (math.isfinite(self.weight) and 0 < abs(self.weight) <= MAX_WEIGHT):
            raise InvalidQuery(
                f"The weight {self.weight:g} of {self.operand} is refused: it goes from -{MAX_WEIGHT:g} to "
                f"{MAX_WEIGHT:g}, and is not 0."
            )
        if isinstance(self.operand, ProductTerm):
            checked_product_id(self.operand.product_id)
        return self


@dataclass(frozen=True, slots=True)
class Word:
    """A term as it is written: the prefix before its name, empty if there is none, and what stands before it."""

    prefix: str
    name: str
    weight: float
    is_quoted: bool = False

    @property
    def written(self) -> str:
        """It without its weight."""
        name = f'"{self.name}"' if self.is_quoted else self.name
        return f"{self.prefix}:{name}" if self.prefix else name


PREFIXES = ("product", "direction", "file")
_TOKEN = re.compile(
    r'\s*(?:(?P<sign>[+-])(?=\s|$)|(?P<quoted>(?:(?:product|direction|file):)?"(?:[^"]|"")*")(?=\s|$)|(?P<bare>\S+))'
)
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


def words(text: str) -> list[Word]:
    """The terms of a text, in their order.

    Raises:
        InvalidQuery: The text is not a query; the message names where, and how to write it.
    """
    tokens = [(found.lastgroup or "", found[found.lastgroup or 0]) for found in _TOKEN.finditer(text)]
    found: list[Word] = []
    at = 0
    while at < len(tokens):
        sign, at = _sign(tokens, at, is_first=not found)
        weight = 1.0
        if _is_number(tokens, at) and at + 1 < len(tokens) and tokens[at + 1][0] != "sign":
            weight, at = float(tokens[at][1]), at + 1
        if at >= len(tokens) or tokens[at][0] == "sign":
            raise InvalidQuery(f"The query ends, or goes on with + or -, where a term is expected: {text!r}.")
        found.append(_word(*tokens[at], sign * weight))
        at += 1
    if not found:
        raise InvalidQuery("The query is empty: name a product, such as sneaker-12, or a direction.")
    if len(found) > MAX_TERMS:
        raise InvalidQuery(f"The query has {len(found)} terms; it may have {MAX_TERMS}.")
    return found


def resolved(
    written: Sequence[Word],
    *,
    held: Callable[[Collection[str]], set[str]],
    directions: Callable[[], Collection[str]],
    picture: Callable[[str], bytes],
) -> list[Term]:
    """The terms that words mean.

    Args:
        written: The words.
        held: Which of these product IDs there are.
        directions: The names of the catalog's directions.
        picture: Reads the file of a path. Raises what it does.

    Raises:
        InvalidQuery: A word may be a product or a direction; both spellings are named. Or it is neither.
    """
    named = {word.name if word.is_quoted else word.written for word in written if word.prefix != "file"}
    named |= {word.name for word in written if word.prefix == "product"}
    there = held({each for each in named if _may_be_id(each)})
    known = frozenset(directions())
    return [Term(_operand(word, there, known, picture), word.weight) for word in written]


def quoted(name: str) -> str:
    """A name in quotes, as a text may hold it."""
    return '"' + name.replace('"', '""') + '"'


def _may_be_id(name: str) -> bool:
    try:
        checked_product_id(name)
    except InvalidProductID:
        return False
    return True


def _operand(word: Word, there: set[str], known: frozenset[str], picture: Callable[[str], bytes]) -> Operand:
    if word.prefix == "file":
        return ImageTerm(picture(word.name), word.name)
    if word.prefix == "product" or (word.is_quoted and not word.prefix):
        return ProductTerm(word.name)
    # What was written is an ID, too, prefix and all, unless its name is in quotes.
    is_product = not word.is_quoted and word.written in there
    is_direction = word.name in known
    if is_product and is_direction:
        raise InvalidQuery(
            f"{word.written!r} is a product and a direction: write {quoted(word.written)} for the product, or "
            f"direction:{quoted(word.name)} for the direction."
        )
    if is_product or not (is_direction or word.prefix):
        return ProductTerm(word.written)
    if word.prefix:
        return DirectionTerm(word.name)
    raise InvalidQuery(
        f"There is no product {word.name!r}, but a direction: write direction:{word.name} for the direction, or "
        f"{quoted(word.name)} for a product."
    )


def _sign(tokens: Sequence[tuple[str, str]], at: int, *, is_first: bool) -> tuple[int, int]:
    kind, text = tokens[at]
    if kind == "sign":
        return (-1 if text == "-" else 1), at + 1
    if is_first:
        return 1, at
    raise InvalidQuery(
        f"Between two terms stands + or -, with white space around it, and {text!r} has neither before it; a name with "
        f"white space is written in quotes: {quoted('mug 3')}."
    )


def _is_number(tokens: Sequence[tuple[str, str]], at: int) -> bool:
    return at < len(tokens) and tokens[at][0] == "bare" and _NUMBER.fullmatch(tokens[at][1]) is not None


def _word(kind: str, text: str, weight: float) -> Word:
    prefix, colon, name = text.partition(":")
    if not colon or prefix not in PREFIXES:
        prefix, name = "", text
    if kind == "quoted":
        name = name[1:-1].replace('""', '"')
    elif name.startswith('"'):
        raise InvalidQuery(f"The quotes at {text!r} do not end, or something follows them without white space.")
    if not name:
        raise InvalidQuery(f"A name is missing at {text!r}.")
    return Word(prefix, name, weight, kind == "quoted")
