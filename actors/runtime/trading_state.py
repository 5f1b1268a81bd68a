"""The trading state: entries by id, each with an owner, a level and a scope.

What is in force at a place is the strictest of the entries that cover it. The fold is pure: whoever
keeps one in its state and hears the same events has the same trading state.

A halt is heard at once. What lifts it comes behind all that was approved before, where a stream of
approved orders says so (`HaltLifted`), so that none of that is let through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from actors.events.accounts import TradingState
from actors.events.event import Event
from actors.events.reference import venue_of
from actors.events.system import HaltLifted, HaltTrading, ResumeTrading
from actors.runtime.statistics import HaltRecord

SCOPE = ("venue", "account", "instrument", "strategy")
"""Fields of an entry that say what it is about."""
NODE = "node "
"""Begins the owner of a copy, and its id: no actor has a name with a space."""
FLATTEN = "operator-flatten"
"""Begins the id of the entry under which an operator closes all positions."""
SEVERITY = {level: number for number, level in enumerate(TradingState)}


class HaltEntries(msgspec.Struct):
    """Entries that are in force."""

    entries: dict[str, HaltTrading] = {}
    """By `key_of`, oldest first."""
    raised: int = 0
    """How many the actor that keeps them has raised itself."""
    leaving: dict[str, bool] = {}
    """Keys of entries of which `ResumeTrading` was heard and `HaltLifted` was not."""
    lifts: dict[str, tuple[str, ...]] = {}
    """Streams on which a lift came, where others that say it have yet to, by `halt_id`."""
    renewed: dict[str, int] = {}
    """Lifts still on their way that are of an earlier entry of the same key, and lift no more."""

    def begin(self, halt: HaltTrading, session: str) -> HaltTrading:
        """Take an entry of the actor's own, and return it with an id of its own."""
        self.raised += 1
        entry = msgspec.structs.replace(halt, halt_id=f"{halt.owner}-{session}-{self.raised}")
        self.take(entry)
        return entry

    @property
    def flattening(self) -> bool:
        """Whether an operator closes all positions, and strategies are to stay out of it."""
        return any(key.startswith(FLATTEN) for key in self.entries)

    def take(self, halt: HaltTrading) -> bool:
        """Keep an entry; return whether it is new."""
        key = key_of(halt)
        new = key not in self.entries
        self.entries.setdefault(key, halt)
        if self.leaving.pop(key, False):
            self.renewed[key] = self.renewed.get(key, 0) + 1
        return new

    def lift(self, resume: ResumeTrading) -> list[HaltTrading]:
        """Forget the entry that is named, and return what was lifted.

        Where none is named, it is all that the owner raised within the scope; without an owner, a
        person lifts, whoever raised it.
        """
        lifted = [halt for key, halt in self.entries.items() if _lifts(resume, key, halt)]
        return self._forget(lifted)

    def expect_lift(self, resume: ResumeTrading, streams: Sequence[str]) -> list[HaltTrading]:
        """Note what is lifted, and forget what no `HaltLifted` will name; return that.

        Args:
            resume: what was announced.
            streams: those that say `HaltLifted`; where there are none, everything is forgotten.
        """
        if not streams:
            return self.lift(resume)
        found = [halt for key, halt in self.entries.items() if _lifts(resume, key, halt)]
        self.leaving.update((halt.halt_id, True) for halt in found if halt.halt_id)
        return self._forget([halt for halt in found if not halt.halt_id])

    def take_lift(self, lift: HaltLifted, node: str, stream: str, streams: Sequence[str]) -> bool:
        """Forget what a lift names once it came on every stream; return whether it has.

        Args:
            lift: what came.
            node: the one of the actor that keeps the entries.
            stream: on which it came.
            streams: all that say `HaltLifted`.
        """
        seen = (*self.lifts.pop(lift.halt_id, ()), stream)
        if any(each not in seen for each in streams):
            self.lifts[lift.halt_id] = seen
            return False
        if lift.halt_id:
            named = self.entries.get(lift.halt_id.removeprefix(f"{NODE}{node}: "))
            if named is not None and not self._is_outdated(key_of(named)):
                self._forget([named])
        else:
            self._forget([halt for key, halt in self.entries.items() if key in self.leaving])
            self.renewed.clear()
        return True

    def strictest(
        self, *, venue: str = "", account: str = "", instrument: str = "", strategy: str = ""
    ) -> tuple[TradingState, HaltTrading | None]:
        """Return what is in force at a place, and the oldest entry that makes it so.

        An empty name is for all of its kind: there, only entries count that are about all. The
        venue is that of the instrument, where it is not named.
        """
        if not self.entries:
            return TradingState.ACTIVE, None
        venue = venue or venue_of(instrument)
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
        if not self.entries:
            return ""
        level, halt = self.strictest(
            venue=venue, account=account, instrument=instrument, strategy=strategy
        )
        return halt.reason if halt is not None and is_halted(level) else ""

    def is_lifting(self, *, instrument: str, strategy: str) -> bool:
        """Tell whether all that halts a place is about to be lifted."""
        return (
            not self.flattening
            and bool(self.leaving)
            and all(
                key in self.leaving
                for key, halt in self.entries.items()
                if is_halted(halt.level)
                and covers(halt, venue_of(instrument), "", instrument, strategy)
            )
        )

    def _is_outdated(self, key: str) -> bool:
        """Tell whether a lift is of an earlier entry, and count it."""
        outdated = self.renewed.pop(key, 0)
        if outdated > 1:
            self.renewed[key] = outdated - 1
        return outdated > 0

    def _forget(self, lifted: list[HaltTrading]) -> list[HaltTrading]:
        for halt in lifted:
            del self.entries[key_of(halt)]
            self.leaving.pop(key_of(halt), None)
        return lifted


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


def name_of(about: HaltTrading | ResumeTrading, node: str) -> str:
    """Return what names an entry everywhere: its id, and the node on which it began.

    Args:
        about: an entry as a node has it, its own or a copy.
        node: that node.
    """
    is_copy = about.owner.startswith(NODE) or not about.halt_id
    return about.halt_id if is_copy else f"{NODE}{node}: {about.halt_id}"


def lift_streams(heard: Mapping[str, Sequence[type[Event]]]) -> list[str]:
    """Return the input streams of an actor that say `HaltLifted`."""
    return [stream for stream, classes in heard.items() if HaltLifted in classes]


def lifts_of(resume: ResumeTrading, lifted: Sequence[HaltTrading], node: str) -> list[HaltLifted]:
    """Return what is said behind all that was approved, of what was lifted.

    A halt without an id is lifted everywhere by what is announced; so were all in versions before.
    """
    names = [name_of(halt, node) for halt in lifted if halt.halt_id]
    if not names and resume.by:
        names = [name_of(resume, node)]
    return [HaltLifted(name, resume.reason, resume.by, resume.why) for name in names]


def scope_of(about: HaltTrading | ResumeTrading | HaltRecord) -> dict[str, str]:
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


def lift_of(halt: HaltTrading, reason: str, by: str = "", why: str = "") -> ResumeTrading:
    """Return what lifts an entry and no other."""
    about = (halt.owner, halt.level, halt.venue, halt.account, halt.instrument, halt.strategy)
    return ResumeTrading(reason, key_of(halt), *about, halt.since, by, why)


def _lifts(resume: ResumeTrading, key: str, halt: HaltTrading) -> bool:
    if resume.owner not in ("", halt.owner):
        return False
    if resume.halt_id:
        return resume.halt_id == key
    return all(getattr(halt, name) == value for name, value in scope_of(resume).items())
