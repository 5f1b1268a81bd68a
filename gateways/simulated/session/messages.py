"""The messages between the simulated venue and its gateways and feeds.

A frame is a version byte and one event of this module, or one that it wraps, in MessagePack. A
**session** belongs to one gateway: a logon raises its incarnation, requests carry it, and the venue
drops requests of an older one. So after a logon nothing sent earlier can still arrive, and "unknown
order" is final. Reports of a session are numbered without gaps; the logon says which the gateway
has, and the venue sends all later ones. It also says in which ledger the gateway has traded, what
the newest report said, and whose journal has all that: if the venue has it otherwise, one of the
two was restored from a copy, and the logon is refused for good. A **subscription** to market data
has no history: whoever connects asks for snapshots.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias, Union

import msgspec

from actors.events.event import LARGEST, Event
from actors.events.market import DepthDiff, DepthSnapshot, Quote, RequestSnapshot, Trade
from actors.events.role import Role
from actors.events.venue import ExecutionReport, NewOrderSingle
from actors.runtime import codec
from gateways.simulated.engine.venue_orders import VenueReport, VenueRequest

VERSION: Final = 2
BEFORE: Final = 1
"""The version before, whose speakers are refused in words that they understand."""
LARGEST_BODY: Final = 4 * 2**20
"""Bytes; a snapshot of a deep book needs a hundredth of that."""
HEARTBEAT: Final = 0.5
"""Seconds between two signs of life of either side."""
SILENCE: Final = 2.0
"""Seconds of silence after which the other side is considered gone."""
MAX_NAME_LENGTH: Final = 64
"""Characters of a session's name."""

MarketData: TypeAlias = DepthSnapshot | DepthDiff | Quote | Trade


class Logon(Event):
    """A gateway opens its session, or takes it over from another process."""

    session: str
    client: str
    """Unique id of the gateway's process."""
    again: bool
    """Whether this process held the session before; if another took it since, it keeps it."""
    after: int
    """Number of the last report that it has; -1 to get none of the past."""
    keeps: bool = False
    """Whether the venue forgets none of the reports: somebody else will ask for them."""
    token: str = ""
    """Says that the client may trade here; empty where the venue asks for none."""
    journal: str = ""
    """Id of the journal that has these reports, the session of its run."""
    ledger: str = ""
    """Id of the ledger that it met last; empty for none."""
    newest: str = ""
    """What the report `after` said, as `mark_of` gives it; empty where it has none."""


class LogonAccepted(Event):
    """The session is open; the reports that the gateway lacks follow."""

    connection: bytes
    session: str
    incarnation: int
    after: int
    """The next report has the number after this."""
    last_report: int
    """Number of the newest report."""
    ledger: str = ""
    """Id of the venue's ledger, made at random once and kept in it."""


class LogonRefused(Event):
    """The session, or market data, is refused to this client."""

    connection: bytes
    session: str
    reason: str
    final: bool
    """Whether trying again is pointless."""


class SessionEnded(Event):
    """The venue takes no more requests of this incarnation."""

    connection: bytes
    session: str
    incarnation: int
    reason: str


class SessionRequest(Event):
    """One request of a gateway; `seq` counts those of the incarnation from 1."""

    emitted_by = (Role.GATEWAY,)

    session: str
    incarnation: int
    seq: int
    body: VenueRequest


class NumberedReport(Event):
    """One report of a session; numbers continue across incarnations."""

    emitted_by = (Role.GATEWAY,)

    session: str
    number: int
    report: VenueReport


class ReportsHandled(Event):
    """A gateway will not ask for the reports up to `number` again."""

    session: str
    incarnation: int
    number: int


class Subscribe(Event):
    """A request for market data."""

    token: str = ""
    """As in `Logon`."""


class Subscribed(Event):
    """Market data follows."""


class ClientAlive(Event):
    """A sign of life of a gateway or a feed."""


class VenueAlive(Event):
    """A sign of life of the venue, which knows this connection."""


class NotConnected(Event):
    """The venue does not know this connection: log on or subscribe again."""


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
    """A frame cannot be decoded; `reason` is a word to count by."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Codec:
    """Decodes the frames of one direction.

    Args:
        events: union of the classes that may come.
    """

    def __init__(self, events: Any) -> None:
        self._read = codec.decoder(Union[events])  # noqa: UP007

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
            event = self._read(memoryview(frame)[1:])
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise FrameError("malformed", str(error)) from error
        if problem := _problem(event):
            raise FrameError("malformed", problem)
        return event


def encode(event: Event) -> bytes:
    """Return the frame of an event.

    Raises:
        ValueError: it is larger than the other side accepts.
    """
    frame = bytes((VERSION,)) + codec.encode(event)
    if len(frame) > LARGEST_BODY:
        raise ValueError(
            f"a {type(event).__name__} has {len(frame)} bytes, allowed are {LARGEST_BODY}"
        )
    return frame


_LOGON = Codec(Logon)


def encode_before(event: Event) -> bytes:
    """Return the frame of an event that the version before has, too."""
    return bytes((BEFORE,)) + codec.encode(event)


def refusal_of_before(frame: bytes) -> bytes | None:
    """Return the answer to a logon in the version before; None where it is anything else."""
    if frame[:1] != bytes((BEFORE,)):
        return None
    try:
        logon = _LOGON.decode(bytes((VERSION,)) + frame[1:])
    except FrameError:
        return None
    text = f"this venue speaks version {VERSION} of the wire, the client version {BEFORE}"
    return encode_before(LogonRefused(b"", logon.session, text, final=True))


def mark_of(report: VenueReport) -> str:
    """Return what tells a report from any other that has its number in another ledger."""
    if isinstance(report, ExecutionReport):
        return f"{report.client_order_id} {report.exec_id} {report.transact_time}"
    return report.request_id


def _problem(event: Event) -> str:
    """Return what is invalid in an event although its types allow it; empty for nothing."""
    match event:
        case Logon(session=name) if not 0 < len(name) <= MAX_NAME_LENGTH:
            found = name[:MAX_NAME_LENGTH]
            return f"session was {found!r}, allowed are 1 to {MAX_NAME_LENGTH} characters"
        case SessionRequest(body=NewOrderSingle() as order):
            if max(abs(order.qty), abs(order.limit_px)) > LARGEST:
                return "qty or limit_px has more than 38 digits"
    return ""
