"""Validation of product IDs and catalog names."""

import re

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
