from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actors.events.accounts import RiskLimitExceeded
from actors.events.event import LARGEST
from actors.events.market import BookState, Side
from actors.events.order_words import OrderType, TimeInForce
from actors.events.orders import OrderApproved, OrderDenied, SubmitOrder
from actors.events.system import HaltTrading, StreamStale
from actors.model.position import Position
from actors.model.risk_order import worst_px
from actors.risk import Risk
from actors.runtime import codec
from actors.testing import SECOND
from tests.kit.builders import (
    BTCUSD_INVERSE,
    BTCUSDT,
    ETHUSDT,
    INSTRUMENTS,
    book_is,
    buy,
    canceled,
    filled,
    order,
    position,
    sell,
    top,
    with_filters,
)
from tests.kit.risk_kit import BTC, LIVE, ONE, an_order, code_of, denied, risk


def test_a_limit_not_named_for_the_instrument_falls_to_the_star() -> None:
    kit = risk(max_order_qty={ETHUSDT.instrument: "5", "*": "0.001"})

    assert code_of(kit.given(an_order(1, Side.BUY, 101))) == "MAX_ORDER_QTY"


def test_a_limit_in_an_unknown_currency_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"limit in 'USDC', allowed are BTC, ETH, USDT and '\*'"):
        risk(max_daily_loss={"USDC": "1"})


def test_a_limit_for_an_unknown_instrument_is_refused_with_the_settings() -> None:
    context = {"instruments": [BTC]}
    Risk.Settings.model_validate({"max_position": {BTC: "1", "*": "2"}}, context=context)

    with pytest.raises(ValidationError, match=r"no instrument 'BTCUSD\.SIM'; did you mean"):
        Risk.Settings.model_validate({"max_position": {"BTCUSD.SIM": "1"}}, context=context)


def test_an_unknown_instrument_is_denied() -> None:
    lost = order(Side.BUY, 1, instrument="XRPUSDT.SIM")

    assert risk((BTCUSDT,)).given(lost) == [
        denied(lost, "UNKNOWN_INSTRUMENT", "instrument 'XRPUSDT.SIM' is not one of: BTCUSDT.SIM")
    ]


def test_an_order_id_is_used_once_even_after_its_order_ended() -> None:
    kit = risk()
    kit.given(buy(6), filled(buy(6), 6))

    assert kit.given(buy(6)) == [
        denied(buy(6), "DUPLICATE_ORDER_ID", "client_order_id '0-execution-1' was used before")
    ]


def test_old_ids_are_forgotten_but_never_those_of_open_orders() -> None:
    kit = risk(remembered_orders=1)
    kit.given(an_order(1, Side.BUY, 1))
    for n in (2, 3, 4):
        kit.given(an_order(n, Side.BUY, 1), filled(an_order(n, Side.BUY, 1), 1))

    assert list(kit.state.known_ids) == ["0-execution-4"]
    assert code_of(kit.given(an_order(1, Side.BUY, 1))) == "DUPLICATE_ORDER_ID"


def test_nothing_is_approved_on_stale_input() -> None:
    kit = risk()
    kit.given(StreamStale("book.top", "no link"))

    assert kit.given(buy(6)) == [
        denied(
            buy(6),
            "STALE_INPUT",
            "risk decides only on current input; stale: book.top (no link)",
        )
    ]


@pytest.mark.parametrize("state", [s for s in BookState if s is not BookState.LIVE])
def test_nothing_is_approved_on_a_book_that_is_not_live(state: BookState) -> None:
    kit = risk()
    kit.given(book_is(state))

    assert kit.given(buy(6)) == [
        denied(buy(6), "BOOK_NOT_LIVE", f"the book of BTCUSDT.SIM is {state}")
    ]


