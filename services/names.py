"""Validation of product IDs and catalog names."""

import re
import unicodedata
from hashlib import blake2b

from services.errors import InvalidCatalog, InvalidProductID

MAX_PRODUCT_ID_BYTES = 512


def checked_product_id(product_id: str) -> str:
    """Returns the ID if it is valid: non-empty text of up to 512 bytes in UTF-8.

    Raises:
        InvalidProductID: It is empty, too long, or not encodable as UTF-8.
    """
    if not product_id:
        raise InvalidProductID("A product ID is empty; give each product an ID of its own.")
    try:
        size = len(product_id.encode())
    except UnicodeEncodeError:
        raise InvalidProductID(
            f"The product ID {product_id!r} is not valid Unicode text; rename it so that it is UTF-8."
        ) from None
    if size > MAX_PRODUCT_ID_BYTES:
        raise InvalidProductID(
            f"The product ID {product_id[:40]!r}... has {size} bytes; shorten it to {MAX_PRODUCT_ID_BYTES} or less."
        )
    return product_id


def checked_new_product_id(product_id: str) -> str:
    """Returns the ID if a put may give it to a product: a valid one that can be told from others by looking at it.

    It may not hold control characters or separators of lines, nor begin or end with white space or with a character
    of format (a byte order mark, a zero-width space, a mark of direction), which spreadsheets and copied texts add.
    Inside, joiners belong to words of several scripts and to emoji. Products that have such IDs from before keep them:
    `checked_product_id` takes those.

    Raises:
        InvalidProductID: It is not.
    """
    checked_product_id(product_id)
    if product_id.isascii() and product_id.isprintable() and product_id[0] != " " != product_id[-1]:
        return product_id
    inside = (each for each in product_id if unicodedata.category(each) in _BREAKING)
    if found := next(inside, None):
        why = f"holds the {'control character' if unicodedata.category(found) == 'Cc' else 'line separator'}"
    elif _is_blank(found := product_id[-1]):
        why = f"ends with the {_blank(found)}"
    elif _is_blank(found := product_id[0]):
        why = f"begins with the {_blank(found)}"
    else:
        return product_id
    shown = repr(product_id) if len(product_id) <= 80 else f"{product_id[:80]!r}..."
    raise InvalidProductID(f"The product ID {shown} {why} U+{ord(found):04X}; put the product under an ID without it.")


_BREAKING = ("Cc", "Zl", "Zp")


def _is_blank(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf"


def _blank(character: str) -> str:
    return "white space" if character.isspace() else "invisible character"


def digest(product_id: str) -> bytes:
    """16 bytes that stand for a product ID."""
    return blake2b(product_id.encode(errors="surrogatepass"), digest_size=16).digest()


_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def checked_catalog_name(name: str) -> str:
    """Returns the name if it is valid: 1 to 64 of a-z, 0-9, - and _, starting with a letter or digit.

    Raises:
        InvalidCatalog: It is not.
    """
    if not _NAME.fullmatch(name):
        raise InvalidCatalog(
            f"The catalog name {name!r} is refused: it takes 1 to 64 of a-z, 0-9, - and _, a letter or digit first."
        )
    return name
