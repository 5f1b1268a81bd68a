"""Messages that feeds could not read: warned of once per kind, and counted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from actors.events.system import MessageDiscarded
from actors.runtime.envelope import Envelope

log = logging.getLogger("kaiju")

SINGLE = ("empty", "unreadable")
"""Reasons that concern a whole file, and so occur once per source."""

Key = tuple[str, str, str]
"""(actor, source, reason)."""


class Discarded(msgspec.Struct, frozen=True):
    """Messages of one source that were discarded for one reason."""

    actor: str
    source: str
    reason: str
    count: int
    first_line: int
    first_detail: str


class DiscardCounter:
    """A port that counts what one actor discarded, and warns of the first of each kind.

    Args:
        actor: its name.
        counts: where to count, together with other actors.
    """

    output = ""

    def __init__(self, actor: str, counts: dict[Key, Discarded]) -> None:
        self._actor = actor
        self._counts = counts

    def resume(self) -> int | None:
        """Return None: nothing is kept outside."""
        return None

    def perform(self, envelopes: Sequence[Envelope]) -> None:
        """Count these events."""
        for envelope in envelopes:
            event: Any = envelope.event
            if isinstance(event, MessageDiscarded):
                self._count(event)

    def close(self) -> None:
        """Do nothing."""

    def _count(self, message: MessageDiscarded) -> None:
        key = (self._actor, message.source, message.reason)
        found = self._counts.get(key)
        if found is None:
            self._counts[key] = Discarded(*key, 1, message.line, message.detail)
            log.warning(
                "%s discarded %s:%d, %s: %s%s",
                self._actor,
                message.source,
                message.line,
                message.reason,
                message.detail,
                "" if message.reason in SINGLE else "; more of the kind are only counted",
            )
        else:
            self._counts[key] = msgspec.structs.replace(found, count=found.count + 1)


def by_reason(discarded: Iterable[Discarded]) -> Mapping[tuple[str, str], int]:
    """Return counts by (actor, reason)."""
    counts: dict[tuple[str, str], int] = {}
    for each in discarded:
        key = (each.actor, each.reason)
        counts[key] = counts.get(key, 0) + each.count
    return counts


def summaries(discarded: Sequence[Discarded]) -> list[str]:
    """Return a sentence for each actor that discarded anything."""
    counts = by_reason(discarded)
    first = {(each.actor, each.reason): each for each in reversed(discarded)}
    said = []
    for actor in dict.fromkeys(each.actor for each in discarded):
        parts = [
            f"{reason} {count:,} (first: {each.source}:{each.first_line} {each.first_detail})"
            for (name, reason), count in counts.items()
            if name == actor
            for each in [first[actor, reason]]
        ]
        total = sum(count for (name, _), count in counts.items() if name == actor)
        messages = "message" if total == 1 else "messages"
        said.append(f"{actor}: {total:,} {messages} discarded: {', '.join(parts)}")
    return said
