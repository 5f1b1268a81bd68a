"""What a person wants of a running node: done once, kept in the journal, and seen through."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from actors.events.accounts import PositionUpdated, TradingState
from actors.events.orders import CancelAll, CancelAllVerified, SubmitOrder
from actors.events.system import HaltTrading, OperatorCommand
from actors.runtime.flatten import closing_orders
from actors.runtime.node.kill import OWNER, Kill
from actors.runtime.trading_state import FLATTEN, is_halted, lift_of

if TYPE_CHECKING:
    from actors.runtime.loop import Loop
    from actors.runtime.node.control_log import ControlLog
    from actors.runtime.node.supervision import Supervisor

HALT_FILE: Final = "HALT"
"""A halt that no socket took, in the node's directory: it is taken before the first input."""
LEVELS: Final = {
    "halt": TradingState.HALTED,
    "reduce": TradingState.REDUCING,
    "disable": TradingState.HALTED,
}
"""Commands that raise an entry of the trading state."""
STOPS: Final = ("halt", "cancel-all", "kill")
"""Commands that cannot wait: a loop that does not take them is taken for dead."""
COMMANDS: Final = (*LEVELS, "cancel-all", "kill", "resume", "flatten")
REMEMBERED: Final = 1_000
"""Command ids."""


class CommandAnswer(msgspec.Struct, frozen=True):
    """What became of a command on one node."""

    node: str
    confirmed: bool
    """Whether it has had its effect, at the venue too."""
    refused: str = ""
    """Why it was not done; empty where it was."""
    missing: str = ""
    """What has to happen yet; empty where it is confirmed or refused."""


LONGEST_WAIT: Final = 86_400


class CommandBody(msgspec.Struct, frozen=True):
    """What `POST /command` has in it."""

    command_id: str
    command: str
    arguments: dict[str, str] = {}
    why: str = ""
    wait: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_WAIT)] = 10.0
    """Seconds to wait until the command is confirmed, a day at most."""


