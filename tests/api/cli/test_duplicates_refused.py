"""`lookalike index --duplicates refuse`: pictures that others show are failures, with a service and without."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from commands import picture

Run = Callable[..., tuple[int, dict[str, Any]]]


def test_pictures_of_other_products_are_refused(run: Run, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, number in (("copy", 0), ("one", 70), ("two", 70), ("red-0", 0)):
        (folder / f"{name}.jpg").write_bytes(picture("red", number))
    status, told = run("index", folder, "--duplicates", "refuse", "--data", data)
    assert (status, told["applied"], told["unchanged"], told["failed"]) == (1, 1, 1, 2), told
    found = {(each["product_id"], each["code"]) for each in told["failures"]}
    assert found in ({("copy", "duplicate"), (each, "duplicate")} for each in ("one", "two"))
    status, told = run("index", folder, "--data", data)
    assert (status, told["applied"], told["failed"]) == (0, 2, 0)
