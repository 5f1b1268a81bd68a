"""An actor's share of the instruments: events of other instruments never become its steps."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from actors.events.event import Event

Handler = Callable[[Any], Any]


class NotAcceptedError(Exception):
    """Tells the loop that an event is in another actor's share: it counts as unhandled.

    Raised by the handlers that `filter_accepted` returns, before anything was done. An exception,
    because the handlers of all other actors then pay nothing for it.
    """


def filter_accepted(accepts: frozenset[str], event_class: type[Event], handler: Handler) -> Handler:
    """Return a handler that leaves events of other instruments than `accepts` to other actors.

    An event that names no instrument is for all.
    """
    instrument_of = _instrument_of(event_class)
    if instrument_of is None:
        return handler

    def accept(event: Event) -> Any:
        instrument = instrument_of(event)
        if instrument and instrument not in accepts:
            raise NotAcceptedError
        return handler(event)

    return accept


def _instrument_of(event_class: type[Event]) -> Callable[[Event], str] | None:
    fields = event_class.__struct_fields__
    if "instrument" in fields:
        return attrgetter("instrument")
    return attrgetter("order.instrument") if "order" in fields else None
