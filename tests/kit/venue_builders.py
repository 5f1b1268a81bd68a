"""Orders at a venue with defaults, and books and reports as text, for tests of the venues."""

from __future__ import annotations

from collections.abc import Iterable

from actors.events.event import Event
from actors.events.market import Quote, Side, Trade
from actors.events.order_words import ExecType, OrderType, TimeInForce
from actors.events.venue import ExecutionReport, NewOrderSingle, OrderCancelRequest
from gateways.simulated.engine.limit_order_book import BookSide, LimitOrderBook
from gateways.simulated.engine.venue_orders import VenueReport
from tests.kit.builders import BTCUSDT

NAME = BTCUSDT.instrument


def limit(
    client_order_id: str,
    side: Side,
    qty: int,
    px: int,
    *,
    time_in_force: TimeInForce = TimeInForce.GTC,
    post_only: bool = False,
    instrument: str = NAME,
) -> NewOrderSingle:
    return NewOrderSingle(
        client_order_id, instrument, side, qty, OrderType.LIMIT, time_in_force, px, post_only
    )


def market(client_order_id: str, side: Side, qty: int, instrument: str = NAME) -> NewOrderSingle:
    return NewOrderSingle(client_order_id, instrument, side, qty, OrderType.MARKET, TimeInForce.IOC)


def cancel(client_order_id: str, instrument: str = NAME) -> OrderCancelRequest:
    return OrderCancelRequest(client_order_id, instrument)


def quote(bid: tuple[int, int], ask: tuple[int, int], instrument: str = NAME) -> Quote:
    return Quote(instrument, 0, *bid, *ask)


def trade(aggressor: Side, qty: int, px: int, instrument: str = NAME) -> Trade:
    return Trade(instrument, 0, px, qty, aggressor)


def told(events: Iterable[Event]) -> list[str]:
    """Return each report and each piece of market data as a line: what happened, not the ids."""
    return [_line(event) for event in events]


def executions(reports: Iterable[VenueReport]) -> list[ExecutionReport]:
    """Return the reports of single orders."""
    return [report for report in reports if isinstance(report, ExecutionReport)]


def draw(book: LimitOrderBook) -> str:
    """Return the book as a table: queues with the oldest order first, ours in brackets."""
    asks = [("", str(px), queue) for px, queue in reversed(_queues(book.asks))]
    bids = [(queue, str(px), "") for px, queue in _queues(book.bids)]
    return "\n".join(f"{bid:>9} | {px:>5} | {ask}".rstrip() for bid, px, ask in asks + bids)


def table(text: str) -> str:
    """Return a table written in a test without its indentation."""
    lines = [line.split("|") for line in text.strip("\n").splitlines() if line.strip()]
    cells = [[cell.strip() for cell in line] for line in lines]
    return "\n".join(f"{bid:>9} | {px:>5} | {ask}".rstrip() for bid, px, ask in cells)


def _queues(side: BookSide) -> list[tuple[int, str]]:
    queues = []
    for key in reversed(side.keys):
        orders = side.levels[key].orders.values()
        shown = [f"[{o.leaves_qty}]" if o.client_order_id else str(o.leaves_qty) for o in orders]
        queues.append((key * side.sign, " ".join(shown)))
    return queues


def _line(event: Event) -> str:
    match event:
        case ExecutionReport(exec_type=ExecType.TRADE):
            return (
                f"{event.client_order_id} {event.ord_status} {event.last_qty}@{event.last_px} "
                f"{event.liquidity}"
            )
        case ExecutionReport():
            return f"{event.client_order_id} {event.exec_type}: {event.text}".removesuffix(": ")
        case Trade():
            return f"trade {event.qty}@{event.px}"
        case Quote():
            return f"quote {event.bid_qty}@{event.bid_px} {event.ask_qty}@{event.ask_px}"
    return repr(event)
