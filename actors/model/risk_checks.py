"""Pre-trade checks, in the order in which they are made: the first failure decides.

Cheap and absolute checks come first, sums over the account last. Every check is a pure function of
a `Case`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from actors.events.accounts import TradingState
from actors.events.order_words import OrderType, TimeInForce
from actors.events.orders import SubmitOrder
from actors.events.reference import Instrument
from actors.model.exposure import Exposure
from actors.model.money import BASIS_POINTS, amount
from actors.model.risk_order import Case, Denial, RiskCode, same_order

Check = Callable[[Case], Denial | None]


def first_failure(case: Case) -> Denial | None:
    """Return the first check that fails, which decides; None approves."""
    for check in CHECKS:
        denial = check(case)
        if denial is not None:
            return denial
    return None


def unknown_instrument(order: SubmitOrder, instruments: Mapping[str, Instrument]) -> Denial | None:
    """Refuse what the topology does not define; no other check can be made without it."""
    if order.instrument in instruments:
        return None
    known = ", ".join(sorted(instruments)) or "none"
    return Denial(
        RiskCode.UNKNOWN_INSTRUMENT, f"instrument {order.instrument!r} is not one of: {known}"
    )


def foreign_strategy(order: SubmitOrder, emitter: str) -> Denial | None:
    """Refuse an order in another's name, which only execution may ask for."""
    if order.strategy == emitter:
        return None
    return Denial(
        RiskCode.FOREIGN_STRATEGY, f"{emitter} trades as {emitter}, not as {order.strategy}"
    )


def foreign_order_id(
    order: SubmitOrder, session: str, emitter: str, others: Iterable[str]
) -> Denial | None:
    """Refuse an id that is another actor's to give, or was given by it to an order that works.

    Args:
        order: not from execution.
        session: begins all ids of the run.
        emitter: who asks for the order.
        others: names of the actors that are known.
    """
    order_id = order.client_order_id
    if order_id.startswith(f"{session}-{emitter}-"):
        return None
    owner = next((name for name in others if order_id.startswith(f"{session}-{name}-")), emitter)
    if owner == emitter:
        return None
    return Denial(
        RiskCode.FOREIGN_ORDER_ID, f"client_order_id {order_id!r} is of {owner}, not of {emitter}"
    )


def _halted(case: Case) -> Denial | None:
    state = case.trading_state
    if state is not TradingState.HALTED and state is not TradingState.KILL:
        return None
    return Denial(RiskCode.TRADING_HALTED, f"trading is {state}; only cancels pass")


def _duplicate(case: Case) -> Denial | None:
    order_id = case.order.client_order_id
    if order_id not in case.known_ids and order_id not in case.exposures.reservations:
        return None
    return Denial(RiskCode.DUPLICATE_ORDER_ID, f"client_order_id {order_id!r} was used before")


def _contradiction(case: Case) -> Denial | None:
    order = case.order
    if order.order_type is OrderType.MARKET:
        what = "a MARKET order with a limit price" if order.limit_px else ""
        what = "a post-only MARKET order" if order.post_only else what
    elif not order.limit_px:
        what = "a LIMIT order without a limit price"
    elif order.post_only and order.time_in_force is not TimeInForce.GTC:
        what = f"a post-only {order.time_in_force} order"
    else:
        what = ""
    return Denial(RiskCode.CONTRADICTION, f"{what} contradicts itself") if what else None


def _stale(case: Case) -> Denial | None:
    if not case.stale:
        return None
    streams = ", ".join(f"{name} ({reason})" for name, reason in sorted(case.stale.items()))
    return Denial(RiskCode.STALE_INPUT, f"risk decides only on current input; stale: {streams}")


def _book_not_live(case: Case) -> Denial | None:
    state = case.market.down.get(case.order.instrument)
    if state is None:
        return None
    return Denial(RiskCode.BOOK_NOT_LIVE, f"the book of {case.order.instrument} is {state}")


def _empty_book(case: Case) -> Denial | None:
    order, top = case.order, case.top
    if order.order_type is OrderType.MARKET:
        far_px = 0 if top is None else (top.ask_px if order.side > 0 else top.bid_px)
        missing = "" if far_px else f"no {'ask' if order.side > 0 else 'bid'} to trade with"
    else:
        missing = "" if top and (top.bid_px or top.ask_px) else "no price to compare the limit with"
    return Denial(RiskCode.EMPTY_BOOK, f"{order.instrument}: {missing}") if missing else None


