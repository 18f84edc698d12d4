"""Products with pictures that are copies of each other, or nearly, as features and hashes: nothing is decoded."""

import numpy as np

from services.hashes import perceptual, sha256_of
from services.records import Embedding

DIM = 1280


def product(
    product_id: str, picture: int, other: int = 0, bits: int = 5, near: float = 0.02, dim: int = DIM
) -> Embedding:
    """A product with a picture; with `other`, that of another file which is as near to it, and differs in so many bits
    of the perceptual hash."""
    random, more = np.random.default_rng(picture), np.random.default_rng([picture, other])
    features = random.random(dim) + (near * more.normal(size=dim) if other else 0)
    seen = random.random(64) < 0.5
    changed = more.permutation(64)[: bits if other else 0]
    seen[changed] = ~seen[changed]
    grid = np.full((8, 8, 3), random.uniform(0, 60, 3))
    hash = sha256_of(f"{picture} {other}".encode())
    return Embedding(
        product_id, features.astype(np.float32), {}, image=hash, perceptual=perceptual(seen.reshape(8, 8), grid)
    )
