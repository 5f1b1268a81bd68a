"""The one base of all events, and the rules that every event follows."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import msgspec

LARGEST: Final = 10**38 - 1
"""Largest amount, price or quantity, in its units: 38 digits, as many as a table's decimal has."""


class EventType(msgspec.StructMeta):
    """Makes an event: frozen, encoded as an array, tagged by its name.

    The tag of an event of this package is its class name; that of a user's event is
    ``package.Class``, so two packages cannot collide on the wire.
    """

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any
    ) -> EventType:
        """Create the class with the wire options of all events (docs/design.md, "Events")."""
        module: str = namespace["__module__"]
        own = module.startswith("actors.events.")
        options.setdefault("tag", name if own else f"{module.partition('.')[0]}.{name}")
        # Events hold numbers, text and tuples, never each other's cycles: the collector
        # would only waste time on the millions of them that a stream retains.
        options.update(frozen=True, array_like=True, gc=False)
        return super().__new__(mcls, name, bases, namespace, **options)


class Event(msgspec.Struct, metaclass=EventType):
    """One thing that happened, was asked for, or is so.

    Fields are appended with defaults, never reordered or reused, and hold tuples rather than
    lists. A class whose newest value per key is all that matters names its key fields in `key`;
    only such a class may be read with ``delivery: latest``. A class that asks for something which
    exactly one actor must do says so in `request`; two readers that act on it would do it twice.
    """

    key: ClassVar[tuple[str, ...]] = ()
    """Field names that identify what a keyed snapshot is about; empty for facts and requests."""

    request: ClassVar[bool] = False
    """True where exactly one reader must act on the event."""

    emitted_by: ClassVar[tuple[str, ...]] = ()
    """Roles whose actors alone may emit it, "" among them for actors of no role; empty for any."""

    cancels: ClassVar[bool] = False
    """True where the event only takes back what is open at a venue: it may leave the node even
    while the disk refuses to keep that it did."""


def tag_of(event_class: type[Event]) -> str:
    """Return the tag that names `event_class` on the wire and in files."""
    return str(event_class.__struct_config__.tag)


def require_whole(value: object, what: str, least: int = 0) -> None:
    """Refuse what is not a whole number from `least` to `LARGEST`.

    Raises:
        ValueError: names the field `what`, what it was and what is allowed.
    """
    if type(value) is not int or not least <= value <= LARGEST:
        raise ValueError(
            f"{what} was {value!r}, allowed is a whole number from {least} to {LARGEST}"
        )


def require_text(value: object, what: str) -> None:
    """Refuse what is not text.

    Raises:
        ValueError: names the field `what`, what it was and what is allowed.
    """
    if type(value) is not str:
        raise ValueError(f"{what} was {value!r}, allowed is text")
