"""How an operator controls a running node by signals."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from actors.runtime.node.node import Node

HALT, RESUME = signal.SIGUSR1, signal.SIGUSR2
HALTS = frozenset({HALT, RESUME})
"""Signals that a process of ours blocks until it handles them; what it starts inherits that."""


@contextmanager
def signal_handlers(node: Node) -> Iterator[None]:
    """Let an operator control the node by signals.

    The first SIGINT or SIGTERM stops it in order, a second at once; SIGUSR1 halts trading, and
    SIGUSR2 resumes it. To one node of several, the first SIGINT says that the whole run ends: it
    cancels what is open, and stays up for the others until SIGTERM or a second SIGINT.

    What came while SIGUSR1 and SIGUSR2 were blocked is done now; of both, the halt.
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
        HALT: halt,
        RESUME: resume,
    }
    before = {number: signal.signal(number, handler) for number, handler in meanings.items()}
    if signal.sigpending() >= HALTS:
        signal.sigwait({RESUME})
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, HALTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
