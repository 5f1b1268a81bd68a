"""Classes that have another place now: what a file of before calls them, and where they are.

A path stands in the headers of journals and in topology files; both outlive the code that they
were written with. An entry stays for ever, and a class that moves again gets one for each of its
old paths.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

_VENUE: Final = "actors.events.venue"
_CLIENT: Final = "gateways.simulated.session.client"
_MESSAGES: Final = "gateways.simulated.session.messages"

MOVED: Final = MappingProxyType(
    {
        "actors.events.orders:ExecutionReport": f"{_VENUE}:ExecutionReport",
        "actors.events.orders:NewOrderSingle": f"{_VENUE}:NewOrderSingle",
        "actors.events.orders:OrderCancelRequest": f"{_VENUE}:OrderCancelRequest",
        "actors.events.orders:OrderMassCancelRequest": f"{_VENUE}:OrderMassCancelRequest",
        "actors.events.orders:OrderMassStatus": f"{_VENUE}:OrderMassStatus",
        "actors.events.orders:OrderMassStatusRequest": f"{_VENUE}:OrderMassStatusRequest",
        "actors.events.orders:OrderStatus": f"{_VENUE}:OrderStatus",
        "actors.events.orders:OrderStatusRequest": f"{_VENUE}:OrderStatusRequest",
        "gateways.recording:FileEnded": "gateways.captures:FileEnded",
        "gateways.simulated.door:VenueDoor": "gateways.simulated.session.server:VenueServer",
        "gateways.simulated.remote:SessionBegan": f"{_CLIENT}:SessionBegan",
        "gateways.simulated.remote:VenueFeed": f"{_CLIENT}:VenueFeed",
        "gateways.simulated.remote:VenueGateway": f"{_CLIENT}:VenueGateway",
        "gateways.simulated.switchboard:LogonRequested": (
            "gateways.simulated.session.server_socket:LogonRequested"
        ),
        "gateways.simulated.talks:LogonNeeded": f"{_CLIENT}_session:LogonNeeded",
        "gateways.simulated.talks:RequestUnsent": f"{_CLIENT}_session:RequestUnsent",
        "gateways.simulated.wire:ClientAlive": f"{_MESSAGES}:ClientAlive",
        "gateways.simulated.wire:Logon": f"{_MESSAGES}:Logon",
        "gateways.simulated.wire:LogonAccepted": f"{_MESSAGES}:LogonAccepted",
        "gateways.simulated.wire:LogonRefused": f"{_MESSAGES}:LogonRefused",
        "gateways.simulated.wire:NotConnected": f"{_MESSAGES}:NotConnected",
        "gateways.simulated.wire:NumberedReport": f"{_MESSAGES}:NumberedReport",
        "gateways.simulated.wire:ReportsHandled": f"{_MESSAGES}:ReportsHandled",
        "gateways.simulated.wire:SessionEnded": f"{_MESSAGES}:SessionEnded",
        "gateways.simulated.wire:SessionRequest": f"{_MESSAGES}:SessionRequest",
        "gateways.simulated.wire:Subscribe": f"{_MESSAGES}:Subscribe",
        "gateways.simulated.wire:Subscribed": f"{_MESSAGES}:Subscribed",
        "gateways.simulated.wire:VenueAlive": f"{_MESSAGES}:VenueAlive",
    }
)
"""``module:Class`` as it was, and as it is."""


def present_path(path: str) -> str:
    """Return where the class is now that was once at `path`; `path` itself if it never moved."""
    return MOVED.get(path, path)
