from __future__ import annotations

from actors.events.accounts import PnlUpdated
from actors.events.market import BookState
from actors.pnl import ProfitAndLoss
from actors.testing import SECOND, ActorTest
from tests.kit.builders import (
    BTCUSD_INVERSE,
    BTCUSDT,
    ETHUSDT,
    INSTRUMENTS,
    book_is,
    position,
    top,
)

BTC = BTCUSDT.instrument


def pnl_actor() -> ActorTest:
    return ActorTest(ProfitAndLoss, {"interval": "1s"}, instruments=INSTRUMENTS, name="pnl")


def told(
    qty: int, mark_px: int, unrealized: int, *, realized: int = 0, fees: int = 0
) -> PnlUpdated:
    net = realized + unrealized - fees
    return PnlUpdated("maker", BTC, "USDT", qty, mark_px, realized, unrealized, fees, net)


def test_a_changed_position_is_valued_at_the_mid_at_once() -> None:
    kit = pnl_actor()
    kit.given(top(9_999, 10_002))

    # 4 at 100.005 is 0.0040002, cost 0.0040000: 20 units of 10^-8
    assert kit.given(position(4, 400_000, realized=7, fees=2)) == [
        told(4, 20_001, 20, realized=7, fees=2)
    ]


def test_before_the_first_book_nothing_is_unrealized() -> None:
    assert pnl_actor().given(position(4, 400_000)) == [told(4, 0, 0)]


def test_moved_marks_are_told_once_an_interval() -> None:
    kit = pnl_actor()
    kit.given(top(), position(4, 400_000))

    assert kit.given(top(10_009, 10_011), top(10_019, 10_021)) == []
    assert kit.advance(SECOND - 1) == []
    assert kit.advance(1) == [told(4, 20_040, 800)]
    assert kit.advance(10 * SECOND) == []


def test_a_mark_that_did_not_move_is_not_told_again() -> None:
    kit = pnl_actor()
    kit.given(position(4, 400_000), top())
    kit.advance(SECOND)
    kit.given(top(update_id=2))

    assert kit.advance(SECOND) == []


def test_a_flat_position_is_not_revalued() -> None:
    kit = pnl_actor()
    kit.given(top(), position(0, 0, realized=5), top(10_009, 10_011))

    assert kit.advance(SECOND) == []


def test_a_book_that_is_not_live_leaves_the_mark_as_it_was() -> None:
    kit = pnl_actor()
    kit.given(top(), book_is(BookState.GAP), top(20_000, 20_002))

    assert kit.given(position(4, 400_000)) == [told(4, 20_000, 0)]


def test_a_book_with_one_side_leaves_the_mark_as_it_was() -> None:
    kit = pnl_actor()
    kit.given(top(), top(20_000, 0))

    assert kit.given(position(4, 400_000)) == [told(4, 20_000, 0)]


def test_an_inverse_position_is_valued_in_base_currency() -> None:
    kit = pnl_actor()
    perpetual = BTCUSD_INVERSE.instrument
    kit.given(top(499_999, 500_001, instrument=perpetual))

    assert kit.given(position(400, 100_000_000, instrument=perpetual)) == [
        PnlUpdated("maker", perpetual, "BTC", 400, 1_000_000, 0, 20_000_000, 0, 20_000_000)
    ]


def test_every_strategy_and_instrument_is_told_when_its_mark_moved() -> None:
    kit = pnl_actor()
    kit.given(
        position(4, 400_000),
        position(-2, -200_000, strategy="taker"),
        position(1, 1, instrument=ETHUSDT.instrument),
        top(10_000, 10_000),
    )

    assert [
        (p.strategy, p.instrument) for p in kit.advance(SECOND) if isinstance(p, PnlUpdated)
    ] == [("maker", BTC), ("taker", BTC)]


def test_a_new_reader_gets_every_valuation() -> None:
    kit = pnl_actor()
    kit.given(top())
    last = kit.given(position(4, 400_000))

    assert list(kit.actor.snapshot("pnl")) == last
