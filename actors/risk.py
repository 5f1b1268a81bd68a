"""Risk: nothing that can increase exposure passes without its approval."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator

from actors.events.accounts import (
    PnlUpdated,
    PositionUpdated,
    RiskLimitExceeded,
    TradingState,
    TradingStateChanged,
)
from actors.events.durations import SECOND
from actors.events.event import LARGEST, Event
from actors.events.market import BookStateChanged, TopOfBook
from actors.events.orders import (
    CancelAll,
    FillCorrected,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    SubmitOrder,
)
from actors.events.reference import Instrument, from_units, to_units
from actors.events.role import Role
from actors.events.system import HaltLifted, HaltTrading, ResumeTrading, StreamReset
from actors.model.daily_pnl import DayResult
from actors.model.exposure import Exposures
from actors.model.market_view import MarketView
from actors.model.order_rate import OrderRate, Repeats
from actors.model.risk_checks import (
    first_failure,
    foreign_order_id,
    foreign_strategy,
    unknown_instrument,
)
from actors.model.risk_order import (
    AccountLimits,
    Case,
    Denial,
    InstrumentLimits,
    RiskCode,
    same_order,
    worst_px,
)
from actors.runtime.actor import Actor, handles
from actors.runtime.settings import Amount, CurrencyCode, Duration, InstrumentId
from actors.runtime.stream_name import owner_of
from actors.runtime.trading_state import HaltEntries, is_halted, lifts_of, scope_of, severity

EVERY = "*"


def _every_or(name: Any, check: ValidatorFunctionWrapHandler) -> Any:
    return name if name == EVERY else check(name)


Limit = Annotated[Amount, Field(ge=0)]
PerInstrument = dict[Annotated[InstrumentId, WrapValidator(_every_or)], Limit]
"""Decimals by instrument id; ``"*"`` is for every instrument not named."""
PerCurrency = dict[Annotated[CurrencyCode, WrapValidator(_every_or)], Limit]
"""Decimals by settle currency; ``"*"`` is for every currency not named."""


class Risk(Actor):
    """Approve or deny every order against limits, and stop trading when losses pass theirs.

    An approved order reserves its quantity until it fills or ends; a fill turns reserve into
    position in the same step. Resuming gives no new budget: the day's loss stays, and halts again
    where it is still beyond its limit.
    """

    class Settings(Actor.Settings):
        """Limits; what is not named for an instrument or a currency falls to ``"*"``."""

        max_order_qty: PerInstrument = Field(default_factory=dict)
        """Largest quantity of one order; default 10."""
        max_order_notional: PerInstrument = Field(default_factory=dict)
        """Largest amount of one order, in the settle currency; default 1,000,000."""
        max_position: PerInstrument = Field(default_factory=dict)
        """Largest worst-case position of one strategy, long or short; default 20."""
        max_account_position: PerInstrument = Field(default_factory=dict)
        """Largest worst-case position of all strategies together; default 50."""
        max_gross_exposure: PerCurrency = Field(default_factory=dict)
        """Largest sum of all worst-case positions at mid; default 5,000,000."""
        max_daily_loss: PerCurrency = Field(default_factory=dict)
        """Largest loss of a UTC day, realized and unrealized; default 100,000."""
        on_daily_loss: Literal["REDUCING", "HALTED"] = "HALTED"
        """What the daily loss limit makes of the trading state."""
        loss_confirmations: int = Field(default=3, ge=1)
        """Outside events in a row that must leave the loss beyond its limit."""
        price_collar_bps: int = Field(default=500, ge=0)
        """How far outside the spread a limit price may be, in basis points; 0 for any."""
        max_open_orders: int = Field(default=200, ge=1)
        orders_per_second: int = Field(default=100, ge=1, le=1_000_000)
        order_burst: int = Field(default=100, ge=1)
        """Orders that may come at once before the rate limits them."""
        max_repeats: int = Field(default=20, ge=1)
        """Times that a strategy may send the same order within `repeat_window`."""
        repeat_window: Duration = Field(default=SECOND, gt=0)
        remembered_orders: int = Field(default=1_000, ge=1)
        """Ended orders whose ids are still recognized as used."""

    class State(msgspec.Struct):
        """Exposure, market and result of the day, as far as approval depends on them."""

        trading_state: TradingState = TradingState.ACTIVE
        """What is in force for trading as a whole."""
        exposures: Exposures = msgspec.field(default_factory=Exposures)
        market: MarketView = msgspec.field(default_factory=MarketView)
        rate: OrderRate = msgspec.field(default_factory=OrderRate)
        repeats: Repeats = msgspec.field(default_factory=Repeats)
        day: DayResult = msgspec.field(default_factory=DayResult)
        known_ids: dict[str, bool] = {}
        """Ids of approved orders, oldest first."""
        halts: HaltEntries = msgspec.field(default_factory=HaltEntries)
        """The trading state."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "decisions": (OrderApproved, OrderDenied, HaltLifted),
        "limits": (RiskLimitExceeded, TradingStateChanged),
        "control": (CancelAll,),
        "halts": (HaltTrading,),
    }
    role = Role.APPROVER
    order_path = True

    settings: Risk.Settings
    state: State

    @cached_property
    def instrument_limits(self) -> Mapping[str, InstrumentLimits]:
        """Limits by instrument, in its units."""
        return {i.instrument: _limits_of(i, self.settings) for i in self.instruments.values()}

    @cached_property
    def account_limits(self) -> AccountLimits:
        """Limits of the account as a whole."""
        s = self.settings
        return AccountLimits(
            s.price_collar_bps,
            s.max_open_orders,
            s.orders_per_second,
            s.order_burst,
            s.max_repeats,
            s.repeat_window,
        )

    @cached_property
    def loss_limits(self) -> Mapping[str, int]:
        """Largest loss of a day by currency, in smallest units."""
        losses = self.settings.max_daily_loss
        return {
            name: currency.amount(_named(losses, name, "100000"))
            for name, currency in self.currencies.items()
        }

    def on_start(self) -> None:
        """Refuse limits in a currency that the topology does not define.

        Raises:
            ValueError: names the currency and those that are defined.
        """
        for limits in (self.settings.max_gross_exposure, self.settings.max_daily_loss):
            unknown = sorted(set(limits) - {*self.currencies, EVERY})
            if unknown:
                known = ", ".join(sorted(self.currencies))
                raise ValueError(f"limit in {unknown[0]!r}, allowed are {known} and {EVERY!r}")

    @handles(SubmitOrder)
    def on_submit_order(self, order: SubmitOrder) -> None:
        """Approve the order and reserve it, or deny it with the first check that failed."""
        denial = (
            unknown_instrument(order, self.instruments)
            or self._foreign(order)
            or first_failure(self._case(order))
        )
        if denial is not None:
            self._deny(order, denial)
            return
        state = self.state
        state.exposures.reserve(order)
        limits = self.account_limits
        state.rate.take(self.now, limits.order_interval_ns)
        state.repeats.take(same_order(order), self.now, limits.repeat_interval_ns)
        self._remember(order.client_order_id)
        self.emit(OrderApproved(order))

    @handles(OrderFilled)
    def on_order_filled(self, fill: OrderFilled) -> None:
        """Turn what the fill had reserved into position."""
        self.state.exposures.fill(fill)

    @handles(FillCorrected)
    def on_fill_corrected(self, corrected: FillCorrected) -> None:
        """Count the real fill in the place of an inferred one."""
        self.state.exposures.correct(corrected)

    @handles(OrderAccepted)
    def on_order_accepted(self, order: OrderAccepted) -> None:
        """Reserve what an order may fill that works without having been approved here."""
        self.state.exposures.admit(order)

    @handles(OrderCanceled, OrderExpired, OrderRejected, OrderDenied)
    def on_order_ended(
        self, end: OrderCanceled | OrderExpired | OrderRejected | OrderDenied
    ) -> None:
        """Give back what the order had reserved; the OMS may deny what was approved here.

        A denial of another order that bore the same id gives back nothing.
        """
        if isinstance(end, OrderDenied):
            held = self.state.exposures.reservations.get(end.client_order_id)
            if held is not None and held.instrument != end.instrument:
                return
        self.state.exposures.release(end.client_order_id)

    @handles(PositionUpdated)
    def on_position_updated(self, position: PositionUpdated) -> None:
        """Hold what positions say, with the fills that they have not told yet."""
        about = (position.strategy, position.instrument)
        self.state.exposures.take_position(*about, position.qty, position.exec_id)

    @handles(PnlUpdated)
    def on_pnl_updated(self, pnl: PnlUpdated) -> None:
        """Watch the day's loss in the currency of `pnl`."""
        day, limit = self.state.day, self.loss_limits[pnl.currency]
        loss = day.take(pnl, self.now)
        root = self.envelope.root[:3]
        confirmed = day.confirm(pnl.currency, beyond=loss > limit, root=root)
        target = TradingState(self.settings.on_daily_loss)
        if confirmed < self.settings.loss_confirmations or not self._is_stricter(target):
            return
        scale = self.currencies[pnl.currency].scale
        text = (
            f"day's loss {from_units(loss, scale):f} {pnl.currency} "
            f"exceeds limit {from_units(limit, scale):f}; {confirmed} in a row"
        )
        self.emit(RiskLimitExceeded(RiskCode.DAILY_LOSS.value, "", "", loss, limit, text))
        self._halt(target, text)

    @handles(TopOfBook)
    def on_top_of_book(self, top: TopOfBook) -> None:
        """Keep the newest top."""
        self.state.market.take(top)

    @handles(BookStateChanged)
    def on_book_state_changed(self, change: BookStateChanged) -> None:
        """Keep whether the book may be used."""
        self.state.market.note(change)

    @handles(HaltTrading)
    def on_halt_trading(self, halt: HaltTrading) -> None:
        """Deny from now on what the halt covers; where that is all, cancel what is open."""
        if not self.state.halts.take(halt) and halt.owner:
            return
        self._follow(halt.reason)
        if is_halted(halt.level) and not scope_of(halt):
            self.emit(CancelAll(halt.reason))

    @handles(ResumeTrading)
    def on_resume_trading(self, resume: ResumeTrading) -> None:
        """Let through again what nothing else halts, and say so behind all that was approved.

        The day's loss stays.
        """
        for lift in lifts_of(resume, self.state.halts.lift(resume), self.node_name):
            self.emit(lift)
        self._follow(resume.reason)

    @handles(StreamReset)
    def on_stream_reset(self, reset: StreamReset) -> None:
        """Halt if facts about orders were missed: the exposure is no longer known.

        Where the market was missed, no book is used before its next top.
        """
        classes = self.heard.get(reset.stream, ())
        self.state.market.forget(classes)
        if OrderFilled in classes:
            reason = f"exposure unknown: {reset.stream} was reset ({reset.reason})"
            self._halt(TradingState.HALTED, reason)

    def _foreign(self, order: SubmitOrder) -> Denial | None:
        stream = self.envelope.id[0]
        # What is no input stream comes from outside, or from a test.
        if self.roles.get(stream, Role.EXECUTION) == Role.EXECUTION:
            return None
        emitter, others = owner_of(stream), map(owner_of, self.roles)
        return foreign_strategy(order, emitter) or foreign_order_id(
            order, self.session, emitter, others
        )

    def _case(self, order: SubmitOrder) -> Case:
        state, name = self.state, order.instrument
        top = state.market.tops.get(name)
        return Case(
            order,
            self.instruments[name],
            self.instrument_limits[name],
            self.account_limits,
            self._state_for(order),
            state.known_ids,
            self.stale,
            state.market,
            top,
            worst_px(order, top, self.instruments[name].contract),
            state.exposures,
            state.exposures.of_strategy(order.strategy, name),
            state.exposures.of_account(name),
            self.instruments,
            state.rate,
            state.repeats,
            self.now,
        )

    def _deny(self, order: SubmitOrder, denial: Denial) -> None:
        code, text = denial.code.value, denial.text
        about = (order.strategy, order.instrument)
        value, limit = min(denial.value, LARGEST), min(denial.limit or 0, LARGEST)
        self.emit(
            OrderDenied(
                order.client_order_id, *about, order.side, order.qty, code, text, value, limit
            )
        )
        if denial.limit is not None:
            self.emit(RiskLimitExceeded(code, *about, value, limit, text))

    def _remember(self, client_order_id: str) -> None:
        known, keep = self.state.known_ids, self.settings.remembered_orders
        known[client_order_id] = True
        if len(known) >= 2 * keep:
            self.state.known_ids = dict(list(known.items())[len(known) - keep :])

    def _is_stricter(self, target: TradingState) -> bool:
        return severity(target) > severity(self.state.trading_state)

    def _state_for(self, order: SubmitOrder) -> TradingState:
        state = self.state
        level, _ = state.halts.strictest(
            account=order.account, instrument=order.instrument, strategy=order.strategy
        )
        return max(level, state.trading_state, key=severity)

    def _halt(self, target: TradingState, reason: str) -> None:
        """Raise an entry, which everybody hears, and have canceled what is open."""
        halt = HaltTrading(reason, owner=self.name, level=target, since=self.now)
        entry = self.state.halts.begin(halt, self.session)
        self._follow(reason)
        self.emit(CancelAll(reason))
        self.emit(entry)

    def _follow(self, reason: str) -> None:
        self._change_state(self.state.halts.strictest()[0], reason)

    def _change_state(self, target: TradingState, reason: str) -> None:
        if target is not self.state.trading_state:
            self.state.trading_state = target
            self.emit(TradingStateChanged(target, reason))


def _named(amounts: Mapping[str, Decimal], name: str, default: str) -> Decimal:
    return amounts.get(name, amounts.get(EVERY, Decimal(default)))


def _limits_of(instrument: Instrument, settings: Risk.Settings) -> InstrumentLimits:
    def qty(amounts: Mapping[str, Decimal], default: str) -> int:
        limit = to_units(_named(amounts, instrument.instrument, default), instrument.qty_scale)
        return min(limit, LARGEST)

    def money(amounts: Mapping[str, Decimal], name: str, default: str) -> int:
        return min(to_units(_named(amounts, name, default), instrument.settle_scale), LARGEST)

    return InstrumentLimits(
        max_order_qty=qty(settings.max_order_qty, "10"),
        max_order_notional=money(settings.max_order_notional, instrument.instrument, "1000000"),
        max_position=qty(settings.max_position, "20"),
        max_account_position=qty(settings.max_account_position, "50"),
        max_gross_exposure=money(settings.max_gross_exposure, instrument.settle, "5000000"),
    )
