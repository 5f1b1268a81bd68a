"""How a loop waits; the runtime itself knows no sockets."""

from __future__ import annotations

import threading
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
        """End the present or the next wait; callable from any thread."""


class EventPoller:
    """A poller without sockets: it only waits to be woken."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def wait(self, deadline: int | None) -> None:
        """See `Poller.wait`."""
        seconds = None if deadline is None else max(0, deadline - time.monotonic_ns()) / 1e9
        self._woken.wait(seconds)
        self._woken.clear()

    def wake(self) -> None:
        """See `Poller.wake`."""
        self._woken.set()
