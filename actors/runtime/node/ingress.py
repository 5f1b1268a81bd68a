"""Where other threads enter a node: everything is queued, answered or counted, never lost."""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.events.event import Event
from actors.events.system import StopActor
from actors.runtime import codec
from actors.runtime.poller import Poller
from actors.runtime.ref import ActorDeadError, Reply, is_proxy_change, is_stop, proxy_path

if TYPE_CHECKING:
    from actors.runtime.actor import Actor
    from actors.runtime.loop import Loop
    from actors.runtime.node.supervision import Supervisor

READABLE_BY_PROXY = ("state", "settings", "name", "stale")


class Ingress:
    """The one door for foreign threads: they append and wake the loop, and do nothing else."""

    def __init__(self, loop: Loop, poller: Poller, supervisor: Supervisor) -> None:
        self.thread_id: int | None = None
        self._loop = loop
        self._poller = poller
        self._supervisor = supervisor
        self._lock = threading.Lock()
        self._open = True
        self._messages: deque[tuple[Actor, Any, Reply | None]] = deque()
        self._calls: deque[Callable[[], object]] = deque()

    @property
    def waiting(self) -> bool:
        """Whether messages wait to be taken."""
        return bool(self._messages or self._calls)

    def post(self, actor: Actor, message: Any, reply: Reply | None) -> None:
        """See `IngressProtocol.post`."""
        with self._lock:
            admitted = self._open
            if admitted:
                self._messages.append((actor, message, reply))
        if admitted:
            self._poller.wake()
        else:
            self._refuse(actor, message, reply, "node stopped")

    def call(self, action: Callable[[], object]) -> None:
        """Have the runtime's own `action` run on the loop's thread, at the latest when it ends.

        Takes no lock, so that a signal handler may call it.
        """
        self._calls.append(action)
        self._poller.wake()

    def drain(self) -> None:
        """Turn what came since the last turn into inputs; runs on the loop's thread."""
        self.run_calls()
        for _ in range(len(self._messages)):
            self._enter(*self._messages.popleft())

    def close(self) -> None:
        """Shut the door, then refuse what still stands in it: no message slips between."""
        with self._lock:
            self._open = False
        while self._messages:
            self._refuse(*self._messages.popleft(), "node stopped")

    def run_calls(self) -> None:
        """Run what `call` was given; on the loop's thread."""
        while self._calls:
            self._calls.popleft()()

    def _enter(self, actor: Actor, message: Any, reply: Reply | None) -> None:
        path = proxy_path(message)
        if actor.actor_stopped.is_set():
            self._refuse(actor, message, reply, "actor stopped")
        elif path is not None and reply is not None:
            _read(actor, path, reply)
        elif isinstance(message, Event) and not _fits(message):
            self._refuse(actor, message, reply, "cannot be encoded")
        elif isinstance(message, Event) or is_stop(message):
            event = message if isinstance(message, Event) else StopActor(actor.name)
            seq = self._loop.post(actor.context.inbox, event)
            if reply is not None:
                self._loop.replies[actor.context.inbox, seq] = reply
        else:
            self._refuse(actor, message, reply, "not an event")

    def _refuse(self, actor: Actor, message: Any, reply: Reply | None, reason: str) -> None:
        if reply is None:
            self._supervisor.count_dead_letter(actor.name, "", 0, type(message), reason)
        elif is_stop(message) or "stopped" in reason:
            reply.fail(ActorDeadError(f"{actor.name}: {reason}"))
        elif is_proxy_change(message):
            reply.fail(TypeError(f"a proxy of {actor.name} can read state, not call or set"))
        elif isinstance(message, Event):
            reply.fail(ValueError(f"{actor.name}: {message!r:.200} cannot be encoded"))
        else:
            kind = type(message).__name__
            reply.fail(TypeError(f"{actor.name}: message was {kind}, allowed are events"))


def _fits(event: Event) -> bool:
    try:
        codec.encode(event)
    except (OverflowError, RecursionError, TypeError, ValueError):
        return False
    return True


def _read(actor: Actor, path: tuple[str, ...], reply: Reply) -> None:
    if path[0] not in READABLE_BY_PROXY:
        reply.fail(
            AttributeError(
                f"a proxy of {actor.name} reads {', '.join(READABLE_BY_PROXY)}; "
                f"{path[0]!r} is private to the actor"
            )
        )
        return
    value: Any = actor
    try:
        for name in path:
            value = getattr(value, name)
        reply.answer(copy.deepcopy(value))
    except Exception as error:  # noqa: BLE001 - a property of State may raise anything at its reader
        reply.fail(error)
