from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.events.accounts import FeePaid, PositionUpdated
from actors.events.market import Side
from actors.events.orders import FillCorrected, OrderFilled, SubmitOrder
from actors.events.reference import Instrument
from actors.model.money import notional
from actors.positions import PositionKeeper
from actors.testing import ActorTest
from tests.kit.builders import (
    BTCUSD_INVERSE,
    BTCUSDT,
    ETHUSDT,
    INSTRUMENTS,
    buy,
    filled,
    order,
    sell,
)

BTC = BTCUSDT.instrument


def keeper() -> ActorTest:
    return ActorTest(PositionKeeper, instruments=INSTRUMENTS, name="positions")


def test_a_fill_makes_a_position_with_its_cost_and_cash_flow() -> None:
    assert keeper().given(filled(buy(10), 4, fee=3)) == [
        PositionUpdated(
            strategy="maker",
            instrument=BTC,
            qty=4,
            cost=400_000,
            realized=0,
            fees=3,
            exec_id="E-fill",
            bought_qty=4,
            sold_qty=0,
            cash_flow=-400_000,
        )
    ]


def test_closing_realizes_the_difference() -> None:
    kit = keeper()
    kit.given(filled(buy(10), 10))

    assert kit.given(filled(sell(4, 11_000), 4, exec_id="E-2")) == [
        PositionUpdated("maker", BTC, 6, 600_000, 40_000, 0, "E-2", 10, 4, -560_000)
    ]


def test_a_fee_in_another_currency_is_told_apart() -> None:
    kit = keeper()

    assert kit.given(filled(buy(10), 10, fee=7, fee_currency="BNB")) == [
        FeePaid("maker", BTC, "BNB", 7, "E-fill"),
        PositionUpdated("maker", BTC, 10, 1_000_000, 0, 0, "E-fill", 10, 0, -1_000_000),
    ]
    assert kit.state.positions["maker"][BTC].fees == {"BNB": 7}


def test_a_rebate_lowers_the_fees() -> None:
    kit = keeper()
    kit.given(filled(buy(10), 5, fee=10))
    kit.given(filled(buy(10), 5, fee=-4, exec_id="E-2"))

    assert kit.state.positions["maker"][BTC].fees == {"USDT": 6}


def test_strategies_and_instruments_have_positions_of_their_own() -> None:
    kit = keeper()
    taker = order(Side.SELL, 3, strategy="taker")
    ether = order(Side.BUY, 2, instrument=ETHUSDT.instrument)
    kit.given(filled(buy(10), 10), filled(taker, 3, exec_id="E-2"), filled(ether, 2))
    held = {
        (strategy, instrument): position.qty
        for strategy, positions in kit.state.positions.items()
        for instrument, position in positions.items()
    }

    assert held == {("maker", BTC): 10, ("taker", BTC): -3, ("maker", ETHUSDT.instrument): 2}


def test_a_fill_is_booked_once() -> None:
    kit = keeper()
    once = filled(buy(10), 4, fee=3)

    assert len(kit.given(once)) == 1
    assert kit.given(once, once) == []
    assert kit.state.positions["maker"][BTC].qty == 4


def test_one_trade_id_in_two_instruments_or_of_two_orders_is_booked_for_each() -> None:
    kit = keeper()
    ether = order(Side.BUY, 2, instrument=ETHUSDT.instrument, client_order_id="0-execution-2")
    other = sell(10, client_order_id="0-execution-3")
    kit.given(filled(buy(10), 4), filled(ether, 2), filled(other, 3))

    assert kit.state.positions["maker"][ETHUSDT.instrument].qty == 2
    assert kit.state.positions["maker"][BTC].qty == 1


def test_a_fill_that_contradicts_one_of_the_same_id_stops_the_keeper() -> None:
    kit = keeper()
    kit.given(filled(buy(10), 4))

    with pytest.raises(ValueError, match="was BUY 4 at 10000, now BUY 5 at 10000"):
        kit.given(filled(buy(10), 5))


def inferred(of: SubmitOrder, qty: int, amount: int, exec_id: str) -> OrderFilled:
    fill = filled(of, qty, exec_id=exec_id)
    return replace(fill, last_px=0, fee_currency="", inferred=True, amount=amount)


