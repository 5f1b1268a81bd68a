"""What makes one execution the same as another: its id in its instrument, and what it says."""

from __future__ import annotations

from typing import Final

import msgspec

from actors.events.orders import OrderFilled
from actors.events.venue import ExecutionReport

REMEMBERED: Final = 100_000
DAY: Final = 24 * 3_600 * 1_000_000_000


class ExecutionMemory(msgspec.Struct):
    """Executions of the last 24 hours, or the last 100,000 where those are more.

    A venue repeats a report; it must not use an id for two things. Ids are kept in two halves, so
    that forgetting costs nothing: the older half goes when the newer one is full.
    """

    recent: dict[str, str] = {}
    """What was said, by execution."""
    before: dict[str, str] = {}
    since: int = 0
    """UTC nanoseconds of the first in `recent`."""

    def remember(self, execution: str, content: str, now: int) -> str | None:
        """Return what the execution said when it came first; None if it is new.

        Args:
            execution: its key, as `key_of` gives it.
            content: what it says, as `content_of` gives it.
            now: UTC nanoseconds.
        """
        known = self.recent.get(execution)
        if known is None:
            known = self.before.get(execution)
        if known is not None:
            return known
        if not self.recent:
            self.since = now
        elif len(self.recent) >= REMEMBERED and now - self.since >= DAY:
            self.recent, self.before, self.since = {}, self.recent, now
        self.recent[execution] = content
        return None


def execution_id(execution: ExecutionReport | OrderFilled) -> str:
    """Return the venue's own name of an execution: the id of its trade, where it has one."""
    return f"trade {execution.trade_id}" if execution.trade_id else execution.exec_id


def key_of(execution: ExecutionReport | OrderFilled) -> str:
    """Return what names an execution of ours: ids are unique in one instrument only."""
    return f"{execution.instrument} {execution.account} {execution_id(execution)}"


def content_of(execution: ExecutionReport | OrderFilled) -> str:
    """Return what an execution says, in words: two that say the same are one."""
    said = f"{execution.side.name} {execution.last_qty} at {execution.last_px}"
    return f"{said}, fee {execution.fee} {execution.fee_currency}" if execution.fee else said
