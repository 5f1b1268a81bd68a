"""The trading state: entries by id, each with an owner, a level and a scope.

What is in force at a place is the strictest of the entries that cover it. The fold is pure: whoever
keeps one in its state and hears the same events has the same trading state.
"""

from __future__ import annotations

import msgspec

from actors.events.accounts import TradingState
from actors.events.system import HaltTrading, ResumeTrading

SCOPE = ("venue", "account", "instrument", "strategy")
"""Fields of an entry that say what it is about."""
SEVERITY = {level: number for number, level in enumerate(TradingState)}


class HaltEntries(msgspec.Struct):
    """Entries that are in force."""

    entries: dict[str, HaltTrading] = {}
    """By `key_of`, oldest first."""
    raised: int = 0
    """How many the actor that keeps them has raised itself."""

    def begin(self, halt: HaltTrading, session: str) -> HaltTrading:
        """Take an entry of the actor's own, and return it with an id of its own."""
        self.raised += 1
        entry = msgspec.structs.replace(halt, halt_id=f"{halt.owner}-{session}-{self.raised}")
        self.take(entry)
        return entry

    def take(self, halt: HaltTrading) -> bool:
        """Keep an entry; return whether it is new."""
        key = key_of(halt)
        new = key not in self.entries
        self.entries.setdefault(key, halt)
        return new

    def lift(self, resume: ResumeTrading) -> list[HaltTrading]:
        """Forget the entry that is named, and return what was lifted.

        Where none is named, it is all that the owner raised within the scope; without an owner, a
        person lifts, whoever raised it.
        """
        lifted = [halt for key, halt in self.entries.items() if _lifts(resume, key, halt)]
        for halt in lifted:
            del self.entries[key_of(halt)]
        return lifted

    def strictest(
        self, *, venue: str = "", account: str = "", instrument: str = "", strategy: str = ""
    ) -> tuple[TradingState, HaltTrading | None]:
        """Return what is in force at a place, and the oldest entry that makes it so.

        An empty name is for all of its kind: there, only entries count that are about all.
        """
        level, found = TradingState.ACTIVE, None
        for halt in self.entries.values():
            if covers(halt, venue, account, instrument, strategy) and (
                found is None or SEVERITY[halt.level] > SEVERITY[level]
            ):
                level, found = halt.level, halt
        return level, found

    def reason(
        self, *, venue: str = "", account: str = "", instrument: str = "", strategy: str = ""
    ) -> str:
        """Return why nothing new is sent at a place; empty where something may be."""
        level, halt = self.strictest(
            venue=venue, account=account, instrument=instrument, strategy=strategy
        )
        return halt.reason if halt is not None and is_halted(level) else ""


def severity(level: TradingState) -> int:
    """Return how strict a level is; the mildest is 0."""
    return SEVERITY[level]


def is_halted(level: TradingState) -> bool:
    """Tell whether no new order passes."""
    return SEVERITY[level] >= SEVERITY[TradingState.HALTED]


def key_of(halt: HaltTrading) -> str:
    """Return what tells an entry from all others: its id, or what it says where it has none."""
    about = {"owner": halt.owner, **scope_of(halt)}
    return halt.halt_id or " ".join(
        (halt.reason, *(f"{name}={value}" for name, value in about.items() if value))
    )


def scope_of(about: HaltTrading | ResumeTrading) -> dict[str, str]:
    """Return venue, account, instrument and strategy, where they are named."""
    return {name: value for name in SCOPE if (value := getattr(about, name))}


def covers(halt: HaltTrading, venue: str, account: str, instrument: str, strategy: str) -> bool:
    """Tell whether an entry is about a place."""
    return (
        halt.venue in ("", venue)
        and halt.account in ("", account)
        and halt.instrument in ("", instrument)
        and halt.strategy in ("", strategy)
    )


def lift_of(halt: HaltTrading, reason: str, by: str = "") -> ResumeTrading:
    """Return what lifts an entry and no other."""
    about = (halt.owner, halt.level, halt.venue, halt.account, halt.instrument, halt.strategy)
    return ResumeTrading(reason, key_of(halt), *about, halt.since, by)


def _lifts(resume: ResumeTrading, key: str, halt: HaltTrading) -> bool:
    if resume.owner not in ("", halt.owner):
        return False
    if resume.halt_id:
        return resume.halt_id == key
    return all(getattr(halt, name) == value for name, value in scope_of(resume).items())
