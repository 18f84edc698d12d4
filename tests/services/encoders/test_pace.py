"""Any number of images becomes calls of the sizes that a device is to see, and nothing is lost or added."""

import numpy as np
import pytest

from services.encoders.pace import Pace, of_gpu, of_processors
from services.records import Pixels


def numbered(count: int) -> Pixels:
    """Tiny images, each of a color of its own, none black."""
    return np.arange(1, count + 1, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)


@pytest.mark.parametrize("pace", [of_gpu(), of_processors(4), Pace(1, 3, (1, 3, 5)), Pace(1, 4, (4,))])
def test_every_image_is_in_one_call_in_its_place(pace: Pace) -> None:
    for count in range(200):
        pixels = numbered(count)
        calls = list(pace.calls(pixels))
        np.testing.assert_array_equal(np.concatenate([np.empty_like(pixels[:0]), *(c[:n] for c, n in calls)]), pixels)
        assert not any(call[images:].any() for call, images in calls), "what fills up is black"
        assert all(call.dtype == np.uint8 for call, _ in calls)


def test_a_gpu_sees_five_sizes_each_the_least_that_fits() -> None:
    shapes = (1, 8, 16, 32, 64)
    seen = {len(call) for count in range(200) for call, _ in of_gpu().calls(numbered(count))}
    assert seen == set(shapes)
    for count in range(1, 65):
        [(call, _)] = of_gpu().calls(numbered(count))
        assert len(call) == min(shape for shape in shapes if shape >= count)
    assert [len(call) for call, _ in of_gpu().calls(numbered(64 + 64 + 3))] == [64, 64, 8]
    assert (of_gpu().lanes, of_gpu().turn) == (1, 64)


def test_processors_see_what_there_is_in_turns_that_fit_their_caches() -> None:
    pace = of_processors(6)
    assert (pace.lanes, pace.turn) == (6, 8)
    for count in range(200):
        sizes = [len(call) for call, _ in pace.calls(numbered(count))]
        assert sizes == [16] * (count // 16) + [count % 16] * (count % 16 > 0)


def test_what_fills_a_shape_is_not_copied() -> None:
    pixels = numbered(16)
    [(call, _)] = of_gpu().calls(pixels)
    assert np.shares_memory(call, pixels)