def _price_filter(case: Case) -> Denial | None:
    order, instrument, px = case.order, case.instrument, case.order.limit_px
    if order.order_type is OrderType.MARKET:
        problem = ""
    elif px <= 0:
        problem = "the limit price must be positive"
    elif px % instrument.tick_size:
        problem = f"not a multiple of the tick size {case.price(instrument.tick_size)}"
    elif px < instrument.min_px:
        problem = f"below the venue's minimum {case.price(instrument.min_px)}"
    elif instrument.max_px and px > instrument.max_px:
        problem = f"above the venue's maximum {case.price(instrument.max_px)}"
    else:
        problem = ""
    return Denial(RiskCode.PRICE_FILTER, f"price {case.price(px)}: {problem}") if problem else None


def _lot_filter(case: Case) -> Denial | None:
    instrument, qty = case.instrument, case.order.qty
    if qty <= 0:
        problem = "the quantity must be positive"
    elif qty % instrument.lot_size:
        problem = f"not a multiple of the lot size {case.quantity(instrument.lot_size)}"
    elif qty < instrument.min_qty:
        problem = f"below the venue's minimum {case.quantity(instrument.min_qty)}"
    elif instrument.max_qty and qty > instrument.max_qty:
        problem = f"above the venue's maximum {case.quantity(instrument.max_qty)}"
    else:
        return None
    return Denial(RiskCode.LOT_FILTER, f"quantity {case.quantity(qty)}: {problem}")


def _min_notional(case: Case) -> Denial | None:
    least = case.instrument.min_notional
    worth = case.amount if least else 0
    if worth >= least:
        return None
    text = f"order of {case.money(worth)} is below the venue's minimum {case.money(least)}"
    return Denial(RiskCode.MIN_NOTIONAL, text)


def _max_order_qty(case: Case) -> Denial | None:
    qty, limit = case.order.qty, case.limits.max_order_qty
    if qty <= limit:
        return None
    text = f"order quantity {case.quantity(qty)} exceeds limit {case.quantity(limit)}"
    return Denial(RiskCode.MAX_ORDER_QTY, text, qty, limit)


def _max_order_notional(case: Case) -> Denial | None:
    limit, worth = case.limits.max_order_notional, case.amount
    if worth <= limit:
        return None
    text = f"order of {case.money(worth)} exceeds limit {case.money(limit)}"
    return Denial(RiskCode.MAX_ORDER_NOTIONAL, text, worth, limit)


