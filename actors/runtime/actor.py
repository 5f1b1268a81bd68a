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
from actors.events.role import Role
from actors.runtime.ref import AddressedActor
from actors.runtime.settings import Settings
from actors.runtime.settings import Settings as BaseSettings

if TYPE_CHECKING:
    from actors.events.orders import SubmitOrder
    from actors.runtime.context import ActorContext
    from actors.runtime.envelope import Envelope
    from actors.runtime.ports import EmergencyConnection, Port

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
    role: ClassVar[str] = Role.NONE
    """Its place in the order path, one of `actors.events.role.Role`: bounds what it may emit."""
    orders_are_approved: ClassVar[bool] = False
    """True where the orders that it emits were approved in another system, as those of a venue."""
    order_path: bool = False
    """True where a failure must halt trading and every event is timed."""
    writes_record: ClassVar[bool] = False
    """True where all that the ports write is the run's record, in the run's directory."""
    durable: bool = False
    """Whether what the actor does is kept; set by the node."""
    leaves_orders: bool = False
    """Whether a stop leaves open orders at the venue; set by the node."""

    name: str
    settings: Any
    state: Any
    session: str
    node_name: str
    """Name of the node that it is on, for what is told to others; decide nothing by it."""
    directory: Path | None
    """The run's directory, for ports that keep files; None where the node keeps none."""
    instruments: Mapping[str, Instrument]
    currencies: Mapping[str, Currency]
    accepts: frozenset[str] | None
    """Instruments that are this actor's share; None where it has no rival."""
    heard: dict[str, tuple[type[Event], ...]]
    """Classes that reach a handler, by input stream: all that a handler may know of the wiring."""
    roles: dict[str, str]
    """Role of the actor that emits each input stream."""
    stale: dict[str, str]
    """Input streams that are not current now, with the reason; kept by the runtime."""
    emit: Callable[[Event], None]
    """Add an event to this step; its class must be in `outputs`."""
    context: ActorContext
    """What only the runtime needs."""

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
        self.roles = {}
        self.stale = {}

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

    @classmethod
    def emergency(
        cls,
        settings: Any,  # noqa: ARG003
    ) -> EmergencyConnection | None:
        """Return what cancels everything at the venue once the node's loop stands still.

        It is a connection of its own, made of nothing but the settings: what the actor knows may
        be half changed. None where the class reaches no venue by itself.
        """
        return None

    @property
    def now(self) -> int:
        """UTC nanoseconds at which the node took the input being handled."""
        return self.context.loop.now

    @property
    def virtual_time(self) -> bool:
        """Whether the node's clock jumps from event to event, which nothing outside can follow."""
        return self.context.loop.clock.virtual

    @property
    def rng(self) -> random.Random:
        """Random numbers that are the same in every run of the same seed."""
        return self.context.rng

    @property
    def envelope(self) -> Envelope:
        """Envelope of the input being handled."""
        return self.context.loop.envelope

    def set_timer(self, name: str, delay_ns: int) -> int:
        """Ask for a `TimerFired(name)` after `delay_ns`, and return the timer's id."""
        return self.context.loop.set_timer(self.name, name, delay_ns)

    def cancel_timer(self, timer_id: int) -> None:
        """Forget a timer; one that fired already is ignored."""
        self.context.loop.cancel_timer(self.name, timer_id)

    def snapshot(self, output: str) -> Iterable[Event]:  # noqa: ARG002
        """Return the events that bring a new reader of `output` up to date."""
        return ()

    def busy(self) -> bool:
        """Return True while business outside is open, such as working orders."""
        return False

    def open_orders(self) -> Mapping[str, SubmitOrder]:
        """Return orders that may be open at a venue, by id, where this actor keeps them."""
        return {}

    def left_open(self) -> str:
        """Return what stays open outside now that the run is over; empty for nothing."""
        return ""

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
        """Put aside what this actor keeps outside of journals and no journal has any longer.

        Called before a run goes on after a loss of power. `next_seq` is the number behind the last
        event that is kept, by stream of a durable actor.
        """

    def progress(self) -> tuple[int, int] | None:
        """Return (done, total) of a source whose length is known."""
        return None

    def ports(self) -> Sequence[Port]:
        """Return the doors through which this actor's outputs leave the node."""
        return ()
