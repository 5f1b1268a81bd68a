"""The machine's clock as a node keeps it: it never goes back, and it comes back."""

from __future__ import annotations

from actors.events.durations import MILLISECOND, SECOND
from actors.runtime.clock import LiveClock
from tests.kit.waiting import until

DAY = 86_400 * SECOND


def test_a_clock_that_is_ahead_goes_at_half_the_speed_until_it_is_the_machines_again() -> None:
    clock = LiveClock()
    began = clock.read()
    clock.go_on_from(began + 100 * MILLISECOND)
    seen = [clock.read()]

    def is_back() -> bool:
        seen.append(clock.read())
        return abs(clock.ahead()) < MILLISECOND

    until(is_back, "the clock")
    assert seen[0] >= began + 100 * MILLISECOND
    assert seen == sorted(seen)
    assert seen[-1] - began >= 190 * MILLISECOND


def test_how_far_a_clock_is_ahead_is_known() -> None:
    clock = LiveClock()
    clock.go_on_from(clock.read() + 10 * DAY)
    assert 0 < 10 * DAY - clock.ahead() < SECOND


def test_recorded_inputs_of_another_day_are_not_ahead() -> None:
    clock = LiveClock(10 * DAY)
    assert clock.ahead() == 0
    moment = clock.read() + DAY
    clock.go_on_from(moment)
    assert clock.read() >= moment
    assert clock.ahead() == 0
