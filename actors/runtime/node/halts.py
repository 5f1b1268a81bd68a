"""The trading state of a node: what it and its actors raised, and copies of other nodes' entries.

A node publishes what it owns and nothing else, so no entry comes back to where it was lifted.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from actors.events.accounts import TradingState
from actors.events.event import Event
from actors.events.orders import CancelAllVerified
from actors.events.system import HaltTrading, ResumeTrading
from actors.runtime.node.kill import KILL, Kill, KillFile
from actors.runtime.statistics import HaltRecord
from actors.runtime.trading_state import NODE, HaltEntries, is_halted, key_of, lift_of, scope_of

log = logging.getLogger("kaiju")

NO_ROOM = "the disk is full or fails"
"""Begins the reason of every halt that ends by itself."""
OLD_COPY = re.compile(rf"({NODE}\S+): ")
"""How the reason of a copy begins in a journal from before entries had owners and ids."""
OPERATOR = "an operator"
"""Who lifts by hand."""


class Halts:
    """All entries in force; each change is announced to the node's actors.

    Args:
        announce: sends a control event to every actor that handles it.
        kill_file: of the node; None where it has no directory.
        entry: makes an entry, with an id that no other has, of why the node as a whole is halted.
    """

    def __init__(
        self,
        announce: Callable[[Event], None],
        kill_file: KillFile | None = None,
        entry: Callable[[str], HaltTrading] = HaltTrading,
    ) -> None:
        self.entries = HaltEntries()
        self.over = False
        """Whether the loop has ended, so that nobody would hear of a halt."""
        self.on_own_change: Callable[[tuple[HaltTrading, ...]], None] = _tell_nobody
        """Called with `own` whenever it may have changed."""
        self._heard: set[str] = set()
        """Owners of copies, of the nodes that said since the start what they own."""
        self._verified: dict[str, tuple[str, ...]] = {}
        """Gateways at whose venue nothing is open any more that an entry covers, by its key."""
        self._waiting: dict[str, str] = {}
        """Reason of the halt by what waits for a disk: a port's stream or the journal."""
        self._announce, self._kill_file, self._entry = announce, kill_file, entry

    @property
    def own(self) -> tuple[HaltTrading, ...]:
        """What was raised on this node, oldest first."""
        return tuple(entry for entry in self.entries.entries.values() if not _is_copy(entry))

    @property
    def first(self) -> HaltTrading | None:
        """The entry that halts most: all before a part, here before elsewhere; then the oldest."""
        halting = [entry for entry in self.entries.entries.values() if is_halted(entry.level)]
        return min(halting, key=_extent, default=None)

    @property
    def in_part(self) -> bool:
        """Whether instruments or strategies are halted, and everything else trades on."""
        return self.first is not None and is_part(self.first)

    @property
    def reason(self) -> str:
        """Why trading, or a part of it, was halted first; empty while nothing is."""
        return "" if self.first is None else _text(self.first)

    @property
    def lifted_by(self) -> str:
        """What ends that halt; empty while there is none."""
        return "" if self.first is None else lifted_by(self.first)

    def records(self) -> tuple[HaltRecord, ...]:
        """Return what is in force, oldest first."""
        return tuple(
            HaltRecord(
                *(key, entry.owner, entry.level, entry.reason),
                *(entry.venue, entry.account, entry.instrument, entry.strategy),
                entry.since,
                lifted_by(entry),
                self._verified.get(key, ()),
            )
            for key, entry in self.entries.entries.items()
        )

    @property
    def killed(self) -> bool:
        """Whether KILL is in force, here or on a node that this one follows."""
        return any(e.level is TradingState.KILL for e in self.entries.entries.values())

    def kill(self, kill: Kill) -> None:
        """Stop all trading, also that of whoever begins from this directory again."""
        if problem := self.write_kill(kill):
            log.error("KILL is in force until this process ends: %s", problem)
        if not self._killed_here:
            self._raise(self._kill_entry(kill))

    def write_kill(self, kill: Kill) -> str:
        """Write KILL and do nothing else, on any thread; return why it could not be written."""
        try:
            if self._kill_file is not None:
                self._kill_file.write(kill)
        except OSError as error:
            return f"KILL could not be written: {error}"
        return ""

    def keep_killed(self) -> None:
        """Have in force the KILL that the directory holds; to be called before the first input."""
        kill = None if self._kill_file is None else self._kill_file.read()
        if kill is not None and not self._killed_here:
            self._raise(self._kill_entry(kill))

    @property
    def _killed_here(self) -> bool:
        return any(entry.level is TradingState.KILL for entry in self.own)

    def _kill_entry(self, kill: Kill) -> HaltTrading:
        return replace(kill.entry, halt_id=f"{KILL}-{self._entry(kill.reason).halt_id}")

    def halt(self, reason: str) -> None:
        """Stop new orders from now on; cancels still pass.

        The same reason again is no other entry, but cancels again.
        """
        held = (entry for entry in self.own if entry.reason == reason and not entry.owner)
        self._raise(next(held, None) or self._entry(reason))

    def hear(self, actor: str, event: Event) -> None:
        """Take what an actor of this node raises, or lifts of its own, or a gateway verified."""
        if isinstance(event, HaltTrading):
            self._raise(replace(event, owner=actor))
        elif isinstance(event, ResumeTrading):
            resume = replace(event, owner=actor)
            self._announce_lifted(self.entries.lift(resume), event.reason, actor)
        elif isinstance(event, CancelAllVerified):
            self._take_verified(actor, event.halt_id)

    def follow(self, node: str, entries: Iterable[HaltTrading]) -> None:
        """Have in force what another node owns, all of it and nothing else."""
        owner = NODE + node
        self._heard.add(owner)
        copies = {copy.halt_id: copy for copy in (_copy(owner, entry) for entry in entries)}
        for copy in copies.values():
            self._raise(copy)
        held = self.entries.entries
        gone = [held[k] for k in list(held) if _origin(held[k]) == owner and k not in copies]
        self._lift(gone, f"{owner} has resumed", owner)

    def resume(self, reason: str, down: Sequence[str] = (), *, by: str = "", why: str = "") -> str:
        """Lift all that was raised here, unless the disk is full or an actor is down.

        Args:
            reason: why.
            down: actors of the order path that have failed.
            by: the person who lifts it; only a person lifts KILL.
            why: that person's own words.

        Returns:
            Why trading stays halted; empty where it does not.
        """
        refusal = self._refusal(down, by)
        if refusal:
            log.error("trading stays halted: %s", refusal)
            return f"trading stays halted: {refusal}"
        held = list(self.entries.entries.values())
        others = [entry for entry in held if _origin(entry) in self._heard]
        if others:
            refusal = f"until it is resumed there too: {'; '.join(map(_text, others))}"
            log.error("trading stays halted %s", refusal)
            self._lift([e for e in held if e not in others], reason, by or OPERATOR, why)
            self._remove_kill()
            return f"trading stays halted {refusal}"
        self._lift(held, reason, by or OPERATOR, why)
        if not held:
            _log_resumed(reason, by or OPERATOR, (), why)
            self._tell(ResumeTrading(reason, by=by or OPERATOR, why=why))
        self._remove_kill()
        return ""

    def _refusal(self, down: Sequence[str], by: str) -> str:
        if down:
            return f"{', '.join(down)} failed and must be started again"
        if self._waiting:
            return "; ".join(self._waiting.values())
        if self._killed_here and not by:
            return "KILL is in force, lifted by `kaiju resume` alone"
        return ""

    def _remove_kill(self) -> None:
        """Remove the file once the lift is kept: what breaks off in between leaves KILL."""
        if self._kill_file is not None:
            try:
                self._kill_file.remove()
            except OSError:
                log.exception("the file of the KILL that was lifted is still there")

    def wait_for_disk(self, who: str, refusal: OSError | None) -> None:
        """Halt while a disk does not take what `who` has; None says that it does again."""
        waits = who in self._waiting
        if refusal is not None and not waits:
            self._waiting[who] = f"{NO_ROOM}: {refusal}"
            self.halt(self._waiting[who])
        elif refusal is None and waits:
            reason = self._waiting.pop(who)
            if reason not in self._waiting.values():
                full = [entry for entry in self.own if entry.reason == reason]
                self._lift(full, f"the disk takes what {who} has again", "the disk")

    def restore(self, entries: Iterable[HaltTrading]) -> None:
        """Have in force what was in the run before, but not by a disk that was full then."""
        for entry in entries:
            self.entries.take(entry)
        full = [entry for entry in self.own if entry.reason.startswith(NO_ROOM)]
        self._lift(full, "the run began again; the disk was full", "the disk")
        self.on_own_change(self.own)

    def _raise(self, entry: HaltTrading) -> None:
        if self.entries.take(entry):
            what = "trading halted" if is_halted(entry.level) else f"trading is {entry.level}"
            raised = f"; raised by {entry.owner}" if entry.owner and not _is_copy(entry) else ""
            log.error("%s: %s%s; lifted by: %s", what, _text(entry), raised, lifted_by(entry))
            if not _is_copy(entry):
                self.on_own_change(self.own)
        elif entry.owner:
            return  # its own event; a halt of the node as a whole cancels again
        self._tell(entry)

    def _lift(self, entries: list[HaltTrading], reason: str, by: str, why: str = "") -> None:
        for entry in entries:
            del self.entries.entries[key_of(entry)]
        self._announce_lifted(entries, reason, by, why)

    def _announce_lifted(
        self, lifted: list[HaltTrading], reason: str, by: str, why: str = ""
    ) -> None:
        if not lifted:
            return
        if not all(map(_is_copy, lifted)):
            self.on_own_change(self.own)
        _log_resumed(reason, by, lifted, why)
        for entry in lifted:
            self._verified.pop(key_of(entry), None)
            self._tell(lift_of(entry, reason, by, why))

    def _take_verified(self, gateway: str, key: str) -> None:
        entry = self.entries.entries.get(key)
        if entry is not None:
            self._verified[key] = tuple(dict.fromkeys((*self._verified.get(key, ()), gateway)))
            log.warning("verified: %s lists nothing open of: %s", gateway, _text(entry))

    def _tell(self, event: Event) -> None:
        if not self.over:
            self._announce(event)


