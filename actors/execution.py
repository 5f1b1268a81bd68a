"""Execution: what strategies want becomes orders, and stops being orders when they must go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec
from pydantic import Field

from actors.events.durations import MILLISECOND
from actors.events.event import Event
from actors.events.market import BookState, BookStateChanged, Side
from actors.events.orders import (
    CancelOrder,
    CancelRejected,
    IntentRefused,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSubmitted,
    QuoteIntent,
    ReconciliationCompleted,
    Signal,
    SubmitOrder,
)
from actors.events.role import Role
from actors.events.system import (
    ActorFailed,
    ActorRecovered,
    HaltLifted,
    HaltTrading,
    OperatorCommand,
    ResumeTrading,
    StopRequested,
    StreamReset,
    StreamStale,
    TimerFired,
)
from actors.model.order_rate import INTENT_RATE, IntentBudgets
from actors.model.quoting import Action, OwnOrder, QuoteSide, WorkingQuote
from actors.model.risk_order import FOREIGN
from actors.runtime.actor import Actor, handles
from actors.runtime.flatten import closing_orders
from actors.runtime.settings import Duration
from actors.runtime.stream_name import owner_of
from actors.runtime.trading_state import HaltEntries, lift_streams

INTENTS = (QuoteIntent, Signal)


class Execution(Actor):
    """Work quotes as post-only limit orders, signals as market or IOC orders.

    A quote has at most one order on a side; a new price or quantity cancels it and, once it is
    gone, places the next. A side that filled or was refused stays empty until the strategy's next
    intent; one that was rejected is tried again after a reconciliation, before which the gateway
    rejects everything. Orders are canceled only once the OMS knows them. A strategy trades under
    its own name only, the name of the actor that emitted the intent: positions and limits are kept
    by it.
    """

    class Settings(Actor.Settings):
        """How patiently to work."""

        backoff: Duration = Field(default=250 * MILLISECOND, gt=0)
        """Pause on one side of a quote after a refusal, of an order or of a cancel."""
        intents_per_second: int = Field(default=200, ge=0, le=1_000_000)
        """Signals and quotes of one strategy that are acted on; 0 for any number."""
        intent_burst: int = Field(default=400, ge=1)
        """Intents of one strategy that may come at once before the rate limits them."""

        ABSENT: ClassVar[Mapping[str, Any]] = {"intents_per_second": 0}

    class State(msgspec.Struct):
        """Own orders that have not ended, and what strategies want."""

        last_order: int = 0
        """Number of the last order sent."""
        quotes: dict[str, dict[str, WorkingQuote]] = {}
        """By strategy, then by instrument."""
        quoting: dict[str, tuple[str, str, Side]] = {}
        """Place of every open quote order, by client_order_id."""
        taking: dict[str, OwnOrder] = {}
        """Open orders that signals caused, by client_order_id."""
        halted: bool = False
        """Whether trading as a whole is."""
        halts: HaltEntries = msgspec.field(default_factory=HaltEntries)
        """The trading state."""
        stopping: bool = False
        retry_timer: int = 0
        """Pending timer; 0 for none."""
        waiting: dict[str, QuoteIntent] = {}
        """Quotes that wait for a lift which is on its way, by strategy and instrument."""
        budgets: IntentBudgets = msgspec.field(default_factory=IntentBudgets)
        """Intents so far, by strategy."""
        leaving: bool = False
        """Whether a stop leaves open orders at the venue."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "orders": (SubmitOrder,),
        "cancels": (CancelOrder,),
        "refusals": (IntentRefused,),
        "halts": (HaltTrading,),
    }
    role = Role.EXECUTION
    order_path = True

    settings: Execution.Settings
    state: State

    @handles(QuoteIntent)
    def on_quote_intent(self, intent: QuoteIntent) -> None:
        """Make the strategy's quote what it wants now."""
        if self._accepts(intent):
            self._quote(intent)

    @handles(Signal)
    def on_signal(self, signal: Signal) -> None:
        """Trade now: at market, or immediately or cancel up to the limit."""
        if self._accepts(signal):
            self._take(signal.strategy, signal.instrument, signal.side, signal.qty, signal.limit_px)

    @handles(OrderSubmitted)
    def on_order_submitted(self, submitted: OrderSubmitted) -> None:
        """From here on the order can be canceled."""
        order = self._find(submitted.order.client_order_id)
        if order is not None:
            order.submitted = True
            self._reconsider(order)

    @handles(OrderDenied, OrderRejected)
    def on_order_refused(self, refusal: OrderDenied | OrderRejected) -> None:
        """The order never worked: back off on its side of the quote.

        A denial of an order that was submitted is of another's that bore the same id.
        """
        if isinstance(refusal, OrderDenied):
            order = self._find(refusal.client_order_id)
            if order is None or order.submitted or refusal.code in FOREIGN:
                return
        rejected = isinstance(refusal, OrderRejected)
        retry_at = self.now + self.settings.backoff
        self._end(refusal.client_order_id, retry_at, refused=rejected)

    @handles(ReconciliationCompleted)
    def on_reconciliation_completed(self, _completed: ReconciliationCompleted) -> None:
        """The gateway sends orders again: place quotes that were rejected until now."""
        for strategy, instrument in list(self._places()):
            for side in Side:
                self.state.quotes[strategy][instrument].side(side).want_again()
                self._work(strategy, instrument, side)

    @handles(OrderFilled)
    def on_order_filled(self, fill: OrderFilled) -> None:
        """A completed order makes room for the next intent."""
        if fill.leaves_qty == 0:
            self._end(fill.client_order_id, 0)

    @handles(OrderCanceled, OrderExpired)
    def on_order_ended(self, end: OrderCanceled | OrderExpired) -> None:
        """Place what is wanted by now; back off if nobody asked for the end."""
        order = self._find(end.client_order_id)
        if order is not None:
            unasked = not order.canceling
            self._end(end.client_order_id, self.now + self.settings.backoff if unasked else 0)

    @handles(CancelRejected)
    def on_cancel_rejected(self, refusal: CancelRejected) -> None:
        """The order still works; ask again later if it still has to go."""
        order = self._find(refusal.client_order_id)
        if order is None or refusal.strategy != order.strategy:
            return  # of another's order, or to another's request
        if order.client_order_id in self.state.taking:
            order.canceling = False
            if self._must_go(order.strategy, order.instrument):
                self._try_later(self.settings.backoff)
            return
        self._side(order).keep(self.now + self.settings.backoff)
        self._work(order.strategy, order.instrument, order.side)

    @handles(BookStateChanged)
    def on_book_state_changed(self, change: BookStateChanged) -> None:
        """Withdraw every quote in a book that must not be used."""
        if change.state is not BookState.LIVE:
            for strategy, quotes in self.state.quotes.items():
                if change.instrument in quotes:
                    self._withdraw(strategy, change.instrument)

    @handles(StreamStale)
    def on_stream_stale(self, event: StreamStale) -> None:
        """Withdraw the quotes of a strategy that is not heard any more."""
        self._withdraw_all_of(owner_of(event.stream))

    @handles(StreamReset)
    def on_stream_reset(self, reset: StreamReset) -> None:
        """Withdraw what was wanted on a stream that begins anew.

        Where facts about own orders were missed, what is open is not known any more: then all of
        it is to be canceled, and nothing is sent until trading resumes.
        """
        classes = self.heard.get(reset.stream, ())
        if any(event_class in INTENTS for event_class in classes):
            self._withdraw_all_of(owner_of(reset.stream))
        elif BookStateChanged in classes:
            for strategy, instrument in self._places():
                self._withdraw(strategy, instrument)
        elif classes:
            reason = f"own orders unknown: {reset.stream} was reset ({reset.reason})"
            halt = HaltTrading(reason, owner=self.name, since=self.now)
            entry = self.state.halts.begin(halt, self.session)
            self.state.halted = True
            self._cancel_what_must_go()
            self.emit(entry)

    @handles(ActorFailed)
    def on_actor_failed(self, failure: ActorFailed) -> None:
        """Withdraw the quotes of a strategy that failed."""
        self._withdraw_all_of(failure.actor)

    @handles(HaltTrading)
    def on_halt_trading(self, halt: HaltTrading) -> None:
        """Cancel everything that the halt covers and take no intents until trading resumes."""
        if self.state.halts.take(halt) or not halt.owner:
            self.state.halted = bool(self.state.halts.reason())
            self._cancel_what_must_go()

    @handles(OperatorCommand)
    def on_operator_command(self, command: OperatorCommand) -> None:
        """Close the positions that a command to flatten names, each with one order at market."""
        for strategy, instrument, side, qty in closing_orders(command):
            self._take(strategy, instrument, side, qty)

    @handles(ResumeTrading)
    def on_resume_trading(self, resume: ResumeTrading) -> None:
        """Wait for the lift; until it comes, keep what strategies want to quote from now on."""
        self.state.halts.expect_lift(resume, lift_streams(self.heard))
        self.state.halted = bool(self.state.halts.reason())

    @handles(HaltLifted)
    def on_halt_lifted(self, lift: HaltLifted) -> None:
        """Take intents again: everything approved before has been refused."""
        state, streams = self.state, lift_streams(self.heard)
        if state.halts.take_lift(lift, self.node_name, self.envelope.id[0], streams):
            state.halted = bool(state.halts.reason())
            for key, intent in list(state.waiting.items()):
                if not self._must_go(intent.strategy, intent.instrument):
                    self._quote(state.waiting.pop(key))

    @handles(StopRequested)
    def on_stop_requested(self, stop: StopRequested) -> None:
        """Take no intents any more, and cancel everything that is not to be left open."""
        self.state.stopping, self.state.leaving = True, stop.leaves
        self._cancel_what_must_go()

    @handles(ActorRecovered)
    def on_actor_recovered(self, _recovered: ActorRecovered) -> None:
        """Take intents again: the stop was that of the process before."""
        self.state.stopping = self.state.leaving = False

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        """Try again where a refusal made a quote, or a cancel that must be, wait."""
        self.state.retry_timer = 0
        for strategy, instrument in list(self._places()):
            for side in Side:
                self._work(strategy, instrument, side)
        self._cancel_taking()

    def busy(self) -> bool:
        """Return True while an own order has not ended."""
        return bool(self.state.quoting or self.state.taking) and not self.state.leaving

    def _quote(self, intent: QuoteIntent) -> None:
        quotes = self.state.quotes.setdefault(intent.strategy, {})
        quote = quotes.setdefault(intent.instrument, WorkingQuote())
        quote.bid.want(intent.bid_px, intent.bid_qty)
        quote.ask.want(intent.ask_px, intent.ask_qty)
        for side in Side:
            self._work(intent.strategy, intent.instrument, side)

    def _accepts(self, intent: QuoteIntent | Signal) -> bool:
        state, emitter, code = self.state, owner_of(self.envelope.id[0]), ""
        if state.stopping:
            text = "the run is ending"
        elif state.halted:
            text = "trading is halted"
        elif reason := self._halt_of(intent.strategy, intent.instrument):
            text = f"trading in {intent.instrument} is halted: {reason}"
        elif state.halts.flattening:
            text = "an operator closes all positions"
        # Only a command from outside, and a test, comes from our own inbox.
        elif emitter not in (intent.strategy, self.name):
            text = f"{emitter} trades as {emitter}, not as {intent.strategy}"
        elif text := self._beyond_budget(intent.strategy):
            code = INTENT_RATE
        else:
            return True
        if not (isinstance(intent, QuoteIntent) and self._waits(intent, emitter)):
            about = (intent.strategy, intent.instrument, emitter)
            self.emit(IntentRefused(*about, text, code))
        return False

    def _beyond_budget(self, strategy: str) -> str:
        rate, burst = self.settings.intents_per_second, self.settings.intent_burst
        return self.state.budgets.refusal(strategy, self.now, rate, burst)

    def _waits(self, intent: QuoteIntent, emitter: str) -> bool:
        """Keep a quote that only a halt refuses that is being lifted; tell whether it is one."""
        state, strategy, name = self.state, intent.strategy, intent.instrument
        own = emitter in (strategy, self.name) and not state.stopping
        waits = own and state.halts.is_lifting(instrument=name, strategy=strategy)
        if waits:
            state.waiting[f"{strategy} {name}"] = intent
            state.quotes.setdefault(strategy, {}).setdefault(name, WorkingQuote())
        return waits

    def _work(self, strategy: str, instrument: str, side: Side) -> None:
        quote_side = self.state.quotes[strategy][instrument].side(side)
        match quote_side.next_action(self.now):
            case Action.PLACE:
                order = self._new_order(strategy, instrument, side, quote_side.qty, quote_side.px)
                quote_side.place(order)
                self.state.quoting[order.client_order_id] = (strategy, instrument, side)
                self.emit(order.as_quote(self._decided_at()))
            case Action.CANCEL if quote_side.order is not None:
                self._cancel(quote_side.order)
            case Action.LATER:
                self._try_later(quote_side.retry_at - self.now)

    def _try_later(self, delay: int) -> None:
        if not self.state.retry_timer:
            self.state.retry_timer = self.set_timer("retry", delay)

    def _must_go(self, strategy: str, instrument: str) -> bool:
        state = self.state
        ending = state.stopping and not state.leaving
        return state.halted or ending or bool(self._halt_of(strategy, instrument))

    def _halt_of(self, strategy: str, instrument: str) -> str:
        return self.state.halts.reason(instrument=instrument, strategy=strategy)

    def _new_order(self, strategy: str, instrument: str, side: Side, qty: int, px: int) -> OwnOrder:
        self.state.last_order += 1
        order_id = f"{self.session}-{self.name}-{self.state.last_order}"
        return OwnOrder(order_id, strategy, instrument, side, qty, px)

    def _take(self, strategy: str, instrument: str, side: Side, qty: int, px: int = 0) -> None:
        order = self._new_order(strategy, instrument, side, qty, px)
        self.state.taking[order.client_order_id] = order
        self.emit(order.as_taker(self._decided_at()))

    def _decided_at(self) -> int:
        """Return when a strategy decided what is done now, or we did, where a quote stands."""
        envelope = self.envelope
        return envelope.time if isinstance(envelope.event, INTENTS) else self.now

    def _cancel(self, order: OwnOrder) -> None:
        order.canceling = True
        self.emit(CancelOrder(order.client_order_id, order.strategy, order.instrument))

    def _find(self, client_order_id: str) -> OwnOrder | None:
        place = self.state.quoting.get(client_order_id)
        if place is None:
            return self.state.taking.get(client_order_id)
        strategy, instrument, side = place
        return self.state.quotes[strategy][instrument].side(side).order

    def _side(self, order: OwnOrder) -> QuoteSide:
        return self.state.quotes[order.strategy][order.instrument].side(order.side)

    def _reconsider(self, order: OwnOrder) -> None:
        if order.client_order_id in self.state.quoting:
            self._work(order.strategy, order.instrument, order.side)
        elif self._must_go(order.strategy, order.instrument) and order.cancelable:
            self._cancel(order)

    def _end(self, client_order_id: str, retry_at: int, *, refused: bool = False) -> None:
        self.state.taking.pop(client_order_id, None)
        place = self.state.quoting.pop(client_order_id, None)
        if place is not None:
            strategy, instrument, side = place
            self.state.quotes[strategy][instrument].side(side).end(retry_at, refused=refused)
            self._work(strategy, instrument, side)

    def _places(self) -> Iterator[tuple[str, str]]:
        for strategy, quotes in self.state.quotes.items():
            for instrument in quotes:
                yield strategy, instrument

    def _withdraw(self, strategy: str, instrument: str) -> None:
        self.state.waiting.pop(f"{strategy} {instrument}", None)
        for side in Side:
            self.state.quotes[strategy][instrument].side(side).want(0, 0)
            self._work(strategy, instrument, side)

    def _withdraw_all_of(self, strategy: str) -> None:
        for instrument in self.state.quotes.get(strategy, ()):
            self._withdraw(strategy, instrument)

    def _cancel_what_must_go(self) -> None:
        for strategy, instrument in self._places():
            if self.state.halts.flattening or self._must_go(strategy, instrument):
                self._withdraw(strategy, instrument)
        self._cancel_taking()

    def _cancel_taking(self) -> None:
        for order in self.state.taking.values():
            if order.cancelable and self._must_go(order.strategy, order.instrument):
                self._cancel(order)
