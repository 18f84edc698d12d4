"""Colors: any of Pillow's modes to sRGB, 8 bits a channel, over white."""

from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from services.errors import ImageUnsupported

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

MODES = frozenset(["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB"])


def eight_bits(image: Image.Image) -> Image.Image:
    """The image with 8 bits a channel: of 16-bit gray the upper ones."""
    if not image.mode.startswith("I;16"):
        return image
    gray = np.asarray(image)
    scaled = Image.fromarray((gray >> 8).astype(np.uint8))
    scaled.info = {key: value for key, value in image.info.items() if key != "transparency"}
    if "transparency" in image.info:
        scaled.putalpha(Image.fromarray(np.where(gray == image.info["transparency"], 0, 255).astype(np.uint8)))
    return scaled


def over_white(image: Image.Image) -> Image.Image:
    """The image in sRGB, mode RGB, composited over white. Raises `ImageUnsupported` for numbers without a range."""
    image = _to_srgb(_with_plain_mode(image))
    if image.mode in ("LA", "RGBA"):
        image = image.convert("RGBA") if image.mode == "LA" else image
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_srgb(image: Image.Image) -> Image.Image:
    """Converts the image to sRGB by its profile; leaves it as it is if the profile is missing, broken or unsuitable."""
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    from PIL.ImageCms import PyCMSError

    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    color = image.getchannel("L") if image.mode == "LA" else image
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        converted = _transform(profile, color.mode, mode).apply(color)
    except (PyCMSError, OSError, ValueError):
        return image
    if alpha:
        converted.putalpha(alpha)
    return converted


@lru_cache(maxsize=2)
def _transform(profile: bytes, mode: str, converted: str) -> "ImageCmsTransform":
    """From a profile to sRGB. Most pictures of a catalog have the same profile, and making this takes milliseconds."""
    from PIL import ImageCms

    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, converted)


def _with_plain_mode(image: Image.Image) -> Image.Image:
    """The image converted to mode RGB, RGBA, L, LA or CMYK."""
    if image.mode not in MODES:
        raise ImageUnsupported(
            f"The image's numbers (Pillow calls them {image.mode}) have no fixed range; save it with 8 bits a channel."
        )
    if image.has_transparency_data:
        mode = "LA" if image.mode in ("1", "L", "LA", "La") else "RGBA"
    elif image.mode == "1":
        mode = "L"
    else:
        mode = image.mode if image.mode in ("L", "CMYK") else "RGB"
    return image if image.mode == mode else image.convert(mode)
