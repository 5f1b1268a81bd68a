"""How a loop waits; the runtime itself knows no sockets."""

from __future__ import annotations

import queue
import time
from typing import Protocol


class Poller(Protocol):
    """What a node's loop waits through when it has nothing to do."""

    def wait(self, deadline: int | None) -> None:
        """Return when woken, when outside input is ready or at `deadline`.

        Args:
            deadline: monotonic nanoseconds; None waits until woken.
        """

    def wake(self) -> None:
        """End the present or the next wait; callable from any thread and from signal handlers."""


class EventPoller:
    """A poller without sockets: it only waits to be woken."""

    def __init__(self) -> None:
        # Of all that the standard library waits on, only this one's put may interrupt its own get,
        # which is what a signal handler on the loop's thread does.
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()

    def wait(self, deadline: int | None) -> None:
        """See `Poller.wait`."""
        seconds = None if deadline is None else max(0, deadline - time.monotonic_ns()) / 1e9
        try:
            self._wakes.get(timeout=seconds)
            while True:
                self._wakes.get_nowait()
        except queue.Empty:
            return

    def wake(self) -> None:
        """See `Poller.wake`."""
        self._wakes.put(None)