def test_a_top_from_before_a_gap_is_not_used_after_it() -> None:
    kit = risk()
    kit.given(book_is(BookState.GAP), top(), LIVE)

    assert code_of(kit.given(buy(6))) == "EMPTY_BOOK"
    kit.given(top(update_id=2))
    assert code_of(kit.given(buy(6))) == "OrderApproved"


def test_a_market_order_needs_someone_to_trade_with() -> None:
    kit = risk()
    kit.given(top(ask_px=0))

    assert kit.given(an_order(1, Side.BUY, 6, 0)) == [
        denied(an_order(1, Side.BUY, 6, 0), "EMPTY_BOOK", "BTCUSDT.SIM: no ask to trade with")
    ]
    assert code_of(kit.given(an_order(2, Side.SELL, 6, 0))) == "OrderApproved"


def test_a_limit_order_may_be_the_first_on_its_side() -> None:
    kit = risk()
    kit.given(top(ask_px=0))

    assert code_of(kit.given(sell(6, 10_001))) == "OrderApproved"


def test_a_book_of_one_instrument_says_nothing_about_another() -> None:
    ether = order(Side.BUY, 1, instrument=ETHUSDT.instrument)

    assert code_of(risk().given(ether)) == "EMPTY_BOOK"


@pytest.mark.parametrize(
    ("filters", "px", "problem"),
    [
        ({}, -1, "price -0.01: the limit price must be positive"),
        ({"tick_size": 3}, 10_000, "price 100.00: not a multiple of the tick size 0.03"),
        ({"min_px": 10_001}, 10_000, "price 100.00: below the venue's minimum 100.01"),
        ({"max_px": 9_999}, 10_000, "price 100.00: above the venue's maximum 99.99"),
    ],
)
def test_a_price_outside_the_venues_filters_is_denied(
    filters: Mapping[str, int], px: int, problem: str
) -> None:
    kit = risk((with_filters(BTCUSDT, **filters),))

    assert kit.given(buy(6, px)) == [denied(buy(6, px), "PRICE_FILTER", problem)]


@pytest.mark.parametrize(
    ("filters", "qty", "problem"),
    [
        ({}, 0, "quantity 0.00000: the quantity must be positive"),
        ({"lot_size": 5}, 6, "quantity 0.00006: not a multiple of the lot size 0.00005"),
        ({"min_qty": 7}, 6, "quantity 0.00006: below the venue's minimum 0.00007"),
        ({"max_qty": 5}, 6, "quantity 0.00006: above the venue's maximum 0.00005"),
    ],
)
def test_a_quantity_outside_the_venues_filters_is_denied(
    filters: Mapping[str, int], qty: int, problem: str
) -> None:
    kit = risk((with_filters(BTCUSDT, **filters),))

    assert kit.given(buy(qty)) == [denied(buy(qty), "LOT_FILTER", problem)]


def test_an_order_below_the_venues_least_amount_is_denied() -> None:
    kit = risk((with_filters(BTCUSDT, min_notional=600_001),))

    assert kit.given(buy(6)) == [
        denied(
            buy(6),
            "MIN_NOTIONAL",
            "order of 0.00600000 USDT is below the venue's minimum 0.00600001 USDT",
        )
    ]


def test_an_order_above_the_largest_amount_is_denied() -> None:
    text = "order of 0.00600000 USDT exceeds limit 0.00500000 USDT"

    assert risk(max_order_notional={BTC: "0.005"}).given(buy(6)) == [
        denied(buy(6), "MAX_ORDER_NOTIONAL", text, 600_000, 500_000),
        RiskLimitExceeded("MAX_ORDER_NOTIONAL", "maker", BTC, 600_000, 500_000, text),
    ]


def test_a_market_order_is_judged_at_the_far_side() -> None:
    kit = risk(max_order_notional={BTC: "1000"})
    kit.given(top(bid_px=99_000, ask_px=101_000))

    assert code_of(kit.given(an_order(1, Side.BUY, ONE, 0))) == "MAX_ORDER_NOTIONAL"
    assert code_of(kit.given(an_order(2, Side.SELL, ONE, 0))) == "OrderApproved"


