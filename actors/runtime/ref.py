"""pykka's interface to our actors; the only module that imports pykka.

From outside, an actor is what pykka's users know: a ref with `tell`, `ask`, `stop` and `proxy`, an
entry in `pykka.ActorRegistry`. Behind the ref stand our mailbox and loop, so that nothing told is
lost in silence and no ask waits for ever.
"""

from __future__ import annotations

import threading
from typing import Any, ClassVar, Protocol, Self

import pykka
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr, _ActorStop

ASK_TIMEOUT = 5.0
"""Seconds that an `ask` waits unless told otherwise."""

ActorDeadError = pykka.ActorDeadError
Timeout = pykka.Timeout
Registry = pykka.ActorRegistry


def is_stop(message: object) -> bool:
    """Tell whether pykka means `message` as the request to stop an actor."""
    return isinstance(message, _ActorStop)


def proxy_path(message: object) -> tuple[str, ...] | None:
    """Return the attribute path that a proxy asks to read; None for any other message."""
    return tuple(message.attr_path) if isinstance(message, ProxyGetAttr) else None


def is_proxy_change(message: object) -> bool:
    """Tell whether `message` is a proxy's attempt to call a method or set an attribute."""
    return isinstance(message, ProxyCall | ProxySetAttr)


class Reply(pykka.ThreadingFuture[Any]):
    """The answer to an `ask`; getting it has a deadline, and is refused on the loop's thread."""

    def __init__(self, loop_thread: IngressProtocol | None = None) -> None:
        super().__init__()
        self._loop = loop_thread

    def get(self, *, timeout: float | None = None) -> Any:
        """Return the handler's value once its step is released.

        Args:
            timeout: seconds; None means `ASK_TIMEOUT`, never for ever.

        Raises:
            RuntimeError: called on the thread that would have to answer.
            pykka.Timeout: no answer in time.
            pykka.ActorDeadError: the actor stopped before it answered.
        """
        if self._loop is not None and self._loop.thread_id == threading.get_ident():
            raise RuntimeError(
                "ask().get() was called on the loop's own thread and would wait for itself; "
                "emit an event and handle its answer instead"
            )
        return super().get(timeout=ASK_TIMEOUT if timeout is None else timeout)

    def answer(self, value: Any) -> None:
        """Set the value, unless the asker was answered already."""
        if self._result is None:
            self.set(value)

    def fail(self, error: BaseException) -> None:
        """Set an exception, unless the asker was answered already."""
        if self._result is None:
            self.set_exception((type(error), error, error.__traceback__))


class IngressProtocol(Protocol):
    """Where messages from other threads enter a node."""

    thread_id: int | None

    def post(self, actor: Any, message: Any, reply: Reply | None) -> None:
        """Queue `message` for `actor`; once closed, answer or count it as a dead letter."""


class Inbox:
    """What pykka sees as an actor's inbox: the way into its node; nothing is kept here."""

    __slots__ = ("_actor",)

    def __init__(self, actor: AddressedActor) -> None:
        self._actor = actor

    def put(self, envelope: Any) -> None:
        """Hand a pykka envelope to the node."""
        self._actor.ingress.post(self._actor, envelope.message, envelope.reply_to)

    def get(self) -> Any:
        """Refuse: the loop reads streams, never this."""
        raise NotImplementedError("the node's loop delivers; an inbox is only written to")

    def empty(self) -> bool:
        """Return True: nothing is ever kept here."""
        return True


class ActorRef(pykka.ActorRef["AddressedActor"]):
    """An actor's address: stays valid while the node runs, may be shared between threads."""

    def __init__(self, actor: AddressedActor) -> None:
        super().__init__(actor)
        self._ingress = actor.ingress
        self._target = actor

    def tell(self, message: Any) -> None:
        """Send an event; what can no longer be delivered is counted as a dead letter.

        Raises:
            pykka.ActorDeadError: the actor has stopped.
        """
        if not self.is_alive():
            self._ingress.post(self._target, message, None)
            raise ActorDeadError(f"{self} has stopped")
        self._ingress.post(self._target, message, None)

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        """Send an event and wait for its handler's return value.

        Args:
            message: an event that the actor handles.
            block: False returns the future instead of its value.
            timeout: seconds; None means `ASK_TIMEOUT`.

        Raises:
            pykka.Timeout: no answer in time.
            pykka.ActorDeadError: the actor has stopped.
            Exception: what the handler raised.
        """
        reply = Reply(self._ingress)
        self._ingress.post(self._target, message, reply)
        return reply.get(timeout=timeout) if block else reply


class AddressedActor(pykka.Actor):
    """A pykka actor without a thread: its node's loop runs it."""

    ingress: IngressProtocol
    _creating: ClassVar[threading.local] = threading.local()

    @classmethod
    def created_by(cls, ingress: IngressProtocol, *args: Any) -> Self:
        """Construct an actor that belongs to the node behind `ingress`."""
        cls._creating.ingress = ingress
        try:
            return cls(*args)
        finally:
            cls._creating.ingress = None

    def __init__(self, *_args: Any) -> None:
        ingress = getattr(self._creating, "ingress", None)
        if ingress is None:
            raise TypeError(
                f"{type(self).__name__} was constructed alone; add it to a Node or use "
                "actors.testing.ActorTest"
            )
        self.ingress = ingress
        super().__init__()
        self._actor_ref = ActorRef(self)

    @classmethod
    def start(cls, *_args: Any, **_kwargs: Any) -> Any:
        """Refuse: actors of a node start with it.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"{cls.__name__}.start() was called; a Node starts its actors")

    def _create_actor_inbox(self) -> Inbox:  # type: ignore[override]
        return Inbox(self)

    @staticmethod
    def _create_future() -> Reply:
        return Reply()

    def _start_actor_loop(self) -> None:
        """Do nothing: the node's loop is already there."""
