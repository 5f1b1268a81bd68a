"""What a report that was applied means for everybody else."""

from __future__ import annotations

from actors.events.event import Event
from actors.events.market import Side
from actors.events.order_words import ExecType, OrderType, TimeInForce
from actors.events.orders import (
    EXTERNAL,
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    SubmitOrder,
)
from actors.events.venue import ExecutionReport
from actors.model.order_record import ACKNOWLEDGED, TRADE, OrderRecord


def fact_of(record: OrderRecord, report: ExecutionReport, *, late: bool = False) -> Event:
    """Return the fact for everybody else, of an order as it is after the report.

    Args:
        record: the order.
        report: what was applied to it last.
        late: whether the order had ended before.
    """
    order, exec_type = record.order, report.exec_type
    if exec_type is TRADE:
        return fill_of(record, report, late=late)
    if exec_type is ACKNOWLEDGED:
        return accepted(record)
    about = (order.client_order_id, order.strategy, order.instrument)
    unfilled = max(0, order.qty - record.cum_qty)
    match exec_type:
        case ExecType.CANCELED:
            return OrderCanceled(*about, order.side, record.cum_qty, unfilled, report.text)
        case ExecType.EXPIRED:
            return OrderExpired(*about, order.side, record.cum_qty, unfilled, report.text)
        case ExecType.REJECTED:
            return OrderRejected(*about, order.side, order.qty, report.text)
    return CancelRejected(*about, report.text)


def accepted(record: OrderRecord) -> OrderAccepted:
    """Return that the order works at the venue."""
    order = record.order
    return OrderAccepted(
        order.client_order_id,
        order.strategy,
        order.instrument,
        order.side,
        order.qty,
        order.limit_px,
        record.venue_order_id,
    )


def denied(order: SubmitOrder, code: str, text: str) -> OrderDenied:
    """Return our refusal of an order that risk approved."""
    return OrderDenied(
        order.client_order_id,
        order.strategy,
        order.instrument,
        order.side,
        order.qty,
        code,
        text,
    )


def external_order(client_order_id: str, instrument: str, side: Side, qty: int) -> SubmitOrder:
    """Return what is known of an order that none of our strategies sent."""
    terms = (OrderType.LIMIT, TimeInForce.GTC)
    return SubmitOrder(client_order_id, EXTERNAL, instrument, side, qty, *terms)


def fill_of(record: OrderRecord, report: ExecutionReport, *, late: bool = False) -> OrderFilled:
    """Return the fill as the venue reported it, even where the order is another."""
    return OrderFilled(
        record.order.client_order_id,
        record.order.strategy,
        report.instrument,
        report.side,
        report.last_qty,
        report.last_px,
        record.cum_qty,
        record.leaves_qty,
        report.exec_id,
        report.fee,
        report.fee_currency,
        report.liquidity,
        account=report.account,
        trade_id=report.trade_id,
        cum_amount=report.cum_amount,
        inferred=report.inferred,
        orig_client_order_id=report.orig_client_order_id,
        late=late,
    )
