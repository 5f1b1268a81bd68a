"""How an operator controls a running node by signals."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from actors.runtime.node.node import Node


@contextmanager
def signal_handlers(node: Node) -> Iterator[None]:
    """Let an operator control the node by signals.

    The first SIGINT or SIGTERM stops it in order, a second at once; SIGUSR1 halts trading, and
    SIGUSR2 resumes it. To one node of several, the first SIGINT says that the whole run ends: it
    cancels what is open, and stays up for the others until SIGTERM or a second SIGINT.
    """
    asked = interrupted = False

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal asked, interrupted
        name = signal.Signals(number).name
        if number == signal.SIGINT and node.links is not None and not interrupted:
            interrupted = True  # the node may have begun to end by itself: still the first
            node.request_end(name)
            return
        if asked:
            raise KeyboardInterrupt
        asked = True
        node.request_stop(name)

    def halt(_number: int, _frame: FrameType | None) -> None:
        node.halt("an operator asked for it (SIGUSR1)")

    def resume(_number: int, _frame: FrameType | None) -> None:
        node.resume("an operator asked for it (SIGUSR2)")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    meanings = {
        signal.SIGINT: stop,
        signal.SIGTERM: stop,
        signal.SIGUSR1: halt,
        signal.SIGUSR2: resume,
    }
    before = {number: signal.signal(number, handler) for number, handler in meanings.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
