from __future__ import annotations

from actors.events.accounts import RiskLimitExceeded, TradingState, TradingStateChanged
from actors.events.order_words import ExecType
from actors.events.orders import (
    IntentRefused,
    OrderApproved,
    OrderSubmitted,
    OrderUnknown,
    ReconciliationCompleted,
    ReconciliationFailed,
    ReportRepeated,
    TransitionFailed,
)
from actors.events.system import HaltTrading, Heartbeat
from actors.monitor import Monitor
from actors.testing import SECOND, ActorTest
from tests.kit.builders import (
    BTCUSDT,
    accepted,
    buy,
    cancel_rejected,
    canceled,
    denied,
    expired,
    filled,
    order,
    rejected,
    sell,
)


def monitor() -> ActorTest:
    return ActorTest(Monitor, {"interval": "1s"}, name="monitor")


def test_figures_are_told_once_an_interval_by_name_and_by_strategy() -> None:
    kit = monitor()
    other = order(sell(1).side, 1, strategy="taker")

    assert kit.given(OrderApproved(buy(10)), accepted(buy(10)), filled(buy(10), 4)) == []
    assert kit.given(filled(buy(10), 6, cum_qty=10), filled(other, 1)) == []
    assert kit.advance(SECOND) == [
        Heartbeat(
            "monitor",
            (
                ("accepted", 1),
                ("approved", 1),
                ("filled", 2),
                ("fills", 3),
                ("maker.accepted", 1),
                ("maker.approved", 1),
                ("maker.filled", 1),
                ("maker.fills", 2),
                ("taker.filled", 1),
                ("taker.fills", 1),
            ),
        )
    ]


def test_figures_that_did_not_change_are_not_told_again() -> None:
    kit = monitor()
    kit.given(accepted(buy(10)))
    kit.advance(SECOND)

    assert kit.advance(10 * SECOND) == []


def test_denials_are_counted_by_code() -> None:
    kit = monitor()
    kit.given(denied(buy(10), "MAX_POSITION"), denied(buy(10), "ORDER_RATE"))

    assert kit.state.counts == {
        "denied": 2,
        "denied[MAX_POSITION]": 1,
        "denied[ORDER_RATE]": 1,
        "maker.denied": 2,
        "maker.denied[MAX_POSITION]": 1,
        "maker.denied[ORDER_RATE]": 1,
    }


def test_a_fill_behind_the_end_of_its_order_does_not_make_it_filled() -> None:
    kit = monitor()
    kit.given(canceled(buy(10)), filled(buy(10), 4, leaves_qty=0, late=True))

    assert kit.state.counts == {
        "canceled": 1, "maker.canceled": 1, "fills": 1, "maker.fills": 1,
    }  # fmt: skip


def test_a_halted_instrument_is_counted_by_its_name() -> None:
    kit = monitor()
    kit.given(HaltTrading("overfill", instrument=BTCUSDT.instrument))

    assert kit.state.counts == {"halts": 1, f"halts[{BTCUSDT.instrument}]": 1}


def test_an_intent_that_was_refused_is_counted_by_who_emitted_it() -> None:
    kit = monitor()
    kit.given(IntentRefused("maker", BTCUSDT.instrument, "g", "g trades as g, not as maker"))

    assert kit.state.counts == {"intents_refused": 1, "g.intents_refused": 1}


def test_every_end_of_an_order_and_every_alarm_is_counted() -> None:
    kit = monitor()
    kit.given(
        OrderSubmitted(buy(10)),
        rejected(buy(10)),
        canceled(buy(10)),
        expired(buy(10)),
        cancel_rejected(buy(10)),
        ReportRepeated("0-execution-1", "E-1"),
        TransitionFailed("0-execution-1", "FILLED", ExecType.TRADE, "E-1", "overfill"),
        *(OrderUnknown("0-execution-1", "maker", BTCUSDT.instrument, n) for n in (1, 2, 3)),
        ReconciliationCompleted("0-gateway-1", 0, 0),
        ReconciliationFailed("0-execution-1", BTCUSDT.instrument, "4 filled at the venue, 1 here"),
        RiskLimitExceeded("MAX_POSITION", "maker", BTCUSDT.instrument, 2, 1, "too much"),
        TradingStateChanged(TradingState.HALTED, "by hand"),
    )
    totals = {name: n for name, n in kit.state.counts.items() if "." not in name}

    assert totals == {
        "submitted": 1,
        "rejected": 1,
        "canceled": 1,
        "expired": 1,
        "cancels_rejected": 1,
        "reports_repeated": 1,
        "transitions_failed": 1,
        "unknown": 1,
        "reconciliations": 1,
        "reconciliations_failed": 1,
        "limits_exceeded": 1,
        "became_HALTED": 1,
    }
