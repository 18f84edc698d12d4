"""Product IDs: what may be one."""

from services.errors import InvalidProductID

MAX_BYTES = 512


def checked_product_id(product_id: str) -> str:
    """The ID itself: any non-empty text of up to 512 bytes in UTF-8. Raises `InvalidProductID`."""
    if not product_id:
        raise InvalidProductID("A product ID is empty; give each product a name of its own.")
    try:
        size = len(product_id.encode())
    except UnicodeEncodeError:
        raise InvalidProductID(
            f"The product ID {product_id!r} is no valid Unicode text; rename it so that it is UTF-8."
        ) from None
    if size > MAX_BYTES:
        raise InvalidProductID(
            f"The product ID {product_id[:40]!r}... has {size} bytes; shorten it to {MAX_BYTES} or less."
        )
    return product_id
