"""Raw features and the direction they point in, which is what an index stores."""

import numpy as np

from services.errors import ImageFeatureless
from services.records import Vector


def normalized(features: Vector) -> tuple[Vector, float]:
    """Features as a direction of length one, and the length they had.

    Raises `ImageFeatureless` where they are all zero or not finite: they have no direction.
    """
    norm = float(np.linalg.norm(features.astype(np.float64)))
    if not np.isfinite(norm) or norm == 0.0:
        raise ImageFeatureless(
            "The encoder found no features in this picture (all are zero, or not finite); take another picture."
        )
    return (features / norm).astype(np.float32), norm