@pytest.mark.parametrize(
    ("side", "px"),
    [(Side.BUY, 800_000), (Side.BUY, 0), (Side.SELL, 200_000), (Side.SELL, 0)],
)
def test_an_inverse_order_is_judged_at_the_lowest_price_that_it_may_meet(
    side: Side, px: int
) -> None:
    inverse = BTCUSD_INVERSE.instrument
    kit = risk(price_collar_bps=0, max_order_notional={inverse: "0.01"})
    kit.given(top(400_000, 400_001, instrument=inverse))
    lowest = px if px and side is Side.SELL else 400_000

    fits = lowest // 100_000  # contracts of 100 USD that 0.01 BTC is worth
    assert code_of(kit.given(an_order(1, side, fits, px, instrument=inverse))) == "OrderApproved"
    beyond = an_order(2, side, fits + 1, px, instrument=inverse)
    assert code_of(kit.given(beyond)) == "MAX_ORDER_NOTIONAL"


@pytest.mark.parametrize(("px", "fine"), [(10_101, True), (10_102, False), (9_899, False)])
def test_a_price_far_outside_the_spread_is_denied(px: int, fine: bool) -> None:
    code = code_of(risk(price_collar_bps=100).given(buy(6, px)))

    assert code == ("OrderApproved" if fine else "PRICE_COLLAR")


def test_a_collared_price_is_explained() -> None:
    text = "limit price 110.00 is 999 basis points outside the spread 99.99 / 100.01, limit 500"

    assert risk().given(buy(6, 11_000)) == [
        denied(buy(6, 11_000), "PRICE_COLLAR", text, 999, 500),
        RiskLimitExceeded("PRICE_COLLAR", "maker", BTC, 999, 500, text),
    ]


def test_gross_exposure_adds_up_over_the_instruments_of_one_currency() -> None:
    kit = risk(max_gross_exposure={"USDT": "250"})
    kit.given(top(instrument=ETHUSDT.instrument))
    bitcoin = an_order(1, Side.BUY, ONE)
    ether = an_order(2, Side.SELL, ETHUSDT.qty("2"), instrument=ETHUSDT.instrument)

    assert code_of(kit.given(bitcoin)) == "OrderApproved"
    assert kit.given(ether) == [
        denied(
            ether,
            "MAX_GROSS_EXPOSURE",
            text := "gross exposure 300.00000000 USDT exceeds limit 250.00000000 USDT",
            300 * 10**8,
            250 * 10**8,
        ),
        RiskLimitExceeded(
            "MAX_GROSS_EXPOSURE", "maker", ETHUSDT.instrument, 300 * 10**8, 250 * 10**8, text
        ),
    ]


def test_gross_exposure_of_an_inverse_instrument_counts_in_its_own_currency() -> None:
    kit = risk(max_gross_exposure={"USDT": "0", "BTC": "0.01"})
    kit.given(top(399_999, 400_001, instrument=BTCUSD_INVERSE.instrument))
    whole = an_order(1, Side.BUY, 4, 400_000, instrument=BTCUSD_INVERSE.instrument)
    beyond = an_order(2, Side.BUY, 1, 400_000, instrument=BTCUSD_INVERSE.instrument)

    assert code_of(kit.given(whole)) == "OrderApproved"
    assert code_of(kit.given(beyond)) == "MAX_GROSS_EXPOSURE"


