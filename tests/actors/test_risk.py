from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.events.accounts import RiskLimitExceeded, TradingState, TradingStateChanged
from actors.events.durations import DAY
from actors.events.event import Event
from actors.events.market import Side, TopOfBook
from actors.events.orders import (
    CancelAll,
    FillCorrected,
    OrderApproved,
    OrderFilled,
    SubmitOrder,
)
from actors.events.system import HaltTrading, ResumeTrading
from actors.model.exposure import Exposure, Exposures
from actors.risk import Risk
from actors.runtime.actor import Actor
from actors.testing import SECOND, SystemTest
from tests.kit.builders import (
    CURRENCIES,
    ETHUSDT,
    INSTRUMENTS,
    accepted,
    buy,
    canceled,
    expired,
    filled,
    pnl,
    position,
    rejected,
    top,
)
from tests.kit.risk_kit import BTC, an_order, code_of, denied, risk


def test_an_order_within_all_limits_is_approved() -> None:
    assert risk().given(buy(6)) == [OrderApproved(buy(6))]


def test_orders_in_flight_together_cannot_pass_the_position_limit() -> None:
    kit = risk(max_position={BTC: "0.0001"})
    second = an_order(2, Side.BUY, 5)
    text = "worst-case position 0.00011 of maker in BTCUSDT.SIM exceeds limit 0.00010"

    assert kit.given(an_order(1, Side.BUY, 6)) == [OrderApproved(an_order(1, Side.BUY, 6))]
    assert kit.given(second) == [
        denied(second, "MAX_POSITION", text, 11, 10),
        RiskLimitExceeded("MAX_POSITION", "maker", BTC, 11, 10, text),
    ]


def test_a_fill_turns_reserve_into_position() -> None:
    kit = risk(max_position={BTC: "0.0001"})
    kit.given(buy(6), filled(buy(6), 4))

    assert kit.state.exposures.of_account(BTC) == Exposure(qty=4, buying=2, open_orders=1)
    assert code_of(kit.given(an_order(2, Side.BUY, 5))) == "MAX_POSITION"
    assert code_of(kit.given(an_order(3, Side.BUY, 4))) == "OrderApproved"


@pytest.mark.parametrize(
    "end",
    [
        canceled(buy(6)),
        expired(buy(6)),
        rejected(buy(6)),
        denied(buy(6), "DUPLICATE_ORDER_ID", "the OMS knows it already"),
    ],
)
def test_an_order_that_ends_gives_its_reserve_back(end: Event) -> None:
    kit = risk(max_position={BTC: "0.0001"})
    kit.given(buy(6), end)

    assert kit.state.exposures.of_account(BTC) == Exposure()
    assert code_of(kit.given(an_order(2, Side.BUY, 10))) == "OrderApproved"


def test_a_late_fill_of_a_canceled_order_still_counts_as_position() -> None:
    kit = risk()
    kit.given(buy(6), canceled(buy(6)), filled(buy(6), 6, leaves_qty=0))

    assert kit.state.exposures.of_strategy("maker", BTC) == Exposure(
        qty=6, unconfirmed=[("E-fill", 6)]
    )


def test_an_order_that_works_unapproved_reserves_what_it_may_fill() -> None:
    kit = risk(max_account_position={BTC: "0.0001"})
    kit.given(accepted(an_order(1, Side.BUY, 6, strategy="EXTERNAL")))

    assert code_of(kit.given(an_order(2, Side.BUY, 5))) == "MAX_ACCOUNT_POSITION"
    kit.given(accepted(an_order(1, Side.BUY, 6, strategy="EXTERNAL")))
    assert kit.state.exposures.of_account(BTC) == Exposure(buying=6, open_orders=1)
    kit.given(canceled(an_order(1, Side.BUY, 6, strategy="EXTERNAL")))
    assert kit.state.exposures.of_account(BTC) == Exposure()


def test_the_real_fill_counts_in_the_place_of_the_inferred_one() -> None:
    kit = risk()
    guess = replace(filled(buy(6), 6, exec_id="i1"), last_px=0, inferred=True, amount=60_000)
    kit.given(buy(6), guess, FillCorrected("i1", filled(buy(6), 2, cum_qty=6)))

    assert kit.state.exposures.of_account(BTC) == Exposure(qty=2)


