"""What keeps TensorFlow from the GPUs of a machine is told in one sentence, with the way out."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.encoders.keras.gpus import Gpus, gpus

READY = Gpus(
    names=("NVIDIA A100", "NVIDIA A100"),
    driver="550.54.14",
    cards=("NVIDIA A100", "NVIDIA A100"),
    cuda="12.5.1",
)
"""A machine on which all is well."""

NONE = replace(READY, names=())
"""As above, and yet TensorFlow finds none."""


@pytest.mark.parametrize("facts", [READY, replace(READY, absent=("nvidia-cudnn-cu12",)), replace(READY, driver=None)])
def test_where_tensorflow_finds_gpus_nothing_is_missing(facts: Gpus) -> None:
    """Given CUDA from elsewhere than its packages, or a driver that tells nothing, I expect no complaint."""
    assert facts.obstacle() is None


@pytest.mark.parametrize(
    ("facts", "cause", "way_out"),
    [
        (Gpus(cuda="12.5.1", absent=("nvidia-cudnn-cu12",)), "no NVIDIA driver is loaded", "install it"),
        (replace(NONE, cuda=None), "it is built without CUDA", "install tensorflow[and-cuda]"),
        (replace(NONE, visible="-1"), "CUDA_VISIBLE_DEVICES=-1 hides them", "unset it"),
        (replace(NONE, visible=""), "CUDA_VISIBLE_DEVICES= hides them", "unset it"),
        (replace(NONE, visible="2"), "CUDA_VISIBLE_DEVICES=2 names none", "this machine has 2 GPUs, counted from 0"),
        (
            replace(NONE, visible="1", cards=("Tesla T4",)),
            "CUDA_VISIBLE_DEVICES=1 names none",
            "this machine has one GPU, Tesla T4",
        ),
        (
            replace(NONE, visible="1", absent=("nvidia-cudnn-cu12",)),
            "packages with CUDA's libraries are not installed (nvidia-cudnn-cu12)",
            "pip install 'tensorflow[and-cuda]'",
        ),
        (replace(NONE, absent=("a", "b", "c", "d")), "not installed (a, b and 2 more)", "pip install"),
        (NONE, "built for CUDA 12.5.1 and NVIDIA's driver 550.54.14 is loaded", "TF_CPP_MAX_VLOG_LEVEL=3 python"),
        (replace(NONE, visible="GPU-8f3a", cards=()), "driver 550.54.14", "shows why"),
    ],
)
def test_each_cause_is_one_sentence_with_its_way_out(facts: Gpus, cause: str, way_out: str) -> None:
    sentence = facts.obstacle()
    assert sentence and sentence.startswith("TensorFlow finds no GPU here, ") and sentence.endswith(".")
    assert cause in sentence
    assert way_out in sentence


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\n", "535.129.03"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86  Release Build  (a@b)\n", "570.86"),
        ("NVRM version: none of the usual\n", "of unknown version"),
    ],
)
def test_the_driver_tells_its_version_and_its_cards(tmp_path: Path, line: str, version: str) -> None:
    (tmp_path / "version").write_text(f"{line}GCC version:  gcc version 12.3.0\n")
    for bus, model in (("0000:65:00.0", "NVIDIA L4"), ("0000:01:00.0", "Tesla V100-SXM2-16GB")):
        (tmp_path / "gpus" / bus).mkdir(parents=True)
        (tmp_path / "gpus" / bus / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 24\n")
    facts = gpus(tmp_path)
    assert (facts.driver, facts.cards) == (version, ("Tesla V100-SXM2-16GB", "NVIDIA L4"))


def test_without_a_driver_there_are_no_cards(tmp_path: Path) -> None:
    facts = gpus(tmp_path / "nothing")
    assert (facts.driver, facts.cards) == (None, ())


def test_the_packages_of_cuda_are_those_that_tensorflow_names(tmp_path: Path) -> None:
    """Either they are installed or they are told; nothing else is."""
    absent = gpus(tmp_path).absent
    assert all(name.startswith("nvidia-") for name in absent)
    if "nvidia-cudnn-cu12" not in absent:
        pytest.skip("the packages of CUDA are installed here")
    assert "nvidia-cublas-cu12" in absent
