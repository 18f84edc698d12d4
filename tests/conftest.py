"""What tests of every part share."""

import os

# TensorFlow must not speak into the output of the tests' own process.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
