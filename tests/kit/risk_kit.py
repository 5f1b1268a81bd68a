"""Risk on its own, with a LIVE book and names short enough for a test."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.events.event import Event
from actors.events.market import BookState, Side
from actors.events.orders import (
    OrderDenied,
    SubmitOrder,
)
from actors.risk import Risk
from actors.testing import ActorTest
from tests.kit.builders import (
    BTCUSDT,
    CURRENCIES,
    INSTRUMENTS,
    book_is,
    order,
    top,
)

BTC = BTCUSDT.instrument
ONE = BTCUSDT.qty("1")
LIVE = book_is(BookState.LIVE)


def risk(instruments: tuple[Any, ...] = INSTRUMENTS, **settings: Any) -> ActorTest:
    kit = ActorTest(Risk, settings, instruments=instruments, currencies=CURRENCIES, name="risk")
    kit.given(LIVE, top())
    return kit


def an_order(n: int, side: Side, qty: int, px: int = 10_000, **about: str) -> SubmitOrder:
    return msgspec.structs.replace(
        order(side, qty, px, client_order_id=f"0-execution-{n}"), **about
    )


def denied(of: SubmitOrder, code: str, text: str, value: int = 0, limit: int = 0) -> OrderDenied:
    about = (of.client_order_id, of.strategy, of.instrument)
    return OrderDenied(*about, of.side, of.qty, code, text, value, limit)


def code_of(emitted: list[Event]) -> str:
    first = emitted[0]
    return first.code if isinstance(first, OrderDenied) else type(first).__name__
