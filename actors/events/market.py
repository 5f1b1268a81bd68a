"""Market data: what a venue publishes, and the books that are built from it."""

from __future__ import annotations

from enum import IntEnum, StrEnum

from actors.events.event import Event

Level = tuple[int, int]
"""(price, quantity); quantity is absolute, and 0 removes the level."""


class Side(IntEnum):
    """Direction of an order or a trade; its value is the sign of the position it makes."""

    BUY = 1
    SELL = -1


class BookState(StrEnum):
    """Whether a book may be used; only LIVE may."""

    EMPTY = "EMPTY"
    """Nothing was received."""
    BUFFERING = "BUFFERING"
    """Diffs are kept until a snapshot arrives."""
    LIVE = "LIVE"
    """Complete and current."""
    STALE = "STALE"
    """The connection was lost or nothing came for too long."""
    GAP = "GAP"
    """A diff was missing or damaged; a new snapshot is needed."""


class DepthSnapshot(Event):
    """A venue's whole book as of `last_update_id`, best levels first."""

    instrument: str
    last_update_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    venue_time: int = 0


class DepthDiff(Event):
    """Levels that changed between two update ids, as the venue sent them.

    `prev_update_id` is the last id of the diff before (futures' ``pu``), or -1 where the venue
    does not say and continuity is ``first_update_id == previous last_update_id + 1`` (spot).
    """

    instrument: str
    first_update_id: int
    last_update_id: int
    prev_update_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    venue_time: int = 0


class Quote(Event):
    """A venue's own best bid and offer (Binance ``bookTicker``)."""

    key = ("instrument",)

    instrument: str
    update_id: int
    bid_px: int
    bid_qty: int
    ask_px: int
    ask_qty: int
    venue_time: int = 0


class Trade(Event):
    """A trade between others, as the venue printed it; `aggressor` took liquidity."""

    instrument: str
    trade_id: int
    px: int
    qty: int
    aggressor: Side
    venue_time: int = 0


class RequestSnapshot(Event):
    """A book asks its feed for a whole snapshot."""

    request = True

    instrument: str


class TopOfBook(Event):
    """Best bid and offer of a LIVE book; price and quantity are 0 where a side is empty."""

    key = ("instrument",)

    instrument: str
    update_id: int
    bid_px: int
    bid_qty: int
    ask_px: int
    ask_qty: int
    venue_time: int = 0


class BookDelta(Event):
    """One applied diff of a LIVE book."""

    instrument: str
    update_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    venue_time: int = 0


class BookReset(Event):
    """A book became LIVE from a snapshot; forget all levels and take these."""

    instrument: str
    update_id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    venue_time: int = 0


class BookStateChanged(Event):
    """A book entered `state`; nobody may decide on it until it is LIVE again."""

    key = ("instrument",)

    instrument: str
    state: BookState
    reason: str = ""