def test_an_inferred_fill_is_booked_with_its_amount() -> None:
    [update] = keeper().given(inferred(buy(10), 4, 400_123, "i1"))

    assert isinstance(update, PositionUpdated)
    assert (update.qty, update.cost, update.cash_flow) == (4, 400_123, -400_123)


def test_the_real_fill_changes_cost_and_no_profit_while_the_position_is_open() -> None:
    kit = keeper()
    kit.given(filled(buy(10), 5), inferred(buy(10), 4, 400_123, "i1"))
    real = filled(buy(10), 4, px=9_998, exec_id="E-2", fee=3)

    [update] = kit.given(FillCorrected("i1", real))
    assert isinstance(update, PositionUpdated)
    assert (update.qty, update.bought_qty, update.fees) == (9, 9, 3)
    assert (update.cost, update.realized) == (5 * 10_000 * 10 + 4 * 9_998 * 10, 0)
    assert update.cash_flow == -update.cost
    assert kit.given(real) == []


def test_the_real_fill_of_a_closed_position_changes_its_profit() -> None:
    kit, plain = keeper(), keeper()
    real, sale = filled(buy(4), 4, px=9_998, exec_id="E-2"), filled(sell(4), 4, exec_id="E-3")
    kit.given(inferred(buy(4), 4, 400_123, "i1"), sale)
    plain.given(real, sale)

    [update] = kit.given(FillCorrected("i1", real))
    [expected] = plain.actor.snapshot("positions")
    assert isinstance(update, PositionUpdated)
    assert replace(update, exec_id="E-3") == expected


def test_a_correction_of_a_fill_that_was_not_inferred_stops_the_keeper() -> None:
    with pytest.raises(ValueError, match="which is not inferred"):
        keeper().given(FillCorrected("i1", filled(buy(10), 4)))


def test_a_new_reader_gets_every_position() -> None:
    kit = keeper()
    told = [
        *kit.given(filled(buy(10), 10)),
        *kit.given(filled(order(Side.SELL, 3, strategy="taker"), 3, exec_id="E-2")),
    ]

    assert list(kit.actor.snapshot("positions")) == told
    assert list(kit.actor.snapshot("fees")) == []


FILLS = st.lists(
    st.tuples(
        st.sampled_from(INSTRUMENTS),
        st.sampled_from(list(Side)),
        st.integers(1, 1_000),
        st.integers(1, 10**6),
        st.sampled_from(["maker", "taker"]),
    ),
    max_size=25,
)


@given(FILLS)
def test_positions_equal_the_fills_and_profit_equals_cash_when_all_is_closed(
    fills: list[tuple[Instrument, Side, int, int, str]],
) -> None:
    kit = keeper()
    held: dict[tuple[str, str], int] = {}
    for instrument, side, qty, px, strategy in fills:
        name = instrument.instrument
        kit.given(fill_of(strategy, name, side, qty, px))
        held[strategy, name] = held.get((strategy, name), 0) + side * qty
    for (strategy, name), qty in held.items():
        assert kit.state.positions[strategy][name].qty == qty
        if qty:
            side = Side.SELL if qty > 0 else Side.BUY
            kit.given(fill_of(strategy, name, side, abs(qty), 500_000))
        position = kit.state.positions[strategy][name]
        assert (position.qty, position.cost) == (0, 0)
        assert position.realized == position.cash_flow


NUMBERS = count(1)


def fill_of(strategy: str, instrument: str, side: Side, qty: int, px: int) -> OrderFilled:
    of = order(side, qty, px, strategy=strategy, instrument=instrument)
    return filled(of, qty, exec_id=f"E-{next(NUMBERS)}")


def test_an_inverse_purchase_brings_its_amount_in_base_currency() -> None:
    perpetual = BTCUSD_INVERSE.instrument
    amount = notional(BTCUSD_INVERSE, 4, 400_000)

    [update] = keeper().given(fill_of("maker", perpetual, Side.BUY, 4, 400_000))
    assert isinstance(update, PositionUpdated)
    assert (update.qty, update.cost, update.cash_flow) == (4, amount, amount)
