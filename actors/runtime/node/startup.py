"""The first inputs of a run: actors hear that they start or resume, and what is current."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.events.system import ActorRecovered, ActorStarted, StreamLive, StreamStale
from actors.runtime.actor import Actor

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from actors.runtime.loop import Loop
    from actors.runtime.node.supervision import Supervisor
    from actors.runtime.recovery.recovery import Recovery
    from actors.runtime.stream import Input


class Startup:
    """Posts the first inputs of all actors of a node.

    Args:
        actors: by name, in file order.
        loop: of the node.
        supervisor: resets readers.
        remote: streams of other nodes; whether they are current, their links say.
        time_passed: whether actors that go on are told that the outside may have changed: on a
            live node it went on meanwhile, in virtual time nothing happened.
    """

    def __init__(
        self,
        actors: Mapping[str, Actor],
        loop: Loop,
        supervisor: Supervisor,
        *,
        remote: Container[str],
        time_passed: bool,
    ) -> None:
        self._actors, self._loop, self._supervisor = actors, loop, supervisor
        self._remote, self._time_passed = remote, time_passed

    def begin(self) -> None:
        """Begin a first run."""
        for actor in self._actors.values():
            self._post_start(actor)
        # Behind all starts: an input is current once its publisher has begun.
        for actor in self._actors.values():
            for stream in actor.stale:
                if stream not in self._remote:
                    self._post_live(actor.name, stream)

    def resume(self, recovery: Recovery) -> None:
        """Resume where the last run ended, with all inputs in the order that they would have had.

        What is left of the start comes first, then what was emitted and not handled. Readers
        without a position, and those of actors that start empty, are brought up to date.
        """
        for actor in self._actors.values():
            started = actor.context.started or not _hears_start(actor)
            if actor.name not in recovery.actors or not started:
                self._post_start(actor)
            elif self._time_passed and ActorRecovered in actor.handlers:
                self._loop.post(actor.context.inbox, ActorRecovered(actor.name))
        late = [*recovery.readers_without_position, *self._readers_of_new(recovery)]
        resets = {(reader.owner.name, reader.source.name) for reader in late}
        abroad = [
            reader
            for actor in self._actors.values()
            for reader in actor.context.inputs
            if reader.source.name in self._remote
        ]
        for reader in (*late, *abroad):
            self._post_stale(reader)
        for actor in self._actors.values():
            actor.stale = {s: why for s, why in actor.stale.items() if s in actor.heard}
            for stream in actor.stale:
                if (actor.name, stream) not in resets and stream not in self._remote:
                    self._post_live(actor.name, stream)
        recovery.deliver()
        for reader in late:
            self._supervisor.reset(reader, "node restarted")
            self._post_live(reader.owner.name, reader.source.name)

    def _readers_of_new(self, recovery: Recovery) -> list[Input]:
        """Return what durable actors read of actors that start empty."""
        return [
            reader
            for actor in recovery.actors.values()
            for reader in actor.context.inputs
            if reader.source.name not in self._remote
            and self._supervisor.owners[reader.source.name].name not in recovery.actors
        ]

    def _post_start(self, actor: Actor) -> None:
        if _hears_start(actor):
            self._loop.post(actor.context.inbox, ActorStarted(actor.name))

    def _post_stale(self, reader: Input) -> None:
        """Say that what a reader has of a stream is old, unless it knows."""
        actor, stream = self._actors[reader.owner.name], reader.source.name
        if stream not in actor.stale:
            self._loop.post(actor.context.inbox, StreamStale(stream, "node restarted"))

    def _post_live(self, actor: str, stream: str) -> None:
        self._loop.post(self._actors[actor].context.inbox, StreamLive(stream))


def _hears_start(actor: Actor) -> bool:
    return type(actor).on_start is not Actor.on_start or ActorStarted in actor.handlers
