"""The terms that commands take: products, directions and pictures, in the words of `services.query.terms`."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from api.cli.output import stderr
from api.cli.workspace import AnyCatalog, printable
from services.errors import ImageError
from services.images.files import read
from services.query.terms import DirectionTerm, Example, ImageTerm, Operand, ProductTerm, Term, resolved, words


def terms_of(text: str, catalog: AnyCatalog) -> tuple[Term, ...]:
    """The weighted terms of a text. Raises `InvalidQuery`, `ImageError`s."""
    if not text:
        return ()
    found = resolved(
        words(text),
        held=catalog.held,
        directions=lambda: [each.name for each in catalog.directions.all()],
        picture=lambda path: read(Path(path), catalog.max_image_bytes),
    )
    return tuple(found)


def example_of(text: str, catalog: AnyCatalog) -> Example:
    """A single product or picture: all but `file:PATH` and `product:ID` is an ID. Raises `ImageError`s."""
    if text.startswith("file:"):
        path = text.removeprefix("file:")
        return ImageTerm(read(Path(path), catalog.max_image_bytes), path)
    return ProductTerm(text.removeprefix("product:"))


def plain_operand(operand: Operand) -> dict[str, Any]:
    """A term as a part of a JSON object."""
    match operand:
        case ProductTerm():
            return {"product_id": operand.product_id}
        case DirectionTerm():
            return {"direction": operand.name}
        case _:
            return {"image": printable(operand.name)}


@contextmanager
def asking(operands: Iterable[Operand]) -> Iterator[None]:
    """While a catalog is asked about these: what is wrong with a picture names its file."""
    names = [printable(each.name) for each in operands if isinstance(each, ImageTerm)]
    try:
        with stderr().status("Loading the encoder") if names else nullcontext():
            yield
    except ImageError as error:
        which = names[0] if len(names) == 1 else f"One of {', '.join(names)}"
        raise type(error)(f"{which}: {error}") from error
