"""Raw Binance messages to events: combined streams and REST depth snapshots.

Spot, USD-margined and coin-margined markets differ only in which fields a message has: futures
name the predecessor of a diff (``pu``), spot quotes carry no time. Quantities of coin-margined
instruments are contracts.

Source: Binance API documentation, web socket streams "Diff. Depth Stream", "Individual Symbol
Book Ticker Streams" and "Trade Streams", REST "Order book".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from actors.events.durations import MILLISECOND
from actors.events.event import Event
from actors.events.market import DepthDiff, DepthSnapshot, Level, Quote, Side, Trade
from actors.events.reference import Instrument
from gateways.binance.decimals import Units

DEPTH_STREAMS = ("depth", "depth@0ms", "depth@100ms", "depth@250ms", "depth@500ms")
OTHER_STREAMS = ("aggTrade", "kline", "ticker", "miniTicker", "avgPrice", "markPrice", "forceOrder")
"""Streams that say nothing about the book or its trades that the ones read here do not."""

LARGEST_ID = 2**63 - 1
Id = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_ID)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_ID // MILLISECOND)]
Pair = tuple[str, str]


class Malformed(msgspec.Struct, frozen=True):
    """Why a message could not be understood."""

    reason: str
    """Short name to count it by: ``json``, ``fields``, ``number``, ``stream`` or ``symbol``."""
    detail: str


_Reader = tuple[msgspec.json.Decoder[Any], Callable[[Any], Event | Malformed | None]]


class _Envelope(msgspec.Struct, gc=False):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    last_update_id: int = msgspec.field(default=-1, name="lastUpdateId")
    id: Any = msgspec.UNSET
    """Of an answer to one of our requests."""


class _Snapshot(msgspec.Struct, gc=False):
    last_update_id: Id = msgspec.field(name="lastUpdateId")
    bids: list[Pair]
    asks: list[Pair]
    event_time: Milliseconds = msgspec.field(default=0, name="E")
    symbol: str = ""
    """Only coin-margined snapshots name it."""


class _DepthUpdate(msgspec.Struct, gc=False):
    event_time: Milliseconds = msgspec.field(name="E")
    symbol: str = msgspec.field(name="s")
    first_update_id: Id = msgspec.field(name="U")
    last_update_id: Id = msgspec.field(name="u")
    bids: list[Pair] = msgspec.field(name="b")
    asks: list[Pair] = msgspec.field(name="a")
    prev_update_id: Annotated[int, msgspec.Meta(ge=-1, le=LARGEST_ID)] = msgspec.field(
        default=-1, name="pu"
    )


class _BookTicker(msgspec.Struct, gc=False):
    update_id: Id = msgspec.field(name="u")
    symbol: str = msgspec.field(name="s")
    bid_px: str = msgspec.field(name="b")
    bid_qty: str = msgspec.field(name="B")
    ask_px: str = msgspec.field(name="a")
    ask_qty: str = msgspec.field(name="A")
    event_time: Milliseconds = msgspec.field(default=0, name="E")


class _Trade(msgspec.Struct, gc=False):
    event_time: Milliseconds = msgspec.field(name="E")
    symbol: str = msgspec.field(name="s")
    trade_id: Id = msgspec.field(name="t")
    px: str = msgspec.field(name="p")
    qty: str = msgspec.field(name="q")
    buyer_is_maker: bool = msgspec.field(name="m")
    kind: str = msgspec.field(default="MARKET", name="X")
    """Futures also print the insurance fund, deleveraging and empty markers as trades."""


class MessageDecoder:
    """Understands every message about one instrument.

    Args:
        instrument: what the messages are about; another symbol is damage.
    """

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument.instrument
        self._symbol = instrument.symbol
        self._px = Units(instrument.price_scale)
        self._qty = Units(instrument.qty_scale)
        self._envelopes = msgspec.json.Decoder(_Envelope)
        self._snapshots = msgspec.json.Decoder(_Snapshot)
        readers: dict[str, _Reader] = {
            "bookTicker": (msgspec.json.Decoder(_BookTicker), self._quote),
            "trade": (msgspec.json.Decoder(_Trade), self._trade),
        }
        for depth in DEPTH_STREAMS:
            readers[depth] = (msgspec.json.Decoder(_DepthUpdate), self._diff)
        symbol = instrument.symbol.lower()
        self._readers = {f"{symbol}@{kind}": reader for kind, reader in readers.items()}

    def decode(self, payload: bytes) -> Event | Malformed | None:
        """Return the event that a message means.

        Returns:
            `Malformed` for a damaged message; None for a sound one that says nothing about the
            market here, such as a candle or the answer to a subscription.
        """
        try:
            return self._decode(payload)
        except msgspec.ValidationError as error:
            return Malformed("fields", str(error))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Malformed("json", str(error))
        except ValueError as error:
            return Malformed("number", str(error))

    def _decode(self, payload: bytes) -> Event | Malformed | None:
        envelope = self._envelopes.decode(payload)
        reader = self._readers.get(envelope.stream)
        if reader is None:
            return self._not_streamed(envelope, payload)
        decoder, understand = reader
        message = decoder.decode(envelope.data)
        if message.symbol != self._symbol:
            return self._other_symbol(message.symbol)
        event: Event | Malformed | None = understand(message)
        return event

    def _not_streamed(self, envelope: _Envelope, payload: bytes) -> Event | Malformed | None:
        if envelope.last_update_id >= 0:
            return self._snapshot(self._snapshots.decode(payload))
        if envelope.id is not msgspec.UNSET and not envelope.stream:
            return None
        kind = envelope.stream.partition("@")[2]
        if kind.startswith(OTHER_STREAMS):
            return None
        read = ", ".join(self._readers)
        return Malformed("stream", f"stream was {envelope.stream!r}, read are {read}")

    def _snapshot(self, message: _Snapshot) -> Event | Malformed:
        if message.symbol not in ("", self._symbol):
            return self._other_symbol(message.symbol)
        return DepthSnapshot(
            self._instrument,
            message.last_update_id,
            self._levels(message.bids),
            self._levels(message.asks),
            message.event_time * MILLISECOND,
        )

    def _diff(self, message: _DepthUpdate) -> Event | Malformed:
        first, last = message.first_update_id, message.last_update_id
        if first > last:
            return Malformed("number", f"update ids were {first} to {last}, allowed is U <= u")
        return DepthDiff(
            self._instrument,
            first,
            last,
            message.prev_update_id,
            self._levels(message.bids),
            self._levels(message.asks),
            message.event_time * MILLISECOND,
        )

    def _quote(self, message: _BookTicker) -> Event:
        px, qty = self._px, self._qty
        return Quote(
            self._instrument,
            message.update_id,
            px[message.bid_px],
            qty[message.bid_qty],
            px[message.ask_px],
            qty[message.ask_qty],
            message.event_time * MILLISECOND,
        )

    def _trade(self, message: _Trade) -> Event | Malformed | None:
        if message.kind != "MARKET":
            return None
        px, qty = self._px[message.px], self._qty[message.qty]
        if not (px and qty):
            return Malformed("number", f"trade was {qty} at {px}, allowed is more than 0")
        return Trade(
            self._instrument,
            message.trade_id,
            px,
            qty,
            Side.SELL if message.buyer_is_maker else Side.BUY,
            message.event_time * MILLISECOND,
        )

    def _other_symbol(self, symbol: str) -> Malformed:
        return Malformed("symbol", f"symbol was {symbol!r}, allowed is {self._symbol!r}")

    def _levels(self, pairs: list[Pair]) -> tuple[Level, ...]:
        units_px, units_qty = self._px, self._qty
        return tuple([(units_px[px], units_qty[qty]) for px, qty in pairs])
