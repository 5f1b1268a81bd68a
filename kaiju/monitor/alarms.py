"""What a venue said and should not have: counted for metrics and alerts, and warned of."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from actors.events.event import Event
from actors.events.orders import ReconciliationFailed, TransitionFailed
from actors.events.system import HaltTrading
from actors.runtime.envelope import Envelope

log = logging.getLogger("kaiju")

ALARMS: Final[dict[type[Event], str]] = {
    TransitionFailed: "transition_failed",
    ReconciliationFailed: "reconciliation_failed",
    HaltTrading: "instrument_halted",
}
"""Kind of alarm by the event that raises it."""


class AlarmCounter:
    """A port that counts alarms about orders by their kind, and warns of each halt.

    Args:
        counts: where to count, together with other streams.
    """

    output = ""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts

    def resume(self) -> int | None:
        """Return None: nothing is kept outside."""
        return None

    def perform(self, envelopes: Sequence[Envelope]) -> None:
        """Count these events."""
        for envelope in envelopes:
            event: Any = envelope.event
            kind = ALARMS.get(type(event))
            if kind is None:
                continue
            self._counts[kind] += 1
            if isinstance(event, HaltTrading):
                log.warning("trading in %s is halted: %s", event.instrument, event.reason)

    def close(self) -> None:
        """Do nothing."""
