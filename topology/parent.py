"""A child that does not outlive its parent, however that ends."""

from __future__ import annotations

import os
import threading

STANDARD_INPUT = 0
ORPHANED = 5
"""Exit code of a process whose parent is gone; what it did is in its journals."""


def end_with_parent() -> None:
    """End this process as soon as its standard input ends, which the parent holds."""

    def watch() -> None:
        # Not through `sys.stdin`, whose lock a thread must not hold when Python ends.
        while os.read(STANDARD_INPUT, 4096):
            pass
        os._exit(ORPHANED)

    threading.Thread(target=watch, name="parent", daemon=True).start()
