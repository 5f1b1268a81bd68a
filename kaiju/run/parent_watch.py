"""A node that ends with its parent, even where that was killed and could not tell it.

The parent holds the other end of the node's standard input and writes nothing there. The end of
that input is the parent's death, however it died, and no later process with its number can be
mistaken for it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from actors.runtime.errors import ExitCode

PATIENCE = 10.0
"""Seconds within which a node stops in order once its parent is gone; then it exits at once."""


def end_with_parent() -> None:
    """Let this process stop in order when its standard input ends."""
    threading.Thread(target=_await_the_end, name="parent", daemon=True).start()


def _await_the_end() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(ExitCode.FAILED)  # nobody is there to read it