def test_what_a_real_fill_leaves_of_an_inferred_one_is_reserved_until_it_is_inferred_again() -> (
    None
):
    kit = risk()
    guess = replace(filled(buy(6), 4, exec_id="i1"), last_px=0, inferred=True, amount=40_000)
    rest = replace(guess, last_qty=3, exec_id="i2")
    kit.given(buy(6), guess, FillCorrected("i1", filled(buy(6), 1, cum_qty=4)))

    assert kit.state.exposures.of_account(BTC) == Exposure(qty=1, buying=5, open_orders=1)
    kit.given(rest)
    assert kit.state.exposures.of_account(BTC) == Exposure(qty=4, buying=2, open_orders=1)


def test_a_fill_in_another_instrument_takes_the_reserve_of_its_order_where_that_is() -> None:
    kit = risk()
    elsewhere = replace(filled(buy(6), 6), instrument=ETHUSDT.instrument, side=Side.SELL)
    kit.given(buy(6), elsewhere)

    assert kit.state.exposures.of_account(BTC) == Exposure()
    assert kit.state.exposures.of_account(ETHUSDT.instrument) == Exposure(qty=-6)


def test_a_position_beyond_its_limit_may_be_reduced_but_not_grow() -> None:
    kit = risk(max_position={BTC: "0.0001"})
    kit.given(position(25))

    assert code_of(kit.given(an_order(1, Side.BUY, 1))) == "MAX_POSITION"
    assert code_of(kit.given(an_order(2, Side.SELL, 25))) == "OrderApproved"


def test_the_account_limit_sums_all_strategies() -> None:
    kit = risk(max_account_position={BTC: "0.0001"})
    kit.given(an_order(1, Side.BUY, 6, strategy="maker"))

    assert code_of(kit.given(an_order(2, Side.BUY, 5, strategy="taker"))) == "MAX_ACCOUNT_POSITION"


def test_strategies_have_position_limits_of_their_own() -> None:
    kit = risk(max_position={BTC: "0.0001"})
    kit.given(an_order(1, Side.BUY, 10, strategy="maker"))

    assert code_of(kit.given(an_order(2, Side.BUY, 10, strategy="taker"))) == "OrderApproved"


def test_a_halt_denies_orders_and_cancels_what_is_open() -> None:
    kit = risk()

    assert kit.given(HaltTrading("by hand")) == [
        TradingStateChanged(TradingState.HALTED, "by hand"),
        CancelAll("by hand"),
    ]
    assert code_of(kit.given(buy(6))) == "TRADING_HALTED"


def test_a_second_halt_cancels_again_but_changes_no_state() -> None:
    kit = risk()
    kit.given(HaltTrading("by hand"))

    assert kit.given(HaltTrading("again")) == [CancelAll("again")]


def test_trading_resumes_by_hand() -> None:
    kit = risk()
    kit.given(HaltTrading("by hand"))

    assert kit.given(ResumeTrading("all clear")) == [
        TradingStateChanged(TradingState.ACTIVE, "all clear")
    ]
    assert code_of(kit.given(buy(6))) == "OrderApproved"


def test_a_halt_survives_a_snapshot_of_the_state() -> None:
    kit = risk()
    kit.given(HaltTrading("by hand"))
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(kit.state), type=Risk.State)

    assert restored == kit.state
    assert restored.trading_state is TradingState.HALTED


def test_a_loss_beyond_the_days_limit_halts_and_cancels() -> None:
    kit = risk(max_daily_loss={"USDT": "0.0001"}, loss_confirmations=1)
    text = "day's loss 0.00010001 USDT exceeds limit 0.00010000; 1 in a row"

    assert kit.given(pnl(-10_000)) == []
    assert kit.given(pnl(-10_001)) == [
        RiskLimitExceeded("DAILY_LOSS", "", "", 10_001, 10_000, text),
        TradingStateChanged(TradingState.HALTED, text),
        CancelAll(text),
        HaltTrading(text, "risk-0-1", owner="risk", since=kit.now),
    ]
    assert kit.given(pnl(-10_002)) == []


