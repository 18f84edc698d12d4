"""What callers say by hand of the columns of a table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from services.descriptions import AttributeKind
from services.errors import InvalidSource


class Role(StrEnum):
    """Columns that are no attributes."""

    PRODUCT_ID = "product_id"
    IMAGE_URL = "image_url"
    IMAGE_PATH = "image_path"
    OP = "op"


class ByHand(StrEnum):
    """What a column can be said to be."""

    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL_POINT = "decimal-point"
    DECIMAL_COMMA = "decimal-comma"
    BOOL = "bool"
    KEYWORD = "keyword"
    TEXT = "text"
    SKIP = "skip"

    @property
    def kind(self) -> AttributeKind | None:
        """The kind of its values; None where it is left out."""
        if self in (ByHand.FLOAT, ByHand.DECIMAL_POINT, ByHand.DECIMAL_COMMA):
            return AttributeKind.FLOAT
        if self is ByHand.TEXT:
            return AttributeKind.KEYWORD
        return None if self is ByHand.SKIP else AttributeKind(self.value)


@dataclass(frozen=True, slots=True)
class Options:
    """What is said by hand. `ask` is what an option begins with in messages, `ask_encoding` what names an encoding."""

    kinds: Mapping[str, ByHand] = field(default_factory=dict)
    headers: Mapping[Role, str] = field(default_factory=dict)
    encoding: str | None = None
    ask: str = "--column "
    ask_encoding: str = "--encoding "

    def advised(self, name: str, value: str) -> str:
        """The option that says this, for messages."""
        is_quoted = " " in value or " " in name
        return f'{self.ask}"{name}={value}"' if is_quoted else f"{self.ask}{name}={value}"


def parsed(given: Iterable[str]) -> tuple[dict[str, ByHand], dict[Role, str]]:
    """Kinds by column, and headers by role, of texts like `price=float` and `product_id=Variant SKU`.

    Raises:
        InvalidSource: A text is neither, or one says again what another says.
    """
    kinds: dict[str, ByHand] = {}
    headers: dict[Role, str] = {}
    for text in given:
        left, equals, right = text.partition("=")
        if equals and left.strip() in tuple(Role) and right.strip():
            role = Role(left.strip())
            if headers.setdefault(role, right.strip()) != right.strip():
                raise InvalidSource(f"Two columns are said to be {role}: {headers[role]!r} and {right.strip()!r}.")
            continue
        name, equals, kind = text.rpartition("=")
        name, kind = name.strip(), kind.strip().lower()
        if not name or kind not in tuple(ByHand):
            raise InvalidSource(
                f"{text[:120]!r} says nothing of a column: write NAME=KIND, where a kind is one of "
                f"{', '.join(ByHand)}, or {', '.join(Role)} = the name of a column."
            )
        if kinds.setdefault(name, ByHand(kind)) != kind:
            raise InvalidSource(f"The column {name[:120]!r} is said to be {kinds[name]} and {kind}; leave one out.")
    return kinds, headers
