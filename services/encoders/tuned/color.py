"""placeholder"""

import numpy as np

from services.records import Pixels, Vectors

DIM = 245


def color_histograms(pixels: Pixels) -> Vectors:
    out = np.zeros((len(pixels), DIM), np.float32)
    for i, p in enumerate(pixels):
        q = p[::4, ::4].reshape(-1, 3).astype(int) * [5, 7, 7] // 256
        h = np.bincount(q[:, 0] * 49 + q[:, 1] * 7 + q[:, 2], minlength=DIM)
        out[i] = np.sqrt(h / h.sum())
    return out
