"""Which method of an actor handles what, and what the runtime does before it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from actors.events.event import Event
from actors.events.system import ActorStarted, StreamLive, StreamReset, StreamStale, TimerFired
from actors.runtime.accepts import filter_accepted
from actors.runtime.actor import Actor
from actors.runtime.stream import Handler


def handler_table(actor: Actor, classes: Iterable[type[Event]]) -> dict[type[Event], Handler]:
    """Return bound handlers for those of `classes` that an actor handles.

    Events outside of its share, `accepts`, they leave to others.
    """
    table = {}
    for event_class in classes:
        name = actor.handlers.get(event_class) or actor.handlers.get(Event)
        if name is not None:
            handler = getattr(actor, name)
            if actor.accepts is not None:
                handler = filter_accepted(actor.accepts, event_class, handler)
            table[event_class] = handler
    return table


def inbox_table(actor: Actor) -> dict[type[Event], Handler]:
    """Return bound handlers for what may stand in an inbox; the node adds its own."""
    table = handler_table(actor, (c for c in actor.handlers if c is not Event))
    table |= InboxHandlers(actor).table()
    return table


class InboxHandlers:
    """Handles what the runtime says to an actor, and lets the actor's own handler follow."""

    def __init__(self, actor: Actor) -> None:
        self._actor, self._context = actor, actor.context
        self._own = {c: getattr(actor, name) for c, name in actor.handlers.items()}

    def table(self) -> dict[type[Event], Handler]:
        """Return the handlers by event class."""
        found: dict[type[Event], Handler] = {
            ActorStarted: self._on_started,
            StreamStale: self._on_stale,
            StreamLive: self._on_live,
            StreamReset: self._on_reset,
        }
        if TimerFired in self._own:
            found[TimerFired] = self._on_timer
        return found

    def _on_started(self, event: ActorStarted) -> None:
        """Run `on_start`, then the actor's own handler, as one step."""
        self._context.started = True
        self._actor.on_start()
        self._pass_on(event)

    def _on_stale(self, event: StreamStale) -> None:
        self._actor.stale[event.stream] = event.reason
        self._pass_on(event)

    def _on_live(self, event: StreamLive) -> None:
        self._actor.stale.pop(event.stream, None)
        for reader in self._context.inputs:
            if reader.resetting and reader.source.name == event.stream:
                reader.resetting = False
        self._pass_on(event)

    def _on_reset(self, event: StreamReset) -> None:
        """For actors that do not handle resets it is a step as well, which tells positions."""
        self._pass_on(event)

    def _on_timer(self, event: TimerFired) -> Any:
        answer = self._own[TimerFired](event)
        self._context.loop.timers.remove(self._context.name, event.timer_id)
        return answer

    def _pass_on(self, event: Event) -> None:
        if (own := self._own.get(type(event))) is not None:
            own(event)
