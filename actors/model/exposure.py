"""What is held and what might still fill: the worst position that working orders can make."""

from __future__ import annotations

import msgspec

from actors.events.market import Side
from actors.events.orders import FillCorrected, OrderAccepted, OrderFilled, SubmitOrder

MAX_UNCONFIRMED = 1_000
"""Fills of a strategy in an instrument that are remembered until positions tell them."""


class Exposure(msgspec.Struct):
    """A position and the quantities reserved on either side of it, in quantity units."""

    qty: int = 0
    """Signed position."""
    buying: int = 0
    """Quantity that approved buy orders may still fill."""
    selling: int = 0
    open_orders: int = 0
    unconfirmed: list[tuple[str, int]] = []
    """(execution id, signed quantity) of a strategy's fills that positions did not tell yet."""
    confirmed: str = ""
    """Execution id of the last fill that positions told; empty where no position was told."""

    def worst(self, side: Side) -> int:
        """Return the position in direction `side` once every order of that side filled."""
        return self.qty + self.buying if side > 0 else self.selling - self.qty

    @property
    def worst_qty(self) -> int:
        """The largest absolute position that the working orders can make."""
        return max(abs(self.qty + self.buying), abs(self.qty - self.selling))

    def reserve(self, side: Side, qty: int) -> None:
        """Add to (negative: take from) what the orders of one side may still fill."""
        if side > 0:
            self.buying += qty
        else:
            self.selling += qty


class Reservation(msgspec.Struct):
    """What one approved order may still fill."""

    strategy: str
    instrument: str
    side: Side
    leaves_qty: int


class Exposures(msgspec.Struct):
    """Exposure of every strategy and of the account, moved together on every event.

    An order counts in full from its approval until it fills or ends, so two orders in flight
    together cannot pass a limit that either alone respects.
    """

    by_instrument: dict[str, Exposure] = {}
    """Of the account."""
    by_strategy: dict[str, dict[str, Exposure]] = {}
    """By strategy, then by instrument."""
    reservations: dict[str, Reservation] = {}
    """Open orders by client_order_id."""
    inferred: dict[str, int] = {}
    """Quantities of fills that only the venue's totals told, by exec_id."""

    def of_account(self, instrument: str) -> Exposure:
        """Return the account's exposure, all zero where there is none."""
        return self.by_instrument.get(instrument) or Exposure()

    def of_strategy(self, strategy: str, instrument: str) -> Exposure:
        """Return a strategy's exposure, all zero where there is none."""
        return self.by_strategy.get(strategy, {}).get(instrument) or Exposure()

    def reserve(self, order: SubmitOrder) -> None:
        """Count an approved order in full."""
        self._reserve(
            order.client_order_id,
            Reservation(order.strategy, order.instrument, order.side, order.qty),
        )

    def fill(self, fill: OrderFilled) -> None:
        """Turn the reserve of a fill into position; a late fill, already released, only adds."""
        if fill.inferred:
            self.inferred[fill.exec_id] = fill.last_qty
        self._move(fill, fill.last_qty)
        reservation = self.reservations.get(fill.client_order_id)
        if reservation is None:
            return
        reserved = min(fill.last_qty, reservation.leaves_qty)
        for exposure in self._both(reservation.strategy, reservation.instrument):
            exposure.reserve(reservation.side, -reserved)
        reservation.leaves_qty -= reserved
        if fill.leaves_qty == 0:
            self.release(fill.client_order_id)

    def correct(self, corrected: FillCorrected) -> None:
        """Put a fill in the place of one that was inferred, in position and reserve."""
        fill = corrected.fill
        more = fill.last_qty - self.inferred.pop(corrected.replaces, 0)
        self._move(fill, more)
        reservation = self.reservations.get(fill.client_order_id)
        if reservation is not None:
            reservation.leaves_qty -= more
            for exposure in self._both(reservation.strategy, reservation.instrument):
                exposure.reserve(reservation.side, -more)

    def admit(self, order: OrderAccepted) -> None:
        """Count in full an order that works though it was never approved, or had ended here."""
        if order.client_order_id not in self.reservations:
            self._reserve(
                order.client_order_id,
                Reservation(order.strategy, order.instrument, order.side, order.qty),
            )

    def release(self, client_order_id: str) -> None:
        """Give back what an ended order had reserved; an unknown order changes nothing."""
        reservation = self.reservations.pop(client_order_id, None)
        if reservation is None:
            return
        for exposure in self._both(reservation.strategy, reservation.instrument):
            exposure.reserve(reservation.side, -reservation.leaves_qty)
            exposure.open_orders -= 1

    def take_position(self, strategy: str, instrument: str, qty: int, exec_id: str) -> None:
        """Hold what positions say: their quantity after a fill, and the fills known behind it.

        So a position of before the first order counts, whenever it is told. One that names a fill
        that was not heard here yet is passed over where fills are known: the next one settles it.
        """
        account, own = self._both(strategy, instrument)
        known = [name for name, _ in own.unconfirmed]
        if exec_id in known:
            del own.unconfirmed[: len(known) - known[::-1].index(exec_id)]
        elif known and exec_id != own.confirmed:
            return
        own.confirmed = exec_id
        qty += sum(signed for _, signed in own.unconfirmed)
        account.qty += qty - own.qty
        own.qty = qty

    def _reserve(self, client_order_id: str, reservation: Reservation) -> None:
        self.reservations[client_order_id] = reservation
        for exposure in self._both(reservation.strategy, reservation.instrument):
            exposure.reserve(reservation.side, reservation.leaves_qty)
            exposure.open_orders += 1

    def _move(self, fill: OrderFilled, qty: int) -> None:
        account, own = self._both(fill.strategy, fill.instrument)
        for exposure in (account, own):
            exposure.qty += fill.side * qty
        own.unconfirmed.append((fill.exec_id, fill.side * qty))
        del own.unconfirmed[:-MAX_UNCONFIRMED]

    def _both(self, strategy: str, instrument: str) -> tuple[Exposure, Exposure]:
        own = self.by_strategy.setdefault(strategy, {})
        return (
            self.by_instrument.setdefault(instrument, Exposure()),
            own.setdefault(instrument, Exposure()),
        )
