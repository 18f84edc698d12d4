"""TensorFlow's start: what has to be set before, and what its native code prints."""

import contextlib
import os
import platform
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Surrounds TensorFlow's first import and its first steps.

    It computes with oneDNN, which it does by itself only where the processor has instructions for networks; on one with
    AVX2 alone that encodes an eighth more images a second (docs/decisions.md). TF_ENABLE_ONEDNN_OPTS=0 says otherwise.

    What it prints is kept off stderr, and shown if the start fails. Its native code writes to descriptor 2 whatever is
    configured; what Python prints meanwhile is shown as always.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if platform.machine() == "x86_64":
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    sys.stderr.flush()
    with os.fdopen(os.dup(2), "w") as stderr, tempfile.TemporaryFile() as held, contextlib.ExitStack() as stack:
        os.dup2(held.fileno(), 2)
        stack.callback(os.dup2, stderr.fileno(), 2)
        if sys.stderr is sys.__stderr__:
            stack.enter_context(contextlib.redirect_stderr(stderr))
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(stderr.fileno(), held.read())
            raise
