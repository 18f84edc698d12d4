"""Reading image files up to a maximum size."""

import stat
from pathlib import Path

from services.errors import ImageNotReadable, ImageTooLarge


def read(path: Path, max_bytes: int) -> bytes:
    """Returns the bytes of an image file. Raises `ImageNotReadable` or `ImageTooLarge`, which name the file."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise ImageNotReadable(f"{path} is not a file; give the picture itself.")
        if about.st_size > max_bytes:
            raise ImageTooLarge(
                f"{path} has {about.st_size:,} bytes, more than the {max_bytes:,} of LOOKALIKE_MAX_IMAGE_BYTES: "
                "save it smaller, or raise the limit."
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageNotReadable(f"{path} cannot be read ({reason}); check the path and its rights.") from error
