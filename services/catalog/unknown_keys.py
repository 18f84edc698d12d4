"""Keys of a filter that no product has: they explain an answer in which nothing is."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from itertools import islice

from services.errors import IndexUnavailable
from services.index.vector_index import VectorIndex
from services.kinds import leaves
from services.query.filters import FieldCondition, Filter, Steps, key_of, parse, steps
from services.records import Attributes, FilterWarning, Point

CODE = "filter_key_unknown"
MAX_CHECKED = 4
"""Keys that are looked for among all products: where a key is not indexed, that costs as much as the search that found
nothing (70 ms in 50,000 products)."""

_SAMPLE = 100
_MAX_CANDIDATES = 500
_ALIKE = 0.75
_NOTHING = "look at a product to see which attributes there are"


def unknown_keys(index: VectorIndex, declared: Iterable[str], filter: Filter) -> list[FilterWarning]:
    """A warning for each key that a `match` or a `range` of the filter is about, and of which no product has a value.

    Keys that are only asked to be empty, or not to be, are left out: there an empty answer says that by itself. Other
    attributes that are written like a key are looked for among those declared and those of some products.

    Args:
        index: The products.
        declared: The keys of indexed attributes.
        filter: What was asked for.
    """
    keys: dict[Steps, str] = {}
    for key in _keys(filter):
        keys.setdefault(steps(key), key)
    if not keys:
        return []
    # A hint must not cost the answer that it is for.
    with suppress(IndexUnavailable):
        return [_warning(*each) for each in meant(index, declared, keys.values()).items()]
    return []


def meant(index: VectorIndex, declared: Iterable[str], keys: Iterable[str]) -> dict[str, str | None]:
    """Those of some keys at which no product has a value, each with one that is written like it, if there is one.

    Of many keys the first `MAX_CHECKED` that are not those of some products are checked. Raises `IndexUnavailable`.
    """
    sample, _ = index.scroll(limit=_SAMPLE)
    open_keys = [key for key in keys if not _is_in(sample, key)][:MAX_CHECKED]
    unknown = [key for key in open_keys if not _somewhere(index, key)]
    others = _candidates(declared, sample, {steps(key) for key in unknown})
    return {key: _alike(key, others) for key in unknown}


def advice(suggestion: str | None) -> str:
    """What to do about a key that no product has."""
    return f"perhaps {suggestion} is meant" if suggestion else _NOTHING


def _keys(filter: Filter) -> Iterator[str]:
    for condition in filter.conditions:
        if isinstance(condition, Filter):
            yield from _keys(condition)
        elif isinstance(condition, FieldCondition):
            yield condition.key


def _is_in(points: Iterable[Point], key: str) -> bool:
    return any(True for point in points for _ in leaves(point.attributes, key))


def _somewhere(index: VectorIndex, key: str) -> bool:
    found, _ = index.scroll(limit=1, filter=parse({"must_not": {"is_empty": {"key": key}}}))
    return bool(found)


def _candidates(declared: Iterable[str], sample: Iterable[Point], unknown: set[Steps]) -> dict[str, str]:
    """Keys that may have been meant, by their lower case."""
    found = (key for point in sample for key in _paths(point.attributes))
    keys = [*declared, *islice(dict.fromkeys(found), _MAX_CANDIDATES)]
    return {key.lower(): key for key in keys if steps(key) not in unknown}


def _paths(attributes: Attributes, prefix: str = "") -> Iterator[str]:
    for name, value in attributes.items():
        with suppress(ValueError):  # a name that no key can write
            key = prefix + key_of(name)
            if isinstance(value, Mapping):
                yield from _paths(value, f"{key}.")
            elif value not in (None, []):
                steps(key)
                yield key


def _alike(key: str, others: Mapping[str, str]) -> str | None:
    alike = get_close_matches(key.lower(), others, n=1, cutoff=_ALIKE)
    return others[alike[0]] if alike else None


def _warning(key: str, suggestion: str | None) -> FilterWarning:
    message = f"No product has a value at {key}, so a condition on it matches nothing; {advice(suggestion)}."
    return FilterWarning(CODE, message, key, suggestion)
