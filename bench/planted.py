"""Copies of pictures as shops get them, and variants that are other products: what a search for duplicates is tried
with."""

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

DIFFERENT = 6.0
"""How much a variant differs from its picture at least, the mean of all pixels and channels out of 255: a vase is its
own mirror image, and a white one has no other color."""

Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def re_encoded(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image  # as JPEG, as all are


def half_size(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


def cropped(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Up to a tenth of width and height is gone, from either side."""
    shares = random.uniform(0, 0.1, 2)
    from_left, from_top = random.uniform(0, shares)
    box = (from_left, from_top, 1 - shares[0] + from_left, 1 - shares[1] + from_top)
    left, top, right, bottom = (round(at * side) for at, side in zip(box, image.size * 2, strict=True))
    return image.crop((left, top, right, bottom))


def lit(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Up to a fifth darker or brighter."""
    return ImageEnhance.Brightness(image).enhance(random.uniform(0.8, 1.2))


def with_logo(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """A sign in a corner, a sixth of the width."""
    whole, side = image.copy(), image.width // 6
    left = 0 if random.random() < 0.5 else image.width - side
    top = 0 if random.random() < 0.5 else image.height - side // 2
    pen = ImageDraw.Draw(whole)
    pen.rectangle((left, top, left + side, top + side // 2), fill=tuple(random.integers(0, 256, 3).tolist()))
    pen.text((left + side // 5, top + side // 8), "SHOP", fill="white")
    return whole


def bordered(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """A frame of 3% on each side, white, gray or black."""
    return ImageOps.expand(image, round(0.03 * image.width), fill=str(random.choice(["white", "#888888", "black"])))


def mirrored(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return ImageOps.mirror(image)


def recolored(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """All hues turned by a quarter to three quarters of the circle."""
    hue, saturation, value = image.convert("HSV").split()
    turned = np.asarray(hue).astype(np.int64) + random.integers(64, 192)
    return Image.merge("HSV", (Image.fromarray((turned % 256).astype(np.uint8)), saturation, value)).convert("RGB")


COPIES: Mapping[str, Change] = {
    "re-encoded": re_encoded,
    "half size": half_size,
    "cropped": cropped,
    "brightness": lit,
    "logo": with_logo,
    "border": bordered,
}
VARIANTS: Mapping[str, Change] = {"mirrored": mirrored, "recolored": recolored}


def planted(data: bytes, kind: str, random: np.random.Generator) -> bytes | None:
    """A changed picture as JPEG of quality 40; None where a variant hardly differs."""
    with Image.open(io.BytesIO(data)) as opened:
        image = opened.convert("RGB")
    made = (COPIES | VARIANTS)[kind](image, random)
    if kind in VARIANTS:
        difference = np.abs(np.asarray(made, np.int64) - np.asarray(image, np.int64)).mean()
        if difference < DIFFERENT:
            return None
    out = io.BytesIO()
    made.save(out, "JPEG", quality=40)
    return out.getvalue()
