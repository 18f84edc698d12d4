"""The sentence for an image that is damaged."""

from services.errors import ImageCorrupt


def damaged(why: str = "") -> ImageCorrupt:
    """An image that is cut off or damaged, and what shows that."""
    shown = f" ({why})" if why else ""
    return ImageCorrupt(f"The image is cut off or damaged{shown}; export it again from its source.")
