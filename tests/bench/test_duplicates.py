"""What a scan for duplicates costs grows no faster than n log n."""

import pytest
from duplicates_scale import scaled


@pytest.mark.nightly
def test_a_hundred_thousand_products_are_scanned_in_time_and_memory_of_n_log_n() -> None:
    found = scaled(10_000, 100_000)
    for size in ("small", "large"):
        assert found[size]["in_graph"] == found[size]["products"]
        assert found[size]["pairs"] >= 0.95 * found[size]["copies"]
    assert found["seconds_ratio"] <= found["room"] * found["n_log_n"], found
    assert found["memory_ratio"] <= found["room"] * found["n_log_n"], found