def test_the_days_loss_adds_up_over_strategies_and_instruments() -> None:
    kit = risk(max_daily_loss={"USDT": "0.0001"}, loss_confirmations=1)

    assert kit.given(pnl(-6_000), pnl(-4_000, instrument=ETHUSDT.instrument)) == []
    assert kit.given(pnl(-1, strategy="taker")) != []


def test_a_new_day_counts_losses_anew() -> None:
    kit = risk(max_daily_loss={"USDT": "0.0001"}, loss_confirmations=1)
    kit.given(pnl(-9_000))
    kit.advance(DAY)

    assert kit.given(pnl(-19_000)) == []
    assert kit.given(pnl(-19_001)) != []


def test_resuming_gives_no_new_budget_the_days_loss_stays() -> None:
    kit = risk(max_daily_loss={"USDT": "0.0001"}, loss_confirmations=1)
    resumed = kit.given(pnl(-10_001), ResumeTrading("accepted"))
    halted = kit.given(pnl(-10_001))

    assert resumed[-1:] == [TradingStateChanged(TradingState.ACTIVE, "accepted")]
    assert [type(event) for event in halted][1:] == [
        TradingStateChanged,
        CancelAll,
        HaltTrading,
    ]


def test_one_bad_mark_does_not_halt_three_in_a_row_do() -> None:
    kit = risk(max_daily_loss={"USDT": "0.0001"}, loss_confirmations=3)

    assert kit.given(pnl(-10_001), pnl(-5), pnl(-10_001), pnl(-10_001)) == []
    assert kit.given(pnl(-10_001))[1:2] == [
        TradingStateChanged(
            TradingState.HALTED,
            "day's loss 0.00010001 USDT exceeds limit 0.00010000; 3 in a row",
        )
    ]


def test_a_position_told_after_the_first_order_counts() -> None:
    kit = risk(max_position={BTC: "0.0001"})
    kit.given(buy(6), position(4))

    assert kit.state.exposures.of_account(BTC) == Exposure(qty=4, buying=6, open_orders=1)
    assert code_of(kit.given(an_order(2, Side.BUY, 1))) == "MAX_POSITION"


def test_what_positions_say_holds_and_fills_behind_it_are_added() -> None:
    kit = risk()
    kit.given(filled(buy(6), 2, exec_id="E-1"), filled(buy(6), 3, cum_qty=5, exec_id="E-2"))

    kit.given(position(12, exec_id="E-1"))  # ten were there before the first of these fills
    assert kit.state.exposures.of_strategy("maker", BTC).qty == 15
    kit.given(position(15, exec_id="E-2"))
    assert kit.state.exposures.of_account(BTC).qty == 15


def test_reducing_lets_only_orders_through_that_cannot_open() -> None:
    kit = risk(max_daily_loss={"USDT": "0"}, on_daily_loss="REDUCING", loss_confirmations=1)
    kit.given(position(10), pnl(-1))

    assert code_of(kit.given(an_order(1, Side.BUY, 1))) == "REDUCING_ONLY"
    assert code_of(kit.given(an_order(2, Side.SELL, 6))) == "OrderApproved"
    assert code_of(kit.given(an_order(3, Side.SELL, 5))) == "REDUCING_ONLY"
    assert code_of(kit.given(an_order(4, Side.SELL, 4))) == "OrderApproved"


def test_a_position_of_an_own_order_is_not_counted_a_second_time() -> None:
    kit = risk()
    kit.given(buy(6), filled(buy(6), 6), position(6))

    assert kit.state.exposures.of_account(BTC) == Exposure(qty=6)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["submit", "fill", "cancel"]),
        st.integers(0, 5),
        st.sampled_from(list(Side)),
        st.integers(1, 8),
        st.sampled_from(["maker", "taker"]),
    ),
    max_size=60,
)


