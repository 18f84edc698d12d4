"""What TensorFlow's native code prints at start-up."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Keeps it off stderr, and shows it if the start fails.

    It writes to descriptor 2 whatever it is told; what Python prints meanwhile still comes through.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
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
