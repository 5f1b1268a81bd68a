"""How tests wait: for a condition, as long as a machine may need that is busy with other things."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 120.0
"""Seconds after which what should have happened is taken for never to happen.

Only a test that is going to fail waits so long: that is why there is one, for all, and far beyond
what is needed beside other work.
"""
A_LOOK = 0.01
"""Seconds between two looks."""

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, logs: Callable[[], str] = lambda: "") -> T:
    """Return the first true value of `condition`, looked at again and again.

    Raises:
        AssertionError: it never had one; the error says what was waited for, and what `logs` say.
    """
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"no {what} within {PATIENCE:g} s\n{logs()}"
        time.sleep(A_LOOK)
    return value
