"""The system's own facts: connections, streams, timers, life cycle, damage."""

from __future__ import annotations

from actors.events.accounts import TradingState
from actors.events.event import Event
from actors.events.role import Role


class RawMessage(Event):
    """One message of a venue as it was received, before anything was understood of it."""

    source: str
    """Where it came from, such as a file's name."""
    line: int
    """Its number in the source, from 1."""
    payload: bytes
    received: int = 0
    """UTC nanoseconds at the recorder or the socket."""


class TimerFired(Event):
    """A timer that this actor set came due."""

    name: str
    timer_id: int
    due: int


class StreamReset(Event):
    """Forget what came from `stream`; its snapshot follows, then events from `resume_seq` on."""

    stream: str
    epoch: int
    resume_seq: int
    reason: str


class StreamLive(Event):
    """A stream that this actor reads is connected and current."""

    stream: str


class StreamStale(Event):
    """A stream that this actor reads has stopped being current; do not act on it."""

    stream: str
    reason: str


class ConnectionEstablished(Event):
    """A gateway's or feed's connection to its venue is up for the first time."""

    key = ("connection",)

    connection: str


class ConnectionLost(Event):
    """A connection to a venue is down."""

    key = ("connection",)

    connection: str
    reason: str
    final: bool = False
    """Whether nobody tries to connect again, because it would be pointless."""


class ConnectionRestored(Event):
    """A connection to a venue is back after having been lost."""

    key = ("connection",)

    connection: str


class MessageDiscarded(Event):
    """A message that could not be understood; counted by `reason`, and the run goes on."""

    source: str
    line: int
    reason: str
    detail: str
    instrument: str = ""


class HaltTrading(Event):
    """Control: no new orders from now on; cancels pass.

    It is one entry of the trading state; what is in force is the strictest of all entries.
    """

    reason: str
    halt_id: str = ""
    """The entry, ``<owner>-<incarnation>-<n>``; empty for a halt of the node as a whole."""
    owner: str = ""
    """Who raised it, such as an actor or ``operator``: nobody else lifts it, but a person."""
    level: TradingState = TradingState.HALTED
    venue: str = ""
    """What it is about: the four together, each empty for all."""
    account: str = ""
    instrument: str = ""
    strategy: str = ""
    since: int = 0
    """When it was raised, UTC nanoseconds; 0 where the envelope says it."""
    by: str = ""
    """The person whose command it was; empty where it was none."""


class ResumeTrading(Event):
    """Control: an operator lifts a halt, or its owner does.

    Beside `reason`, `by` and `why` it repeats what the entry said that is lifted.
    """

    reason: str
    halt_id: str = ""
    """The entry that is lifted; empty for a halt of the node as a whole."""
    owner: str = ""
    """Who raised it, such as an actor or ``operator``: nobody else lifts it, but a person."""
    level: TradingState = TradingState.HALTED
    venue: str = ""
    """What it is about: the four together, each empty for all."""
    account: str = ""
    instrument: str = ""
    strategy: str = ""
    since: int = 0
    """When it was raised, UTC nanoseconds; 0 where the envelope says it."""
    by: str = ""
    """Who lifts it."""
    why: str = ""
    """That person's own words."""


class HaltLifted(Event):
    """A halt is over for what comes behind this in its stream; what was approved before is refused.

    Risk says it in the stream of its decisions, order management passes it on in that of its
    requests: so it never overtakes an order, as `ResumeTrading` does.
    """

    emitted_by = (Role.APPROVER, Role.OMS)

    halt_id: str
    """Its id, behind ``node NAME: `` of where it began; empty for all of which `ResumeTrading` was
    heard."""
    reason: str
    by: str = ""
    """Who lifts it."""
    why: str = ""
    """That person's own words."""


class OperatorCommand(Event):
    """A person wants something of the running system; who repeats its id wants it once."""

    command_id: str
    command: str
    """As the command line names it, such as ``halt`` or ``cancel-all``."""
    arguments: tuple[tuple[str, str], ...]
    """(name, value) of each."""
    who: str
    """By the socket's word, not by its own."""
    why: str


class StopRequested(Event):
    """Control: the run is ending; sources pause and execution cancels what is open."""

    reason: str
    leaves: bool = False
    """Whether what is open stays at the venue instead."""


class ActorFailed(Event):
    """Control: an actor's handler raised; `restarted` tells whether it goes on, empty."""

    actor: str
    error: str
    restarted: bool


class Heartbeat(Event):
    """A periodic figure of an actor, for people and monitors; `values` are (name, value)."""

    key = ("actor",)

    actor: str
    values: tuple[tuple[str, int], ...]


class ActorStarted(Event):
    """An actor begins: its first input, or the first after a restart without its state."""

    actor: str


class StopActor(Event):
    """Ask one actor to stop once it has handled what came before."""

    actor: str


class RecordFrame(Event):
    """One recorded event as it goes to a file: its envelope and itself, encoded."""

    body: bytes


class ActorRecovered(Event):
    """An actor goes on from its journal on a live node: time has passed, the outside may differ."""

    actor: str
