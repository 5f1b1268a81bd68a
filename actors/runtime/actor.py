"""What an actor is: settings, state, outputs and the handlers that alone may change the state."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec

from actors.events.event import Event
from actors.events.reference import Currency, Instrument
from actors.events.system import (
    ActorStarted,
    StreamLive,
    StreamReset,
    StreamStale,
    TimerFired,
)
from actors.runtime.accepts import filter_accepted
from actors.runtime.ref import AddressedActor
from actors.runtime.settings import Settings
from actors.runtime.settings import Settings as BaseSettings

if TYPE_CHECKING:
    from actors.runtime.envelope import Envelope, Position
    from actors.runtime.loop import Loop
    from actors.runtime.ports import Port
    from actors.runtime.snapshot import ActorSnapshot
    from actors.runtime.statistics import ActorStatistics
    from actors.runtime.stream import Input, Stream

__all__ = ["Actor", "Settings", "handles"]

H = TypeVar("H", bound=Callable[..., Any])


def handles(*classes: type[Event]) -> Callable[[H], H]:
    """Mark a method as the handler of these event classes; `Event` itself means every class."""

    def mark(method: H) -> H:
        method.__dict__["handles"] = classes
        return method

    return mark


class Actor(AddressedActor):
    """Private state, and the handlers that alone may change it.

    A subclass declares `Settings`, `State`, `outputs` and handlers. A handler decides from the
    event, `self.state`, `self.settings`, `self.now` and `self.rng` alone: no clock, random
    numbers, input, output, lock or sleep of its own, so that the same inputs always give the same
    outputs. What it emits leaves when it returns; if it raises, nothing leaves.
    """

    class Settings(BaseSettings):
        """What the topology file may tell an actor; nothing by default."""

    class State(msgspec.Struct):
        """All that an actor remembers; must survive MessagePack and start without arguments."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = MappingProxyType({})
    """Event classes by output name; a class belongs to one output."""
    handlers: ClassVar[Mapping[type[Event], str]] = MappingProxyType({})
    """Names of handler methods by event class; made from `@handles`."""
    venue_endpoint: ClassVar[str] = ""
    """Name of the setting that holds the address of a venue in another process; empty for none."""
    orders_are_approved: ClassVar[bool] = False
    """True where the orders that it emits were approved in another system, as those of a venue."""
    order_path: bool = False
    """True where a failure must halt trading and every event is timed."""
    writes_record: ClassVar[bool] = False
    """True where all that the ports write is the run's record, in the run's directory."""
    durable: bool = False
    started: bool = False
    """Whether the actor has handled its `ActorStarted`."""

    name: str
    settings: Any
    state: Any
    session: str
    directory: Path | None
    """The run's directory, for ports that keep files; None where the node keeps none."""
    instruments: Mapping[str, Instrument]
    currencies: Mapping[str, Currency]
    accepts: frozenset[str] | None
    """Instruments that are this actor's share; None where it has no rival."""
    heard: dict[str, tuple[type[Event], ...]]
    """Classes that reach a handler, by input stream: all that a handler may know of the wiring."""
    stale: dict[str, str]
    """Input streams that are not current now, with the reason; kept by the runtime."""
    emit: Callable[[Event], None]
    """Add an event to this step; its class must be in `outputs`."""
    inputs: tuple[Input, ...]
    inbox: Input
    """Timers, commands, sources and what the runtime says."""
    control_input: Input | None
    streams: Mapping[str, Stream]
    routes: Mapping[type[Event], Stream]
    statistics: ActorStatistics

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Build the handler table and refuse outputs that share a class."""
        super().__init_subclass__(**kwargs)
        table = dict(cls.handlers)
        for name, method in vars(cls).items():
            for event_class in getattr(method, "__dict__", {}).get("handles", ()):
                table[event_class] = name
        cls.handlers = MappingProxyType(table)
        seen: dict[type[Event], str] = {}
        for output, classes in cls.outputs.items():
            for event_class in classes:
                if event_class in seen:
                    raise TypeError(
                        f"{cls.__name__}.outputs: {event_class.__name__} was in "
                        f"{seen[event_class]!r} and in {output!r}; a class belongs to one output"
                    )
                seen[event_class] = output

    def __init__(self, name: str, settings: BaseSettings) -> None:
        super().__init__()
        self.name = name
        self.settings = settings
        self.state = self.State()
        self.accepts = None
        self.heard = {}
        self.stale = {}
        self.inputs = ()
        self.control_input = None

    @classmethod
    def check_settings(
        cls,
        settings: Any,  # noqa: ARG003
        instruments: Mapping[str, Instrument],  # noqa: ARG003
    ) -> Iterable[tuple[tuple[str, ...], str]]:
        """Return what is wrong with sound settings once the instruments are known.

        `kaiju check` calls it, so that nothing has to fail at the start of a run.

        Args:
            settings: of the class's own `Settings`.
            instruments: those of the topology that are sound themselves, by id.

        Returns:
            (way to the value, message) of each mistake.
        """
        return ()

    def attach(self, loop: Loop, seed: str) -> None:
        """Give the actor its place in a loop; called by the node."""
        self._loop = loop
        self._seed = seed
        self._rng: random.Random | None = None
        self.emit = loop.outbox.append

    @property
    def now(self) -> int:
        """UTC nanoseconds at which the node took the input being handled."""
        return self._loop.now

    @property
    def virtual_time(self) -> bool:
        """Whether the node's clock jumps from event to event, which nothing outside can follow."""
        return self._loop.clock.virtual

    @property
    def rng(self) -> random.Random:
        """Random numbers that are the same in every run of the same seed."""
        if self._rng is None:
            self._rng = random.Random(self._seed)  # noqa: S311 - reproducible on purpose
        return self._rng

    @property
    def envelope(self) -> Envelope:
        """Envelope of the input being handled."""
        return self._loop.envelope

    def set_timer(self, name: str, delay_ns: int) -> int:
        """Ask for a `TimerFired(name)` after `delay_ns`, and return the timer's id."""
        return self._loop.set_timer(self.name, name, delay_ns)

    def cancel_timer(self, timer_id: int) -> None:
        """Forget a timer; one that fired already is ignored."""
        self._loop.cancel_timer(self.name, timer_id)

    @property
    def readers(self) -> tuple[Input, ...]:
        """Everything that this actor reads."""
        control = () if self.control_input is None else (self.control_input,)
        return (self.inbox, *control, *self.inputs)

    def forget(self) -> None:
        """Become as new: what a restart without a journal does."""
        self.state = self.State()
        self._rng = None
        self._loop.timers.forget(self.name)

    def restore(self, memory: ActorSnapshot) -> None:
        """Know again what `memory` holds.

        Raises:
            msgspec.ValidationError: it is not a memory of this class.
        """
        self.forget()
        self.state = msgspec.msgpack.decode(memory.state, type=self.State)
        if memory.rng is not None:
            version, internal, gauss = memory.rng
            self.rng.setstate((version, tuple(internal), gauss))
        self.stale = dict(memory.stale)
        self.started = memory.started
        self._loop.timer_ids[self.name] = memory.timer_id
        self._loop.timers.restore(self.name, memory.timers)

    @property
    def rng_state(self) -> Any:
        """State of `rng`; None while nothing was drawn."""
        return None if self._rng is None else self._rng.getstate()

    @property
    def last_timer(self) -> int:
        """Id of the last timer that was set; 0 for none."""
        return self._loop.timer_ids.get(self.name, 0)

    def pending_timers(self) -> list[tuple[int, str, int, Position]]:
        """Return (id, name, due, cause) of each timer whose `TimerFired` was not handled."""
        return self._loop.timers.of(self.name)

    def snapshot(self, output: str) -> Iterable[Event]:  # noqa: ARG002
        """Return the events that bring a new reader of `output` up to date."""
        return ()

    def busy(self) -> bool:
        """Return True while business outside is open, such as working orders."""
        return False

    def source(self) -> Iterator[tuple[int, Event]] | None:
        """Return this actor's outside inputs in time order, from where its state left off.

        Each item is (UTC nanoseconds, event); the event enters this actor's own handler.
        """
        return None

    def read_before(self) -> Mapping[str, tuple[int, int]] | None:
        """Return what this actor had read, by what it keeps outside of any journal.

        Only of interest where the actor is not durable: it then goes on from these positions as a
        durable one does from its journal, and is not reset.

        Returns:
            (epoch, sequence number of the next event) by stream; what is not in it was not begun.
            None where the actor keeps nothing.
        """
        return None

    def lost_power(self, next_seq: Mapping[str, int]) -> None:
        """Put aside what this actor keeps outside of any journal and no journal knows any more.

        Called before a run goes on after a loss of power. `next_seq` is the number behind the last
        event that is kept, by stream of a durable actor.
        """

    def progress(self) -> tuple[int, int] | None:
        """Return (done, total) of a source whose length is known."""
        return None

    def ports(self) -> Sequence[Port]:
        """Return the doors through which this actor's outputs leave the node."""
        return ()

    def handler_table(self, classes: Iterable[type[Event]]) -> dict[type[Event], Any]:
        """Return bound handlers for those of `classes` that this actor handles.

        Events outside of its share, `accepts`, they leave to others.
        """
        table = {}
        for event_class in classes:
            name = self.handlers.get(event_class) or self.handlers.get(Event)
            if name is not None:
                handler = getattr(self, name)
                if self.accepts is not None:
                    handler = filter_accepted(self.accepts, event_class, handler)
                table[event_class] = handler
        return table

    def inbox_table(self) -> dict[type[Event], Any]:
        """Return bound handlers for what may stand in the inbox; the node adds its own."""
        table = self.handler_table(c for c in self.handlers if c is not Event)
        table[ActorStarted] = self.note_started
        table[StreamStale] = self.note_stale
        table[StreamLive] = self.note_live
        table[StreamReset] = self.note_reset
        if TimerFired in self.handlers:
            table[TimerFired] = self.note_timer
        return table

    def note_started(self, event: ActorStarted) -> None:
        """Run `on_start`, then the actor's own handler, as one step."""
        self.started = True
        self.on_start()
        if ActorStarted in self.handlers:
            getattr(self, self.handlers[ActorStarted])(event)

    def note_stale(self, event: StreamStale) -> None:
        """Remember that an input is not current, then run the actor's own handler."""
        self.stale[event.stream] = event.reason
        if StreamStale in self.handlers:
            getattr(self, self.handlers[StreamStale])(event)

    def note_reset(self, event: StreamReset) -> None:
        """Run the actor's own handler; for the others too it is a step, which tells positions."""
        if StreamReset in self.handlers:
            getattr(self, self.handlers[StreamReset])(event)

    def note_timer(self, event: TimerFired) -> Any:
        """Run the actor's own handler, then let go of the timer."""
        answer = getattr(self, self.handlers[TimerFired])(event)
        self._loop.timers.remove(self.name, event.timer_id)
        return answer

    def note_live(self, event: StreamLive) -> None:
        """Remember that an input is current, then run the actor's own handler."""
        self.stale.pop(event.stream, None)
        for reader in self.inputs:
            if reader.resetting and reader.source.name == event.stream:
                reader.resetting = False
        if StreamLive in self.handlers:
            getattr(self, self.handlers[StreamLive])(event)
