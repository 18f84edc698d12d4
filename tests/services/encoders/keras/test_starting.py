"""TensorFlow is started with oneDNN, unless whoever starts us says otherwise."""

import os
import platform
import subprocess
import sys

import pytest

CODE = """
from services.encoders.keras.gpus import gpus
gpus()
from tensorflow.python.util import _pywrap_util_port
print(_pywrap_util_port.IsMklEnabled())
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="elsewhere TensorFlow decides by itself")
@pytest.mark.parametrize(("told", "used"), [(None, "True"), ("0", "False")])
def test_it_computes_by_onednn_on_any_x86_unless_told_otherwise(told: str | None, used: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    if told is not None:
        environment["TF_ENABLE_ONEDNN_OPTS"] = told
    ran = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [used]