@given(STEPS)
def test_no_sequence_of_orders_and_fills_passes_a_limit_or_leaks_a_reserve(
    steps: list[tuple[str, int, Side, int, str]],
) -> None:
    limit, account_limit = 10, 15
    kit = risk(max_position={BTC: "0.0001"}, max_account_position={BTC: "0.00015"})
    open_orders: dict[int, tuple[SubmitOrder, int]] = {}
    for n, (action, which, side, qty, strategy) in enumerate(steps):
        if action == "submit":
            new = an_order(n, side, qty, strategy=strategy)
            if kit.given(new) == [OrderApproved(new)]:
                open_orders[n] = (new, 0)
        elif open_orders:
            key = list(open_orders)[which % len(open_orders)]
            of, cum_qty = open_orders[key]
            if action == "cancel":
                kit.given(canceled(of, cum_qty=cum_qty))
                del open_orders[key]
            else:
                done = min(qty, of.qty - cum_qty)
                kit.given(filled(of, done, cum_qty=cum_qty + done))
                open_orders[key] = (of, cum_qty + done)
                if cum_qty + done == of.qty:
                    del open_orders[key]
        exposures = kit.state.exposures
        assert exposures.of_account(BTC).worst_qty <= account_limit
        assert all(
            exposures.of_strategy(name, BTC).worst_qty <= limit for name in ("maker", "taker")
        )
    for of, cum_qty in open_orders.values():
        kit.given(canceled(of, cum_qty=cum_qty))
    exposures = kit.state.exposures
    account = exposures.of_account(BTC)
    assert (account.buying, account.selling, account.open_orders) == (0, 0, 0)
    assert account.qty == sum(exposures.of_strategy(s, BTC).qty for s in ("maker", "taker"))
    assert exposures.reservations == {}


def test_exposures_without_orders_are_all_zero() -> None:
    assert Exposures().of_account(BTC) == Exposure()
    assert Exposures().of_strategy("maker", BTC) == Exposure()


class Facts(Actor):
    """Stands in for order management and for market data."""

    outputs = {"orders": (OrderFilled,), "top": (TopOfBook,)}


@pytest.mark.parametrize(
    ("stream", "state"),
    [("facts.orders", TradingState.HALTED), ("facts.top", TradingState.ACTIVE)],
)
def test_a_reset_halts_where_facts_about_orders_may_have_been_missed(
    stream: str, state: TradingState
) -> None:
    system = SystemTest(instruments=INSTRUMENTS, currencies=CURRENCIES)
    system.add("facts", Facts)
    gate = system.add("risk", Risk, inputs=["facts.orders", "facts.top"])
    system.connect()
    [reader] = [each for each in gate.context.inputs if each.source.name == stream]
    system.node.supervisor.reset(reader, "fell beyond the tail")
    system.run(SECOND)

    assert gate.state.trading_state is state
    assert system.emitted("risk.control") == (
        [CancelAll("exposure unknown: facts.orders was reset (fell beyond the tail)")]
        if state is TradingState.HALTED
        else []
    )


class Impostor(Actor):
    """Asks for an order in the name that a setting gives it."""

    class Settings(Actor.Settings):
        poses_as: str

    outputs = {"orders": (SubmitOrder,)}

    settings: Impostor.Settings

    def on_start(self) -> None:
        self.emit(an_order(1, Side.BUY, 6, strategy=self.settings.poses_as))


class Agent(Impostor):
    """Asks for orders in the name of those that it works for."""

    role = "execution"


@pytest.mark.parametrize(
    ("sender", "name", "code"),
    [
        (Impostor, "maker", "FOREIGN_STRATEGY"),
        (Impostor, "sender", "OrderApproved"),
        (Agent, "maker", "OrderApproved"),
    ],
)
def test_only_execution_asks_for_orders_in_another_s_name(
    sender: type[Actor], name: str, code: str
) -> None:
    system = SystemTest(instruments=INSTRUMENTS, currencies=CURRENCIES)
    system.add("tops", Tops)
    system.add("sender", sender, settings={"poses_as": name})
    system.add("risk", Risk, inputs=["tops.top", "sender.orders"])
    system.run(SECOND)

    assert code_of(system.emitted("risk.decisions")) == code


class Tops(Actor):
    """Tells one top of the book."""

    outputs = {"top": (TopOfBook,)}

    def on_start(self) -> None:
        self.emit(top())
