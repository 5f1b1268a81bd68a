"""Time as the node knows it: live, or virtual and moved only when nothing is left to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

FOREVER = 1 << 62
"""A time that no run reaches (the year 2116): when nothing is due."""
NO_LIMIT = FOREVER - 1
"""The latest time that a run may reach where nobody set a limit."""


class Clock(Protocol):
    """UTC nanoseconds for handlers, and how far a node may go without waiting."""

    virtual: bool
    waits: bool
    """Whether real time must pass before a later moment may be taken."""

    def read(self) -> int:
        """Return the time now; never less than before."""

    def move_to(self, moment: int) -> None:
        """Note that the node took an input of `moment`."""

    def go_on_from(self, moment: int) -> None:
        """Begin where a run before ended: time never goes back."""

    def horizon(self) -> int:
        """Return the latest moment whose inputs may be taken now."""

    def due_in(self, moment: int) -> int:
        """Return real nanoseconds until `moment` is within the horizon; 0 when it is."""

    def ahead(self) -> int:
        """Return nanoseconds that it is ahead of the machine's clock as that is now."""


class VirtualClock:
    """Time that jumps to the next input, as fast as possible or at a multiple of real time.

    Args:
        start: UTC nanoseconds at which the run begins.
        speed: virtual seconds in one real second; 0 for as fast as possible.
    """

    virtual = True

    def __init__(self, start: int = 0, speed: float = 0.0) -> None:
        self.waits = bool(speed)
        self._now = start
        self._speed = speed
        self._virtual_origin: int | None = None
        self._real_origin = 0

    def read(self) -> int:
        """See `Clock.read`."""
        return self._now

    def move_to(self, moment: int) -> None:
        """See `Clock.move_to`."""
        self._now = max(self._now, moment)

    def go_on_from(self, moment: int) -> None:
        """See `Clock.go_on_from`."""
        self._now = moment

    def horizon(self) -> int:
        """See `Clock.horizon`; the first call begins the pacing."""
        if not self._speed:
            return FOREVER
        if self._virtual_origin is None:
            self._virtual_origin, self._real_origin = self._now, time.monotonic_ns()
        elapsed = time.monotonic_ns() - self._real_origin
        return self._virtual_origin + int(elapsed * self._speed)

    def due_in(self, moment: int) -> int:
        """See `Clock.due_in`."""
        if not self._speed:
            return 0
        return max(0, int((moment - self.horizon()) / self._speed))

    def ahead(self) -> int:
        """See `Clock.ahead`: virtual time is no clock's."""
        return 0


class LiveClock:
    """The machine's clock, made monotonic: it starts at UTC and then only counts up.

    Time never goes back, so a run that was begun by a wrong clock is ahead of the right one. Its
    clock then goes at half the speed until UTC has caught up.

    Args:
        offset: nanoseconds added to UTC, so that recorded inputs of another day are due now.
    """

    virtual = False
    waits = True

    def __init__(self, offset: int = 0) -> None:
        self._to_utc = time.time_ns() - time.monotonic_ns() + offset
        self._offset = offset
        self._slow_since = self._slow_from = 0
        self.read: Callable[[], int] = self._at_full_speed
        """See `Clock.read`."""

    def move_to(self, moment: int) -> None:
        """See `Clock.move_to`; live time moves by itself."""

    def go_on_from(self, moment: int) -> None:
        """See `Clock.go_on_from`."""
        ahead = moment - self.read()
        if ahead > 0 and self._offset:
            self._to_utc += ahead
        elif ahead > 0:
            self._slow_since, self._slow_from = time.monotonic_ns(), moment
            self.read = self._at_half_speed

    def horizon(self) -> int:
        """See `Clock.horizon`."""
        return self.read()

    def due_in(self, moment: int) -> int:
        """See `Clock.due_in`."""
        return max(0, moment - self.read())

    def ahead(self) -> int:
        """See `Clock.ahead`; recorded inputs of another day are meant to be."""
        return 0 if self._offset else self.read() - time.time_ns()

    def _at_full_speed(self) -> int:
        return time.monotonic_ns() + self._to_utc

    def _at_half_speed(self) -> int:
        now = time.monotonic_ns()
        slow, utc = self._slow_from + (now - self._slow_since) // 2, now + self._to_utc
        if slow > utc:
            return slow
        self.read = self._at_full_speed
        return utc
