"""The front door: all that a strategy, a feed or a venue of one's own imports.

A name is looked up when it is first asked for, so ``import kaiju`` itself costs nothing. All
events are in `kaiju.events`, the test kit is in `kaiju.testing`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.events.accounts import PnlUpdated, PositionUpdated
    from actors.events.event import Event
    from actors.events.market import (
        BookDelta,
        BookReset,
        BookState,
        BookStateChanged,
        Quote,
        Side,
        TopOfBook,
        Trade,
    )
    from actors.events.orders import (
        IntentRefused,
        OrderAccepted,
        OrderCanceled,
        OrderDenied,
        OrderExpired,
        OrderFilled,
        OrderRejected,
        QuoteIntent,
        Signal,
    )
    from actors.events.reference import Currency, Instrument, from_units, to_units
    from actors.events.role import Role
    from actors.events.system import (
        ActorRecovered,
        ActorStarted,
        StreamLive,
        StreamReset,
        StreamStale,
        TimerFired,
    )
    from actors.model.money import notional
    from actors.runtime.actor import Actor, handles
    from actors.runtime.envelope import Envelope
    from actors.runtime.ports import Port, TryLaterError
    from actors.runtime.settings import (
        Amount,
        CurrencyCode,
        Duration,
        InstrumentId,
        Settings,
        TopologyPath,
    )

_HOMES = (
    "actors.events.accounts",
    "actors.events.event",
    "actors.events.market",
    "actors.events.orders",
    "actors.events.reference",
    "actors.events.role",
    "actors.events.system",
    "actors.model.money",
    "actors.runtime.actor",
    "actors.runtime.envelope",
    "actors.runtime.ports",
    "actors.runtime.settings",
)
"""Modules of ours that hold these names."""

__all__ = [
    "Actor",
    "ActorRecovered",
    "ActorStarted",
    "Amount",
    "BookDelta",
    "BookReset",
    "BookState",
    "BookStateChanged",
    "Currency",
    "CurrencyCode",
    "Duration",
    "Envelope",
    "Event",
    "Instrument",
    "InstrumentId",
    "IntentRefused",
    "OrderAccepted",
    "OrderCanceled",
    "OrderDenied",
    "OrderExpired",
    "OrderFilled",
    "OrderRejected",
    "PnlUpdated",
    "Port",
    "PositionUpdated",
    "Quote",
    "QuoteIntent",
    "Role",
    "Settings",
    "Side",
    "Signal",
    "StreamLive",
    "StreamReset",
    "StreamStale",
    "TimerFired",
    "TopOfBook",
    "TopologyPath",
    "Trade",
    "TryLaterError",
    "from_units",
    "handles",
    "notional",
    "to_units",
]

if not TYPE_CHECKING:  # or a type checker would believe in any name

    def __getattr__(name: str) -> Any:
        if name in __all__:
            for home in _HOMES:
                if (found := vars(import_module(home)).get(name)) is not None:
                    globals()[name] = found
                    return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
