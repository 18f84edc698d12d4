"""Vectors as arrays of numpy, which is imported here and nowhere else, when they are asked for."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


Vectors: TypeAlias = "npt.NDArray[np.float32]"
"""float32, shape (dim,) of one vector, (n, dim) of several."""


class Array(Protocol):
    """What can become a list, as arrays of numpy can."""

    def tolist(self) -> Any: ...


VectorLike: TypeAlias = Sequence[float] | Array


def to_numpy(vectors: Iterable[Any]) -> Vectors:
    """float32: shape (dim,) of one vector, (n, dim) of several."""
    import numpy as np

    return np.array([*vectors], np.float32)


def to_list(vector: VectorLike) -> list[float]:
    """A vector as JSON writes it."""
    return [float(each) for each in (vector if isinstance(vector, Sequence) else vector.tolist())]
