"""A pass over the products of the live generation, that brings what another one lacks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.catalog.bringing import Brought
from services.records import Outcome, State

EXAMPLES = 1000
"""Products that are named at most."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass over the products of the live generation, or a part of it.

    Attributes:
        products: How many were looked at.
        brought: How many the other generation has now that it lacked, or had otherwise; removals count, too.
        missing: How many it still lacks, or has as they were before.
        faults: Why, by error code: how many.
        examples: Some of them, each with its error.
        changed: Products whose URL gives another image than they had, which both generations have now; the first ones.
        after: Where the next pass may go on; None: this one came to the end.
        learned: How many pictures features have learned from, before the pass.
    """

    products: int = 0
    brought: int = 0
    missing: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[Outcome, ...] = ()
    changed: tuple[str, ...] = ()
    after: str | None = None
    learned: int = 0


Watch = Callable[[Pass], object]
"""Called with what a pass has done so far."""


def watch_nothing(done: Pass) -> None:
    """Watches nothing."""


def added(done: Pass, count: int, brought: Brought, after: str | None) -> Pass:
    """What is done with a page of so many products more."""
    faults = dict(done.faults)
    for each in brought.faults:
        faults[each.code or ""] = faults.get(each.code or "", 0) + 1
    return Pass(
        products=done.products + count,
        brought=done.brought + brought.count,
        missing=done.missing + len(brought.faults),
        faults=faults,
        examples=(*done.examples, *brought.faults)[:EXAMPLES],
        changed=(*done.changed, *brought.changed)[:EXAMPLES],
        after=after,
    )


TOLD = 20
"""Products of each kind that the JSON of a pass names."""


def joined(begun: Pass, more: Pass) -> Pass:
    """A pass that was cut off, and what went on from where it ended."""
    codes = [*dict.fromkeys([*begun.faults, *more.faults])]
    return Pass(
        products=begun.products + more.products,
        brought=begun.brought + more.brought,
        missing=begun.missing + more.missing,
        faults={code: begun.faults.get(code, 0) + more.faults.get(code, 0) for code in codes},
        examples=(*begun.examples, *more.examples)[:EXAMPLES],
        changed=(*begun.changed, *more.changed)[:EXAMPLES],
        after=more.after,
    )


def to_json(done: Pass) -> dict[str, Any]:
    """A pass as JSON, but for where the next may go on; it names fewer products."""
    examples = done.examples[:TOLD]
    return {
        "products": done.products,
        "brought": done.brought,
        "missing": done.missing,
        "faults": dict(done.faults),
        "examples": [{"product_id": each.product_id, "code": each.code, "message": each.message} for each in examples],
        "changed": list(done.changed[:TOLD]),
    }


def from_json(told: Mapping[str, Any], after: str | None = None) -> Pass:
    """The pass that this JSON tells of; what it does not tell is nothing."""
    known = {name: told[name] for name in ("products", "brought", "missing", "faults") if name in told}
    examples = tuple(Outcome(state=State.FAILED, **each) for each in told.get("examples", ()))
    return Pass(**known, examples=examples, changed=tuple(told.get("changed", ())), after=after)