def _extent(entry: HaltTrading) -> tuple[bool, bool, bool]:
    return is_part(entry), bool(scope_of(entry)), _is_copy(entry)


def is_part(entry: HaltTrading) -> bool:
    """Tell whether an entry is about an instrument or a strategy: everything else trades on."""
    return bool(entry.instrument or entry.strategy)


def _origin(entry: HaltTrading) -> str:
    """Return the owner of a copy, such as ``node core``; empty for what was raised here."""
    if entry.owner.startswith(NODE):
        return entry.owner
    before = not entry.owner and not entry.halt_id and OLD_COPY.match(entry.reason)
    return before[1] if before else ""


def _is_copy(entry: HaltTrading) -> bool:
    return bool(_origin(entry))


def _copy(owner: str, entry: HaltTrading) -> HaltTrading:
    copied = f"{owner}: {key_of(entry)}"
    return replace(entry, halt_id=copied, owner=owner, reason=f"{owner}: {entry.reason}")


def _text(entry: HaltTrading) -> str:
    scope = ", ".join(scope_of(entry).values())
    return f"{entry.reason} ({scope})" if scope else entry.reason


def lifted_by(entry: HaltTrading) -> str:
    """Return what ends an entry of the trading state."""
    if origin := _origin(entry):
        return f"{origin}, where it began"
    if entry.level is TradingState.KILL:
        return "`kaiju resume`, by a person who says why"
    if entry.reason.startswith(NO_ROOM):
        return "the disk, once it takes what waits"
    return f"{OPERATOR} who resumes"


def _log_resumed(reason: str, by: str, lifted: Sequence[HaltTrading], why: str) -> None:
    what = "; ".join(map(_text, lifted)) or "nothing of this node"
    said = f"; why: {why}" if why else ""
    log.warning("trading resumed: %s; by %s; lifted: %s%s", reason, by, what, said)


def _tell_nobody(_entries: tuple[HaltTrading, ...]) -> None:
    """There are no other nodes."""