def _price_collar(case: Case) -> Denial | None:
    px, top, limit = case.order.limit_px, case.top, case.account_limits.price_collar_bps
    if not px or not limit or top is None:
        return None
    highest, lowest = top.ask_px or top.bid_px, top.bid_px or top.ask_px
    outside, reference = (px - highest, highest) if px > highest else (lowest - px, lowest)
    if outside * BASIS_POINTS <= limit * reference:
        return None
    value = -(-outside * BASIS_POINTS // reference)
    text = (
        f"limit price {case.price(px)} is {value} basis points outside the spread "
        f"{case.price(lowest)} / {case.price(highest)}, limit {limit}"
    )
    return Denial(RiskCode.PRICE_COLLAR, text, value, limit)


def _reducing_only(case: Case) -> Denial | None:
    if case.trading_state is not TradingState.REDUCING:
        return None
    order = case.order
    worst = case.own.worst(order.side)
    if worst + order.qty <= 0:
        return None
    text = (
        f"trading is REDUCING; a {order.side.name} of {case.quantity(order.qty)} would leave up to "
        f"{case.quantity(worst + order.qty)} on its side"
    )
    return Denial(RiskCode.REDUCING_ONLY, text)


def _max_position(case: Case) -> Denial | None:
    order, limit = case.order, case.limits.max_position
    worst = case.own.worst(order.side) + order.qty
    if worst <= limit:
        return None
    text = (
        f"worst-case position {case.quantity(worst)} of {order.strategy} in {order.instrument} "
        f"exceeds limit {case.quantity(limit)}"
    )
    return Denial(RiskCode.MAX_POSITION, text, worst, limit)


def _max_account_position(case: Case) -> Denial | None:
    order, limit = case.order, case.limits.max_account_position
    worst = case.account.worst(order.side) + order.qty
    if worst <= limit:
        return None
    text = (
        f"worst-case position {case.quantity(worst)} of the account in {order.instrument} "
        f"exceeds limit {case.quantity(limit)}"
    )
    return Denial(RiskCode.MAX_ACCOUNT_POSITION, text, worst, limit)


def _max_gross_exposure(case: Case) -> Denial | None:
    order, limit = case.order, case.limits.max_gross_exposure
    present = case.account.worst_qty
    worst = case.account.worst(order.side) + order.qty
    if worst <= present:
        return None
    if unknown := _held_without_a_mark(case):
        text = f"gross exposure is not known: no mark yet for {unknown}, which is held"
        return Denial(RiskCode.MAX_GROSS_EXPOSURE, text)
    gross = _gross_of_others(case) + _worth(case, case.instrument, worst)
    if gross <= limit:
        return None
    text = f"gross exposure {case.money(gross)} exceeds limit {case.money(limit)}"
    return Denial(RiskCode.MAX_GROSS_EXPOSURE, text, gross, limit)


def _held_without_a_mark(case: Case) -> str:
    """Return an instrument that is held, counts in the same sum and cannot be valued."""
    return next(
        (n for n, e in _others(case) if e.worst_qty and not case.market.marks.get(n)),
        "",
    )


def _gross_of_others(case: Case) -> int:
    return sum(_worth(case, case.instruments[n], e.worst_qty) for n, e in _others(case))


def _others(case: Case) -> Iterator[tuple[str, Exposure]]:
    """Yield the exposure of the account in each other instrument that settles alike."""
    own, currency = case.order.instrument, case.instrument.settle
    for name, exposure in case.exposures.by_instrument.items():
        if name != own and case.instruments[name].settle == currency:
            yield name, exposure


def _worth(case: Case, instrument: Instrument, qty: int) -> int:
    mark_px = case.market.marks.get(instrument.instrument)
    if mark_px is None and instrument is case.instrument:
        mark_px = 2 * case.worst_px
    return amount(instrument, qty, mark_px, 2) if mark_px else 0


def _max_open_orders(case: Case) -> Denial | None:
    limit, value = case.account_limits.max_open_orders, len(case.exposures.reservations)
    where = "the account"
    of_venue = case.instrument.max_open_orders
    if of_venue and value < limit:
        limit, value = of_venue, case.account.open_orders
        where = case.order.instrument
    if value < limit:
        return None
    text = f"{value} orders are open in {where}, limit {limit}"
    return Denial(RiskCode.MAX_OPEN_ORDERS, text, value, limit)


def _order_rate(case: Case) -> Denial | None:
    account = case.account_limits
    waiting = case.rate.waiting(case.now, account.order_interval_ns, account.order_burst)
    if not waiting:
        return None
    limit = account.orders_per_second
    text = (
        f"more than {limit} orders per second after a burst of {account.order_burst}; "
        f"the next may come in {waiting} ns"
    )
    return Denial(RiskCode.ORDER_RATE, text, limit + 1, limit)


def _repeated(case: Case) -> Denial | None:
    account, order = case.account_limits, case.order
    interval, limit = account.repeat_interval_ns, account.max_repeats
    waiting = case.repeats.waiting(same_order(order), case.now, interval, limit)
    if not waiting:
        return None
    text = (
        f"{order.strategy} sent the same order more than {limit} times within "
        f"{account.repeat_window} ns; it may come again in {waiting} ns"
    )
    return Denial(RiskCode.REPEATED_ORDER, text, limit + 1, limit)


CHECKS: tuple[Check, ...] = (
    _halted,
    _duplicate,
    _contradiction,
    _stale,
    _book_not_live,
    _empty_book,
    _price_filter,
    _lot_filter,
    _min_notional,
    _max_order_qty,
    _max_order_notional,
    _price_collar,
    _reducing_only,
    _max_position,
    _max_account_position,
    _max_gross_exposure,
    _max_open_orders,
    _order_rate,
    _repeated,
)
"""Every check, in the order of `RiskCode`."""
