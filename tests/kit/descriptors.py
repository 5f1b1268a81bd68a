"""A process that has no descriptor left, as a flood of connections leaves it."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

A_MOMENT = 0.001
"""Seconds after which whatever was closed meanwhile is taken."""


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Let nothing in this process be opened for a while; what is open goes on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open(os.devnull, os.O_RDONLY)
    taken = [os.dup(probe) for _ in range(64)]  # the limit must not be below what polls wait on
    full, over = Event(), Event()

    def take() -> None:
        while not over.wait(A_MOMENT):
            with suppress(OSError):
                while True:
                    taken.append(os.dup(probe))
            full.set()

    resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 1, hard))
    greedy = Thread(target=take, daemon=True)
    greedy.start()
    full.wait()
    try:
        yield
    finally:
        over.set()
        greedy.join()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in (probe, *taken):
            os.close(descriptor)
