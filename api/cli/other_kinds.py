"""What commands say of products whose values are of another kind than an indexed attribute's."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from api.cli.output import display
from api.cli.workspace import printable
from services.records import OtherKinds


def as_json_object(others: Mapping[str, OtherKinds]) -> dict[str, Any]:
    """For the JSON object of a command: nothing where there are none."""
    return {"other_kinds": described(others)} if others else {}


def described(others: Mapping[str, OtherKinds]) -> dict[str, Any]:
    """As JSON, by attribute."""
    return {
        name: {
            "kind": each.kind.value,
            "products": each.products,
            "examples": {printable(product_id): value for product_id, value in each.examples.items()},
        }
        for name, each in others.items()
    }


def report_others(console: Console, others: Mapping[str, OtherKinds], start: str = "") -> None:
    """A line for each attribute, which `start` begins."""
    for name, each in others.items():
        some = ", ".join(f"{product_id!r} {value}" for product_id, value in each.examples.items())
        have = "1 product has" if each.products == 1 else f"{each.products} products have"
        console.print(
            display(
                f"{start}{name} is declared as {each.kind}, and {have} another value ({some}{_rest(each)}): filters "
                "on it are slow until no product has one and it is declared again."
            ),
            style="yellow",
            soft_wrap=True,
        )


def _rest(others: OtherKinds) -> str:
    return ", ..." if others.products > len(others.examples) else ""
