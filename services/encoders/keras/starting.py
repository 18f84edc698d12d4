"""The start of TensorFlow: environment variables that it needs, and capturing what its native code prints."""

import contextlib
import os
import platform
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Wraps TensorFlow's first import and first operations.

    It enables oneDNN, which TensorFlow enables by default only on CPUs with instructions for neural networks; with AVX2
    only, oneDNN encodes an eighth more images per second (docs/decisions.md). TF_ENABLE_ONEDNN_OPTS=0 disables it.

    Native code writes to file descriptor 2 whatever is configured, so that output is captured, and printed only if
    the start fails. What Python code writes to stderr meanwhile is printed as usual.
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
