"""`--device` before anything starts: which GPU the process will see. The rest is in tests/e2e/test_worker.py."""

import os
import subprocess
import sys

import pytest

CHOOSE = (
    "import os, sys\n"
    "from api.cli.worker import choose\n"
    "from services.errors import InvalidSetting\n"
    "class Watch:\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        if name == 'tensorflow':\n"
    "            print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True)\n"
    "            if 'look' in sys.argv: os._exit(0)\n"
    "sys.meta_path.insert(0, Watch())\n"
    "try: choose(sys.argv[1])\n"
    "except InvalidSetting as error: print(error)\n"
    "else: print(os.environ['CUDA_VISIBLE_DEVICES'])\n"
)
"""Prints CUDA_VISIBLE_DEVICES when TensorFlow is first looked for, and how it ends. With `look` the first is the end:
importing TensorFlow takes seconds."""


def chosen(device: str, visible: str | None, *more: str) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    if visible is not None:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    ran = subprocess.run(
        [sys.executable, "-c", CHOOSE, device, *more], capture_output=True, text=True, check=True, env=environment
    )
    return ran.stdout.splitlines()


@pytest.mark.parametrize("visible", [None, "0,1"])
def test_cpu_hides_all_gpus_and_needs_no_tensorflow(visible: str | None) -> None:
    assert chosen("cpu", visible) == ["-1"]


@pytest.mark.parametrize(
    ("device", "visible", "seen"),
    [
        ("gpu:0", None, "0"),
        ("gpu:7", None, "7"),
        ("gpu:1", "4,6", "6"),
        ("gpu:0", "GPU-8f3a, GPU-77aa", "GPU-8f3a"),
        ("gpu:0", "-1", "-1"),
    ],
)
def test_a_gpu_is_chosen_before_tensorflow_is_there(device: str, visible: str | None, seen: str) -> None:
    """Given GPUs that somebody has left to this process, I expect one of those, counted from gpu:0."""
    assert chosen(device, visible, "look") == [seen]


def test_a_gpu_that_tensorflow_does_not_find_is_refused() -> None:
    seen, sentence = chosen("gpu:0", "-1")
    assert seen == "-1" and sentence.startswith("--device gpu:0: ")


def test_a_gpu_beyond_those_left_to_the_process_is_refused_without_tensorflow() -> None:
    [sentence] = chosen("gpu:2", "4,6")
    assert sentence == "--device gpu:2: CUDA_VISIBLE_DEVICES=4,6 leaves this process 2 of the GPUs, counted from gpu:0."
