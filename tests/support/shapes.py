"""Pictures of products that are drawn: some shapes of some colors, another one for each seed."""

import numpy as np
from PIL import Image, ImageDraw


def drawn(seed: int, background: str = "white", hue: int = 0) -> Image.Image:
    """A product on a background, 480 pixels a side, its colors turned by so many degrees of hue."""
    side = 480
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (side, side), background)
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = random.uniform(0.1, 0.6, 2) * side
        w, h = random.uniform(0.15, 0.4, 2) * side
        draw.ellipse((x, y, x + w, y + h), f"hsv({(random.integers(360) + hue) % 360}, 80%, 80%)")
    return image
