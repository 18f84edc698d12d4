"""How large an image may be."""

from dataclasses import dataclass

from services.errors import ImageTooLarge, ImageTooManyPixels


@dataclass(frozen=True, slots=True)
class Limits:
    """The maximum sizes of an image."""

    max_bytes: int
    max_pixels: int

    def check_bytes(self, count: int) -> None:
        """Raises `ImageTooLarge`."""
        if count > self.max_bytes:
            raise ImageTooLarge(
                f"The image has {count:,} bytes and {self.max_bytes:,} are allowed; "
                "send a smaller file or raise LOOKALIKE_MAX_IMAGE_BYTES."
            )

    def check_pixels(self, width: int, height: int) -> None:
        """Raises `ImageTooManyPixels`."""
        if width * height > self.max_pixels:
            raise ImageTooManyPixels(
                f"The image has {width:,} x {height:,} pixels and {self.max_pixels:,} are allowed; "
                "send a smaller one or raise LOOKALIKE_MAX_IMAGE_PIXELS."
            )
