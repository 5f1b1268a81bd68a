"""The wiring of a node: its actors, their streams, and who reads what."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from actors.events.orders import CancelAllVerified
from actors.events.reference import Currency, Instrument
from actors.events.system import HaltTrading, ResumeTrading, StopActor, StreamLive, StreamStale
from actors.runtime.actor import Actor, Settings
from actors.runtime.context import ActorContext
from actors.runtime.handlers import handler_table, inbox_table
from actors.runtime.loop import Loop
from actors.runtime.node.config import Durability, NodeConfig
from actors.runtime.node.ingress import Ingress
from actors.runtime.node.mirrors import Mirror, RemotePublisher
from actors.runtime.node.supervision import Supervisor
from actors.runtime.recovery.capture import NOT_YET
from actors.runtime.recovery.recovery import Recovery
from actors.runtime.ref import ActorRef
from actors.runtime.stream import Delivery, Input, Stream
from actors.runtime.stream_name import output_of


class Wiring:
    """What a node consists of; `actors.runtime.node.node.Node` brings it to life.

    Actors are added in file order, then connected.

    Args:
        config: of the node.
        loop: that delivers.
        supervisor: of the actors.
        ingress: where other threads reach the actors.
        session: first part of client order ids.
    """

    def __init__(
        self, config: NodeConfig, loop: Loop, supervisor: Supervisor, ingress: Ingress, session: str
    ) -> None:
        self.config, self.loop, self.supervisor = config, loop, supervisor
        self.instruments: Mapping[str, Instrument] = MappingProxyType(
            {i.instrument: i for i in config.instruments}
        )
        self.currencies: Mapping[str, Currency] = MappingProxyType(
            {c.currency: c for c in config.currencies}
        )
        self.streams: dict[str, Stream] = {}
        self.actors = supervisor.actors
        self.mirrors = supervisor.mirrors
        self.durable: dict[str, bool] = {}
        """Durable actors, and whether ports wait for their syncs."""
        self.running = False
        """Whether readers that come now are late."""
        self._ingress, self._session = ingress, session

    def add(
        self,
        name: str,
        actor_class: type[Actor],
        settings: Settings | Mapping[str, Any] | None = None,
        *,
        durable: Durability = "none",
        accepts: frozenset[str] | None = None,
    ) -> Actor:
        """Construct an actor and give it its streams.

        Events of other instruments than `accepts` it leaves to others; None is no restriction.

        Raises:
            ValueError: the name is taken.
            pydantic.ValidationError: the settings do not fit the class.
        """
        if name in self.actors:
            raise ValueError(f"node {self.config.name}: actor {name!r} was added twice")
        if not isinstance(settings, Settings):
            settings = actor_class.Settings.model_validate(dict(settings or {}))
        actor = actor_class.created_by(self._ingress, name, settings)
        actor.session, actor.directory = self._session, self.config.directory
        actor.node_name = self.config.name
        actor.instruments, actor.currencies = self.instruments, self.currencies
        actor.accepts = accepts
        actor.leaves_orders = self.config.leaves_orders
        actor.durable = durable != "none"
        if actor.durable:
            self.durable[name] = durable == "fsync"
        seed = f"{self.config.seed}/{name}"
        actor.context = context = ActorContext(name, actor_class.__name__, self.loop, seed)
        actor.emit = self.loop.outbox.append
        context.streams = {
            output: self._stream(f"{name}.{output}", actor) for output in actor.outputs
        }
        context.routes = {
            event_class: context.streams[output]
            for output, classes in actor.outputs.items()
            for event_class in classes
        }
        for event_class in (HaltTrading, ResumeTrading, CancelAllVerified):
            if (stream := context.routes.get(event_class)) is not None:
                stream.watch(partial(self.supervisor.halts.hear, name))
        inbox = self._stream(f"{name}.inbox", actor)
        handlers = inbox_table(actor)
        handlers[StopActor] = self._stop_actor
        context.inbox = Input(context, inbox, handlers, context.routes)
        inbox.attach(context.inbox)
        self.actors[name] = actor
        self.loop.add(name, context.inbox)
        return actor

    def add_remote(
        self, name: str, actor_class: type[Actor], node: str, *, durable: Durability = "none"
    ) -> None:
        """Make the streams of another node's actor known, so that actors here may read them."""
        publisher = RemotePublisher(name, node, actor_class, durable=durable != "none")
        for output in actor_class.outputs:
            stream = Stream(f"{name}.{output}")
            self.streams[stream.name] = stream
            self.supervisor.owners[stream.name] = publisher
            self.mirrors[stream.name] = Mirror(stream, publisher, self.loop, self._inbox_of)

    def _inbox_of(self, actor: str) -> Input:
        return self.actors[actor].context.inbox

    def connect(self, reader: str, stream: str, delivery: Delivery = "stream") -> Input:
        """Let an actor read a stream: from 1 before the run, later by reset and snapshot.

        On a running node, call it on the loop's thread.

        Raises:
            KeyError: no such actor or stream.
        """
        actor, source = self.actors[reader], self.streams[stream]
        publisher = self.supervisor.owners[stream]
        classes = publisher.outputs[output_of(stream)]
        lane = self.loop.latest if delivery == "latest" else None
        context = actor.context
        cursor = Input(context, source, handler_table(actor, classes), context.routes, lane)
        asked = any(event_class.request for event_class in classes)
        cursor.timed = actor.order_path and (publisher.order_path or asked)
        source.attach(cursor)
        context.inputs = (*context.inputs, cursor)
        actor.heard[stream], actor.roles[stream] = tuple(cursor.handlers), publisher.role
        actor.stale[stream] = NOT_YET
        if self.running:
            self._bring_up_to_date(cursor, publisher)
        return cursor

    def _bring_up_to_date(self, reader: Input, publisher: Actor | RemotePublisher) -> None:
        inbox, name = self.actors[reader.owner.name].context.inbox, reader.source.name
        if name in self.mirrors:
            self.mirrors[name].bring_up_to_date(reader, "new reader")
        elif publisher.actor_stopped.is_set():
            self.loop.post(inbox, StreamStale(name, "publisher stopped"))
        else:
            self.supervisor.reset(reader, "new reader")
            self.loop.post(inbox, StreamLive(name))

    def ref(self, name: str) -> ActorRef:
        """Return the address of an actor, for other threads.

        Raises:
            KeyError: no such actor.
        """
        return self.actors[name].actor_ref  # type: ignore[return-value]

    def _stream(self, name: str, owner: Actor) -> Stream:
        self.streams[name] = stream = Stream(name)
        self.supervisor.owners[name] = owner
        return stream

    def _stop_actor(self, request: StopActor) -> None:
        actor = self.actors[request.actor]
        self.run_stop_hook(actor)
        self.supervisor.close(actor, "actor stopped")
        if actor.order_path:
            self.supervisor.halts.halt(f"{actor.name} of the order path was stopped")

    def bound_streams(self) -> None:
        """Share the budget of tails among all streams, and bound how far readers may lag."""
        share = self.config.tail_bytes // max(1, len(self.streams))
        inboxes = {actor.context.inbox.stream.name for actor in self.actors.values()}
        for stream in self.streams.values():
            stream.budget = share
            if not self.loop.clock.virtual and stream.name not in inboxes:
                stream.lag_bound = self.config.bound

    def place_mirrors(self, recovery: Recovery | None) -> None:
        """Give readers of other nodes' streams their positions, and forget what nobody reads."""
        for name, mirror in list(self.mirrors.items()):
            if mirror.stream.readers:
                mirror.place(recovery)
            else:
                del self.mirrors[name], self.streams[name]

    def renumber(self, actor: Actor, epoch: int) -> None:
        """Let an actor that has no past begin in an epoch of its own."""
        for stream in (actor.context.inbox.stream, *actor.context.streams.values()):
            stream.renumber(epoch, 1)

    def run_stop_hook(self, actor: Actor) -> None:
        """Tell an actor that it stops; what it raises holds up nobody."""
        try:
            actor.on_stop()
        except Exception as error:  # noqa: BLE001 - the others must be stopped all the same
            self.supervisor.trouble(f"{actor.name}.on_stop()", error)

    @property
    def readers(self) -> list[Input]:
        """Everything that the actors read."""
        return [reader for actor in self.actors.values() for reader in actor.context.readers]