class OperatorCommands:
    """Does what operators want, on the loop's thread.

    Args:
        control: where everybody is told, and what is told is kept.
        supervisor: of the actors.
        loop: says what time it is.
    """

    def __init__(self, control: ControlLog, supervisor: Supervisor, loop: Loop) -> None:
        self._control, self._supervisor, self._loop = control, supervisor, loop
        self._taken: dict[str, str] = {}
        """Refusal by id of the command; empty where it was done."""
        self._concerned: dict[str, frozenset[str]] = {}
        """Orders that were open when a cancel-all came, by id of the command."""

    def begin(self, directory: Path | None) -> None:
        """Remember what was taken before, and take what waits in the node's directory."""
        for envelope in self._control.stream.tail:
            if isinstance(envelope.event, OperatorCommand):
                self._taken[envelope.event.command_id] = ""
        if directory is not None and (waiting := read_halt(directory)) is not None:
            self.take(waiting)
            (directory / HALT_FILE).unlink()

    def take(self, command: OperatorCommand) -> str:
        """Do what is wanted, unless it was done before, and return why not; empty if it was.

        What follows is announced before the command itself: what breaks off in between is done
        again when the command is repeated, and nothing of it counts twice.
        """
        known = self._taken.get(command.command_id)
        if known is not None:
            return known
        refusal = self._perform(command)
        self._taken[command.command_id] = refusal
        if not refusal:
            self._control.announce(command)
        if len(self._taken) > REMEMBERED:
            oldest = next(iter(self._taken))
            del self._taken[oldest]
            self._concerned.pop(oldest, None)
        return refusal

    def missing(self, command: OperatorCommand) -> str:
        """Return what has to happen yet before the command has its effect; empty for nothing."""
        if command.command == "resume":
            return self._supervisor.halts.reason
        if command.command == "reduce":
            return ""
        if command.command in ("halt", "kill") and (unverified := self._unverified(command)):
            return f"not verified yet at the venue of {', '.join(unverified)}"
        if command.command == "flatten" and (held := self._not_flat(command)):
            return held
        about, concerned = dict(command.arguments), self._concerned.get(command.command_id)
        left = [
            order_id
            for order_id, order in self._open_orders().items()
            if (concerned is None or order_id in concerned) and _covers(about, order)
        ]
        return f"{len(left)} orders are open: {', '.join(left[:10])}" if left else ""

    def _perform(self, command: OperatorCommand) -> str:
        name, halts = command.command, self._supervisor.halts
        reason = f"{command.who}: {command.why}" if command.why else f"{command.who} asked for it"
        about = dict(command.arguments)
        if name in LEVELS:
            strategy = about.get("strategy", "")
            if strategy and not self._knows(strategy):
                return f"there is no actor {strategy!r} here"
            halts.hear(
                OWNER,
                HaltTrading(
                    reason,
                    f"{OWNER}-{command.command_id}",
                    level=LEVELS[name],
                    strategy=strategy,
                    since=self._loop.now,
                    by=command.who,
                ),
            )
        elif name == "kill":
            halts.kill(Kill(reason, by=command.who, since=self._loop.now))
        elif name == "cancel-all":
            self._concerned[command.command_id] = frozenset(self._open_orders())
            self._control.announce(CancelAll(reason))
        elif name == "flatten":
            return self._flatten(command, reason)
        elif name == "resume":
            refusal = self._supervisor.resume(reason, by=command.who, why=command.why)
            return refusal if halts.own else ""  # what others own, they are told to lift as well
        else:
            return f"there is no command {name!r}; there are {', '.join(COMMANDS)}"
        return ""

    def _flatten(self, command: OperatorCommand, reason: str) -> str:
        """Let orders pass that reduce, whatever an operator halted, and keep strategies out."""
        halts = self._supervisor.halts
        entries = list(halts.entries.entries.values())
        halting = [entry for entry in entries if is_halted(entry.level)]
        others = [e for e in halting if e.owner != OWNER or e.level is TradingState.KILL]
        if others:
            return f"trading is halted, and only a resume lifts that: {others[0].reason}"
        if not halts.entries.flattening:
            entry_id, since = f"{FLATTEN}-{command.command_id}", self._loop.now
            level = TradingState.REDUCING
            halts.hear(
                OWNER, HaltTrading(reason, entry_id, level=level, since=since, by=command.who)
            )
        for entry in halting:
            halts.hear(OWNER, lift_of(entry, reason, command.who, command.why))
        return ""

    def _not_flat(self, command: OperatorCommand) -> str:
        """Return which of the positions to be closed are left; only fills make them smaller."""
        wanted = {(strategy, name) for strategy, name, *_ in closing_orders(command)}
        held = [
            f"{event.strategy} holds {event.qty} units of {event.instrument}"
            for actor in self._supervisor.actors.values()
            for output, classes in actor.outputs.items()
            if PositionUpdated in classes
            for event in actor.snapshot(output)
            if isinstance(event, PositionUpdated)
            and event.qty
            and (event.strategy, event.instrument) in wanted
        ]
        return "; ".join(held)

    def _unverified(self, command: OperatorCommand) -> list[str]:
        """Return the gateways of this node whose venue may still list something open."""
        halts, entry_id = self._supervisor.halts, f"{OWNER}-{command.command_id}"
        verified = next(
            (
                record.verified_by
                for record in halts.records()
                if record.halt_id == entry_id
                or (command.command == "kill" and record.level is TradingState.KILL)
            ),
            None,
        )
        actors = self._supervisor.actors.items()
        gateways = [name for name, a in actors if CancelAllVerified in a.context.routes]
        return [] if verified is None else [name for name in gateways if name not in verified]

    def _knows(self, strategy: str) -> bool:
        remote = (mirror.publisher.name for mirror in self._supervisor.mirrors.values())
        return strategy in self._supervisor.actors or strategy in remote

    def _open_orders(self) -> Mapping[str, SubmitOrder]:
        found = dict[str, SubmitOrder]()
        for actor in self._supervisor.actors.values():
            found |= actor.open_orders()
        return found


def write_halt(directory: Path, command: OperatorCommand) -> None:
    """Leave a halt for a node that does not answer.

    Raises:
        OSError: it cannot be written.
    """
    draft = directory / f"{HALT_FILE}.{command.command_id}"
    draft.write_bytes(msgspec.json.encode(command) + b"\n")
    draft.replace(directory / HALT_FILE)


def read_halt(directory: Path) -> OperatorCommand | None:
    """Return the halt that waits in a node's directory; one that is damaged halts as well."""
    try:
        return msgspec.json.decode((directory / HALT_FILE).read_bytes(), type=OperatorCommand)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        path = directory / HALT_FILE
        return OperatorCommand(f"{path} {error}", "halt", (), "a damaged file", f"{path}: {error}")


def _covers(about: Mapping[str, str], order: SubmitOrder) -> bool:
    return about.get("strategy", "") in ("", order.strategy)
