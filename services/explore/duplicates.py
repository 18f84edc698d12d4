"""Duplicates: products whose pictures are the same, or nearly, and the groups that they make."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations

from services.explore.decisions import Decisions
from services.explore.kinds import KINDS, Kind
from services.hashes import SHA256
from services.query.likeness import Hashes
from services.query.near_duplicates import are_near_duplicates

CANDIDATES = 20
"""So many nearest products of each one are looked at: never all pairs."""
MOST_CANDIDATES = 200
"""The same, where the first ones show few pictures: one that many products have must not hide others."""
PERCENTILE = 95.0
"""The percentile, of random pairs of the generation, below which two products are no candidates. A cosine would mean
something else with every encoder. Of planted copies the least alike is at 99.0 (`bench/duplicates.py`); hashes judge
what is above, so a lower one costs little."""
PLACEHOLDER = 10
"""Products from which on one picture is called a placeholder: so many hardly ever are the same product, but share a
picture that says "no picture yet"."""

Pictures = Mapping[str, Sequence[str]]
"""Products by what identifies their picture: `identity`."""
Pairs = Mapping[tuple[str, str], Kind]
"""What pairs of pictures are, each in ascending order."""


def kind_of(one: Hashes, other: Hashes) -> Kind | None:
    """What duplicates two pictures are; None: none. Vectors cannot tell: a mirror image, or another color, is as near
    as a copy."""
    if one.image is not None and one.image == other.image:
        return "same_bytes"
    if one.perceptual is None or other.perceptual is None:
        return None
    if one.perceptual == other.perceptual:
        return "same_picture"
    return "near_duplicate" if are_near_duplicates(one.perceptual, other.perceptual) else None


def identity(image: str | None, perceptual: str | None) -> str | None:
    """What a picture is known by: the hash of its bytes, else its perceptual hash; None where neither is known."""
    return image or perceptual


def pair(one: str, other: str) -> tuple[str, str]:
    """Two pictures as a key of `Pairs`."""
    return (one, other) if one < other else (other, one)


@dataclass(frozen=True, slots=True)
class Link:
    """Two products that are duplicates; settled where people have decided about both together."""

    one: str
    other: str
    kind: Kind
    is_settled: bool


@dataclass(frozen=True, slots=True)
class Component:
    """Products that hang together by links.

    `products` are ascending. `kind` is the weakest kind of links without which they would fall apart: of two files that
    are the same, and a third that is nearly that picture, it is near-duplicate. It is open where a link is not settled.
    """

    products: tuple[str, ...]
    kind: Kind
    is_open: bool


def group_id(product_ids: Iterable[str]) -> str:
    """What a group is called: 16 hex digits of its products, in whatever order."""
    whole = sha256()
    for each in sorted(product_ids):
        data = each.encode("utf-8", "surrogatepass")
        whole.update(len(data).to_bytes(4, "big") + data)
    return whole.hexdigest()[:16]


def links(pictures: Pictures, pairs: Pairs, decisions: Decisions) -> Iterator[Link]:
    """Links by which the same products hang together, and are open, as by all links that there are, but few.

    Between two products there is a link where they have the same picture, or pictures that are a pair, unless it was
    decided that they are distinct. A picture on a thousand products would have half a million of them.

    Args:
        pictures: Products by picture, each product once.
        pairs: Those of pictures that are no key of `pictures` are left out.
        decisions: What settles links.
    """
    classes = {picture: _classes(picture, products, decisions) for picture, products in pictures.items()}
    for picture, found in classes.items():
        kind: Kind = "same_bytes" if SHA256.fullmatch(picture) else "same_picture"
        for each in found:
            if each.is_whole:
                settled = decisions.last_of(each.marks, each.marks) is not None
                yield from (Link(each.products[0], other, kind, settled) for other in each.products[1:])
        for one, other in combinations(found, 2):
            yield from _across(one, other, kind, decisions)
    for (first, second), kind in pairs.items():
        for one in classes.get(first, ()):
            for other in classes.get(second, ()):
                yield from _across(one, other, kind, decisions)


def components(links: Iterable[Link]) -> list[Component]:
    """Products that hang together, in no order."""
    parents: dict[str, str] = {}

    def root(product: str) -> str:
        above = parents.setdefault(product, product)
        while above != parents[above]:
            parents[above] = parents[parents[above]]
            above = parents[above]
        parents[product] = above
        return above

    found = sorted(links, key=lambda link: KINDS.index(link.kind))
    joined: list[Link] = []
    for link in found:
        one, other = root(link.one), root(link.other)
        if one != other:
            parents[other] = one
            joined.append(link)
    members: dict[str, list[str]] = {}
    for product in parents:
        members.setdefault(root(product), []).append(product)
    # They come from the strongest kind to the weakest: the last one that joined anything is the weakest needed.
    kinds = {root(link.one): link.kind for link in joined}
    opened = {root(link.one) for link in found if not link.is_settled}
    return [Component(tuple(sorted(members[at])), kinds[at], at in opened) for at in members if at in kinds]


@dataclass(frozen=True, slots=True)
class _Class:
    """Products of one picture about which the same was decided. It is whole unless they were told from each other."""

    products: tuple[str, ...]
    marks: tuple[int, ...]
    is_whole: bool


def _classes(picture: str, products: Sequence[str], decisions: Decisions) -> list[_Class]:
    found: dict[tuple[int, ...], list[str]] = {}
    for product in products:
        found.setdefault(decisions.marks(product, picture), []).append(product)
    return [_Class(tuple(some), marks, not decisions.tells_apart(marks, marks)) for marks, some in found.items()]


def _across(one: _Class, other: _Class, kind: Kind, decisions: Decisions) -> Iterator[Link]:
    """Links between the products of two classes."""
    if decisions.tells_apart(one.marks, other.marks):
        return
    settled = decisions.last_of(one.marks, other.marks) is not None
    firsts = one.products[:1] if one.is_whole else one.products
    others = other.products[:1] if other.is_whole else other.products
    yield from (Link(firsts[0], each, kind, settled) for each in others)
    yield from (Link(each, others[0], kind, settled) for each in firsts[1:])
