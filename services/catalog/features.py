"""Raw features as a unit vector, which is what an index stores and searches by."""

import numpy as np

from services.errors import ImageFeatureless
from services.records import Vector


def normalized(features: Vector) -> tuple[Vector, float]:
    """Features as a vector of length one, and the length they had.

    Raises `ImageFeatureless` where they are all zero or not finite, so that no unit vector exists.
    """
    norm = float(np.linalg.norm(features.astype(np.float64)))
    if not np.isfinite(norm) or norm == 0.0:
        raise ImageFeatureless(
            "The encoder found no features in this picture (all are zero, or not finite); take another picture."
        )
    return (features / norm).astype(np.float32), norm
