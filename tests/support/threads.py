"""What goes on in threads while a test does something else."""

import threading
from collections.abc import Callable
from typing import Self


class Meanwhile:
    """Runs functions, each in a thread of its own, while the block runs; they return when `ended` is set."""

    def __init__(self, *functions: Callable[[], object]) -> None:
        self.ended = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in functions]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self._threads:
            thread.join()
