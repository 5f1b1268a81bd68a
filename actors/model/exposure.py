"""What is held and what might still fill: the worst position that working orders can make."""

from __future__ import annotations

import msgspec

from actors.events.market import Side
from actors.events.orders import OrderFilled, SubmitOrder


class Exposure(msgspec.Struct):
    """A position and the quantities reserved on either side of it, in quantity units."""

    qty: int = 0
    """Signed position."""
    buying: int = 0
    """Quantity that approved buy orders may still fill."""
    selling: int = 0
    open_orders: int = 0

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

    def of_account(self, instrument: str) -> Exposure:
        """Return the account's exposure, all zero where there is none."""
        return self.by_instrument.get(instrument) or Exposure()

    def of_strategy(self, strategy: str, instrument: str) -> Exposure:
        """Return a strategy's exposure, all zero where there is none."""
        return self.by_strategy.get(strategy, {}).get(instrument) or Exposure()

    def knows(self, strategy: str, instrument: str) -> bool:
        """Return whether the strategy ever had an order or a position in the instrument."""
        return instrument in self.by_strategy.get(strategy, {})

    def reserve(self, order: SubmitOrder) -> None:
        """Count an approved order in full."""
        self.reservations[order.client_order_id] = Reservation(
            order.strategy, order.instrument, order.side, order.qty
        )
        for exposure in self._both(order.strategy, order.instrument):
            exposure.reserve(order.side, order.qty)
            exposure.open_orders += 1

    def fill(self, fill: OrderFilled) -> None:
        """Turn the reserve of a fill into position; a late fill, already released, only adds."""
        reservation = self.reservations.get(fill.client_order_id)
        reserved = min(fill.last_qty, reservation.leaves_qty) if reservation else 0
        for exposure in self._both(fill.strategy, fill.instrument):
            exposure.qty += fill.side * fill.last_qty
            exposure.reserve(fill.side, -reserved)
        if reservation:
            reservation.leaves_qty -= reserved
            if fill.leaves_qty == 0:
                self.release(fill.client_order_id)

    def release(self, client_order_id: str) -> None:
        """Give back what an ended order had reserved; an unknown order changes nothing."""
        reservation = self.reservations.pop(client_order_id, None)
        if reservation is None:
            return
        for exposure in self._both(reservation.strategy, reservation.instrument):
            exposure.reserve(reservation.side, -reservation.leaves_qty)
            exposure.open_orders -= 1

    def adopt(self, strategy: str, instrument: str, qty: int) -> None:
        """Add a position that existed before the strategy's first order."""
        for exposure in self._both(strategy, instrument):
            exposure.qty += qty

    def _both(self, strategy: str, instrument: str) -> tuple[Exposure, Exposure]:
        own = self.by_strategy.setdefault(strategy, {})
        return (
            self.by_instrument.setdefault(instrument, Exposure()),
            own.setdefault(instrument, Exposure()),
        )
