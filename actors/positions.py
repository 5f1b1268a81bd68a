"""Positions of every strategy, from fills alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import msgspec

from actors.events.accounts import FeePaid, PositionUpdated
from actors.events.event import Event
from actors.events.orders import FillCorrected, OrderFilled
from actors.events.system import StreamReset
from actors.model.fills import ExecutionMemory, content_of, key_of
from actors.model.money import notional
from actors.model.position import Booking, Position
from actors.runtime.actor import Actor, handles


class PositionKeeper(Actor):
    """Keep quantity, cost, realized profit and fees by strategy and instrument.

    Positions of an account are sums over strategies, so they need no book of their own. Fees in
    the settle currency are part of the position; others are told apart, as `FeePaid`, because
    nothing here converts currencies.
    """

    class State(msgspec.Struct):
        """Positions by strategy, then by instrument."""

        positions: dict[str, dict[str, Position]] = {}
        booked: ExecutionMemory = msgspec.field(default_factory=ExecutionMemory)
        """Fills that are in the positions."""
        inferred: dict[str, Booking] = {}
        """Those of them that only the venue's totals told, by exec_id."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "positions": (PositionUpdated,),
        "fees": (FeePaid,),
    }
    order_path = True  # restarting empty would lose what is held: better to halt

    state: State

    @handles(OrderFilled)
    def on_order_filled(self, fill: OrderFilled) -> None:
        """Apply the fill and tell the position that it made; the same fill is applied once.

        Raises:
            ValueError: the fill has the id of another one of its order.
        """
        if not self._is_new(fill):
            return
        instrument = self.instruments[fill.instrument]
        position = self._position(fill.strategy, fill.instrument)
        if fill.inferred:
            self.state.inferred[fill.exec_id] = Booking(fill.side, fill.last_qty, fill.amount)
            position.fill_amount(instrument, fill.side, fill.last_qty, fill.amount)
        else:
            position.fill(instrument, fill.side, fill.last_qty, fill.last_px)
        self._pay(position, fill)
        self.emit(self._update(fill.strategy, fill.instrument, position))

    @handles(FillCorrected)
    def on_fill_corrected(self, corrected: FillCorrected) -> None:
        """Book the real fill in the place of the one that was inferred.

        Raises:
            ValueError: the fill that it replaces is not known here.
        """
        fill, replaced = corrected.fill, self.state.inferred.pop(corrected.replaces, None)
        if replaced is None:
            raise ValueError(
                f"FillCorrected replaces {corrected.replaces!r}, which is not inferred"
            )
        instrument = self.instruments[fill.instrument]
        position = self._position(fill.strategy, fill.instrument)
        amount = notional(instrument, fill.last_qty, fill.last_px) if fill.last_qty else 0
        position.correct(instrument, replaced, Booking(fill.side, fill.last_qty, amount))
        self._is_new(fill)
        self._pay(position, fill)
        self.emit(self._update(fill.strategy, fill.instrument, position))

    @handles(StreamReset)
    def on_stream_reset(self, reset: StreamReset) -> None:
        """Stop, which halts trading: no position is known where fills were missed.

        Raises:
            ValueError: names the stream.
        """
        if OrderFilled in self.heard.get(reset.stream, ()):
            raise ValueError(
                f"fills on {reset.stream} may have been missed ({reset.reason}): positions are"
                " not known any more"
            )

    def snapshot(self, output: str) -> Iterator[Event]:
        """Return every position, for a new reader of ``positions``."""
        if output == "positions":
            for strategy, positions in self.state.positions.items():
                for instrument, position in positions.items():
                    yield self._update(strategy, instrument, position)

    def _pay(self, position: Position, fill: OrderFilled) -> None:
        position.exec_id = fill.exec_id
        if fill.fee:
            position.pay(fill.fee, fill.fee_currency)
            if fill.fee_currency != self.instruments[fill.instrument].settle:
                self.emit(_fee_of(fill))

    def _is_new(self, fill: OrderFilled) -> bool:
        execution, content = f"{key_of(fill)} {fill.client_order_id}", content_of(fill)
        known = self.state.booked.remember(execution, content, self.now)
        if known is not None and known != content:
            raise ValueError(f"{execution} was {known}, now {content}")
        return known is None

    def _position(self, strategy: str, instrument: str) -> Position:
        of_strategy = self.state.positions.setdefault(strategy, {})
        position = of_strategy.get(instrument)
        if position is None:
            position = of_strategy[instrument] = Position()
        return position

    def _update(self, strategy: str, instrument: str, position: Position) -> PositionUpdated:
        return PositionUpdated(
            strategy,
            instrument,
            position.qty,
            position.cost,
            position.realized,
            position.fees.get(self.instruments[instrument].settle, 0),
            position.exec_id,
            position.bought_qty,
            position.sold_qty,
            position.cash_flow,
        )


def _fee_of(fill: OrderFilled) -> FeePaid:
    return FeePaid(fill.strategy, fill.instrument, fill.fee_currency, fill.fee, fill.exec_id)
