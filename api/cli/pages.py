"""Files that commands write for people to look at: each needs no other, pictures are in it."""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.cli.output import display
from services.errors import ImageError, InvalidInput, MediaNotFound, ProductNotFound

_NO_CHARACTERS = re.compile("[\ufffe\uffff]")


def rendered(template: str, **shown: Any) -> str:
    """A template of this folder, filled in; all text in `shown` is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("api.cli", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(template).render(**shown)


def write(file: Path, text: str, what: str, option: str) -> None:
    """Writes a file. Raises `InvalidInput`, which names what it is and its option, where it cannot be written."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"The {what} {file} cannot be written ({error.strerror}); give another {option}.") from error


def plain(text: object) -> str:
    """Text of strangers as XML may hold it: control and direction characters are escaped."""
    return _NO_CHARACTERS.sub("\ufffd", display(text).plain)


def data_uri(thumbnail: Callable[[], bytes]) -> str | None:
    """A picture as a data URI; None where its original was not kept, or its product is gone."""
    try:
        return "data:image/webp;base64," + base64.b64encode(thumbnail()).decode()
    except (MediaNotFound, ImageError, ProductNotFound):
        return None
