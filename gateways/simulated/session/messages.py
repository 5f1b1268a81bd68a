"""What is said between the simulated venue as a process and those who reach it.

A frame is a version byte and one event of this module, or one that it wraps, in MessagePack. A
**session** belongs to one gateway: its logon raises the session's incarnation, requests carry it,
and the venue drops those of an older one. So once a gateway is logged on, nothing that was sent
before can still arrive: "unknown order" is then final. Reports of a session are numbered without
gaps; the logon says which the gateway has, and it gets all after it. A **subscription** to market
data has no past: whoever connects asks for snapshots.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias, Union

import msgspec

from actors.events.event import LARGEST, Event
from actors.events.market import DepthDiff, DepthSnapshot, Quote, RequestSnapshot, Trade
from actors.events.orders import NewOrderSingle
from gateways.simulated.engine.venue_orders import VenueReport, VenueRequest

VERSION: Final = 1
LARGEST_BODY: Final = 4 * 2**20
"""Bytes; a snapshot of a deep book has a hundredth of it."""
HEARTBEAT: Final = 0.5
"""Seconds between two signs of life, from either side."""
SILENCE: Final = 2.0
"""Seconds without one, after which the other side is gone."""
MAX_NAME_LENGTH: Final = 64
"""Characters of a session's name."""

MarketData: TypeAlias = DepthSnapshot | DepthDiff | Quote | Trade


class Logon(Event):
    """A gateway opens its session, or takes it over from another process."""

    session: str
    client: str
    """Names the gateway's process: no two have the same."""
    again: bool
    """Whether this process had the session before; if another took it since, it stays there."""
    after: int
    """Number of the last report that it has; -1 for none that it would want."""


class LogonAccepted(Event):
    """The session is open; the reports that the gateway lacks follow."""

    connection: bytes
    session: str
    incarnation: int
    after: int
    """Reports follow from the next number on."""
    last_report: int
    """Newest number so far."""


class LogonRefused(Event):
    """The session stays closed to this gateway."""

    connection: bytes
    session: str
    reason: str
    final: bool
    """Whether there is no use in trying again."""


class SessionEnded(Event):
    """The venue takes no more requests of this incarnation."""

    connection: bytes
    session: str
    incarnation: int
    reason: str


class SessionRequest(Event):
    """One request of a gateway; `seq` counts those of the incarnation from 1."""

    session: str
    incarnation: int
    seq: int
    body: VenueRequest


class NumberedReport(Event):
    """One report of a session; numbers go on from incarnation to incarnation."""

    session: str
    number: int
    report: VenueReport


class ReportsHandled(Event):
    """A gateway will never need the reports up to `number` again."""

    session: str
    incarnation: int
    number: int


class Subscribe(Event):
    """Somebody wants to have market data."""


class Subscribed(Event):
    """Market data follows, from now on."""


class ClientAlive(Event):
    """A gateway or a feed is there."""


class VenueAlive(Event):
    """The venue is there, and knows this connection."""


class NotConnected(Event):
    """The venue does not know this connection (any more): log on, or subscribe, again."""


ToVenue: TypeAlias = (
    Logon | SessionRequest | ReportsHandled | Subscribe | RequestSnapshot | ClientAlive
)
FromVenue: TypeAlias = (
    LogonAccepted
    | LogonRefused
    | SessionEnded
    | NumberedReport
    | Subscribed
    | MarketData
    | VenueAlive
    | NotConnected
)


class FrameError(Exception):
    """A frame cannot be understood; `reason` is a word to count by."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Codec:
    """Frames of one direction.

    Args:
        events: union of the classes that may come.
    """

    def __init__(self, events: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Union[events])  # noqa: UP007

    def decode(self, frame: bytes) -> Any:
        """Return the event in a frame.

        Raises:
            FrameError: it is of another version, too large, damaged or of an unknown class.
        """
        if len(frame) > LARGEST_BODY:
            raise FrameError("oversized", f"{len(frame)} bytes, allowed are {LARGEST_BODY}")
        if not frame or frame[0] != VERSION:
            found = frame[0] if frame else "none"
            raise FrameError("version", f"version was {found}, allowed is {VERSION}")
        try:
            event = self._decoder.decode(memoryview(frame)[1:])
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise FrameError("malformed", str(error)) from error
        if problem := _problem(event):
            raise FrameError("malformed", problem)
        return event


def encode(event: Event) -> bytes:
    """Return the frame of an event.

    Raises:
        ValueError: it is too large to be taken.
    """
    frame = bytes((VERSION,)) + msgspec.msgpack.encode(event)
    if len(frame) > LARGEST_BODY:
        raise ValueError(
            f"a {type(event).__name__} has {len(frame)} bytes, allowed are {LARGEST_BODY}"
        )
    return frame


def _problem(event: Event) -> str:
    """Return what an event says that its types allow and nobody can mean."""
    match event:
        case Logon(session=name) if not 0 < len(name) <= MAX_NAME_LENGTH:
            found = name[:MAX_NAME_LENGTH]
            return f"session was {found!r}, allowed are 1 to {MAX_NAME_LENGTH} characters"
        case SessionRequest(body=NewOrderSingle() as order):
            if max(abs(order.qty), abs(order.limit_px)) > LARGEST:
                return "qty or limit_px is beyond 64 bits"
    return ""
