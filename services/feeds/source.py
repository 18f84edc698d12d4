"""A product and its image, as a folder or a list names them."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from services.errors import LookalikeError
from services.records import Attributes, RemoteImage


class IdRule(StrEnum):
    """How a file name becomes a product ID: a/b.c.jpg is b.c by stem, b.c.jpg by name, a/b.c.jpg by relative path."""

    STEM = "stem"
    NAME = "name"
    RELATIVE = "relative"

    def product_id(self, path: Path, root: Path) -> str:
        """The product ID of a file inside a folder."""
        if self is IdRule.STEM:
            return path.stem
        return path.name if self is IdRule.NAME else path.relative_to(root).as_posix()


@dataclass(frozen=True, slots=True)
class Source:
    """A product and its image: a file, or the URL of one.

    `attributes` is None if the source has no attributes. `spelled` is the product ID as the source has it, where that
    is not NFC. `row` is the list and the line that name it. With a `fault` it is a row that cannot be taken, and why:
    `image` is the list then.
    """

    product_id: str
    image: Path | RemoteImage
    attributes: Attributes | None = None
    fault: LookalikeError | None = None
    spelled: str | None = None
    row: str | None = field(default=None, compare=False)

    @property
    def place(self) -> str:
        """Where the image is: the path or the URL; of a row that cannot be taken, list and line."""
        if self.fault and self.row:
            return self.row
        return str(self.image) if isinstance(self.image, Path) else self.image.url