@pytest.mark.parametrize("settled_in", ["USDT", "BTC"])
def test_gross_exposure_leaves_out_what_settles_in_another_currency(settled_in: str) -> None:
    kit = risk(max_gross_exposure={"USDT": "200", "BTC": "0.01"})
    inverse = BTCUSD_INVERSE.instrument
    kit.given(top(instrument=ETHUSDT.instrument), top(399_999, 400_001, instrument=inverse))
    kit.given(position(2, instrument=inverse), position(ONE))
    if settled_in == "USDT":
        whole = an_order(1, Side.BUY, ETHUSDT.qty("1"), instrument=ETHUSDT.instrument)
        beyond = an_order(2, Side.BUY, 1, instrument=ETHUSDT.instrument)
    else:
        whole = an_order(1, Side.BUY, 2, 400_000, instrument=inverse)
        beyond = an_order(2, Side.BUY, 1, 400_000, instrument=inverse)

    assert code_of(kit.given(whole)) == "OrderApproved"
    assert code_of(kit.given(beyond)) == "MAX_GROSS_EXPOSURE"


def test_a_position_that_nothing_values_denies_what_adds_to_the_gross_exposure() -> None:
    kit = risk(max_gross_exposure={"USDT": "250"})
    kit.given(position(ETHUSDT.qty("2"), instrument=ETHUSDT.instrument))
    bitcoin = an_order(1, Side.BUY, ONE)
    text = "gross exposure is not known: no mark yet for ETHUSDT.SIM, which is held"

    assert kit.given(bitcoin) == [denied(bitcoin, "MAX_GROSS_EXPOSURE", text)]
    kit.given(top(instrument=ETHUSDT.instrument))
    assert code_of(kit.given(an_order(2, Side.BUY, ONE // 2))) == "OrderApproved"


def test_the_same_order_again_and_again_is_throttled() -> None:
    kit = risk(max_repeats=2, repeat_window="1s")
    codes = [code_of(kit.given(an_order(n, Side.BUY, 1))) for n in range(3)]

    assert codes == ["OrderApproved", "OrderApproved", "REPEATED_ORDER"]
    assert code_of(kit.given(an_order(4, Side.BUY, 2))) == "OrderApproved"
    kit.advance(SECOND // 2)
    assert code_of(kit.given(an_order(5, Side.BUY, 1))) == "OrderApproved"


def test_an_order_that_adds_no_exposure_passes_a_full_gross_limit() -> None:
    kit = risk(max_gross_exposure={"USDT": "0"})
    kit.given(position(ONE))

    assert code_of(kit.given(an_order(1, Side.SELL, ONE))) == "OrderApproved"


def test_too_many_open_orders_are_denied_until_one_ends() -> None:
    kit = risk(max_open_orders=2)
    kit.given(an_order(1, Side.BUY, 1), an_order(2, Side.BUY, 1))

    assert code_of(kit.given(an_order(3, Side.BUY, 1))) == "MAX_OPEN_ORDERS"
    kit.given(canceled(an_order(1, Side.BUY, 1)))
    assert code_of(kit.given(an_order(4, Side.BUY, 1))) == "OrderApproved"


def test_the_venues_own_limit_of_open_orders_is_kept() -> None:
    kit = risk((with_filters(BTCUSDT, max_open_orders=1),))
    kit.given(an_order(1, Side.BUY, 1))
    text = "1 orders are open in BTCUSDT.SIM, limit 1"

    assert kit.given(an_order(2, Side.BUY, 1))[0] == denied(
        an_order(2, Side.BUY, 1), "MAX_OPEN_ORDERS", text, 1, 1
    )


def test_orders_beyond_the_burst_wait_for_the_rate() -> None:
    kit = risk(orders_per_second=10, order_burst=3)
    codes = [code_of(kit.given(an_order(n, Side.BUY, 1))) for n in range(4)]

    assert codes == ["OrderApproved"] * 3 + ["ORDER_RATE"]
    kit.advance(SECOND // 10 - 1)
    assert code_of(kit.given(an_order(5, Side.BUY, 1))) == "ORDER_RATE"
    kit.advance(1)
    assert code_of(kit.given(an_order(6, Side.BUY, 1))) == "OrderApproved"


def test_the_first_failing_check_decides() -> None:
    kit = risk(max_order_qty={BTC: "0.00001"}, max_position={BTC: "0.00001"})
    assert code_of(kit.given(buy(6, 12_000))) == "MAX_ORDER_QTY"

    kit.given(HaltTrading("by hand"))
    assert code_of(kit.given(buy(6, 12_000))) == "TRADING_HALTED"


@pytest.mark.parametrize(
    ("order_type", "time_in_force", "limit_px", "post_only", "problem"),
    [
        (OrderType.MARKET, TimeInForce.IOC, 10_000, False, "a MARKET order with a limit price"),
        (OrderType.MARKET, TimeInForce.IOC, 0, True, "a post-only MARKET order"),
        (OrderType.LIMIT, TimeInForce.GTC, 0, False, "a LIMIT order without a limit price"),
        (OrderType.LIMIT, TimeInForce.IOC, 10_000, True, "a post-only IOC order"),
        (OrderType.LIMIT, TimeInForce.FOK, 10_000, True, "a post-only FOK order"),
    ],
)
def test_an_order_that_contradicts_itself_is_denied(
    order_type: OrderType,
    time_in_force: TimeInForce,
    limit_px: int,
    post_only: bool,
    problem: str,
) -> None:
    of = msgspec.structs.replace(
        buy(6),
        order_type=order_type,
        time_in_force=time_in_force,
        limit_px=limit_px,
        post_only=post_only,
    )

    assert risk().given(of) == [denied(of, "CONTRADICTION", f"{problem} contradicts itself")]


@pytest.mark.parametrize("limit_px", [10**17, 10_000])
def test_an_order_too_large_to_count_is_denied(limit_px: int) -> None:
    kit = risk(
        (with_filters(BTCUSDT, min_notional=1),),
        max_order_qty={"*": "1e17"},
        max_order_notional={"*": "1e13"},
    )

    assert code_of(kit.given(buy(10**17, limit_px))) == "MAX_ORDER_NOTIONAL"


BOUNDS = st.one_of(
    st.integers(-LARGEST, LARGEST),
    st.integers(-10, 2_000_000),
    st.sampled_from([0, 1, 10_000, 2**31, 2**63 - 1, -(2**63), 2**64, LARGEST, -LARGEST]),
)
ORDERS = st.builds(
    SubmitOrder,
    st.just("0-execution-1"),
    st.sampled_from(["maker", "taker"]),
    st.sampled_from([i.instrument for i in INSTRUMENTS]),
    st.sampled_from(Side),
    BOUNDS,
    st.sampled_from(OrderType),
    st.sampled_from(TimeInForce),
    BOUNDS,
    st.booleans(),
)
BOUNDLESS = {
    "max_order_qty": {"*": "1e17"},
    "max_order_notional": {"*": "1e17"},
    "max_position": {"*": "1e17"},
    "max_account_position": {"*": "1e17"},
    "max_gross_exposure": {"*": "1e17"},
    "price_collar_bps": 0,
}


@given(ORDERS, BOUNDS, st.booleans(), st.booleans())
def test_risk_decides_on_whatever_order_arrives(
    new: SubmitOrder, held: int, filters: bool, boundless: bool
) -> None:
    instruments = tuple(with_filters(i, min_notional=1) for i in INSTRUMENTS) if filters else None
    kit = risk(instruments or INSTRUMENTS, **(BOUNDLESS if boundless else {}))
    for each in INSTRUMENTS:
        kit.given(top(instrument=each.instrument), position(held, instrument=each.instrument))
    emitted = kit.given(new)

    assert [type(event) for event in emitted[:1]] in ([OrderApproved], [OrderDenied])
    assert [codec.decoder(type(e))(codec.encode(e)) for e in emitted] == emitted
    if isinstance(emitted[0], OrderApproved):
        instrument = kit.actor.instruments[new.instrument]
        px = worst_px(new, top(), instrument.contract)
        Position().fill(instrument, new.side, new.qty, px)
