"""Every way in which a venue's word about one order can reach order management, tried out.

A small world: one order of one or two lots, a venue that says the truth, though late, twice or
never, and a ledger that adds up what order management tells. Each action makes the next worlds;
equal worlds are looked at once, and shortest ways come first. The venue and the ledger share no
code with the order table: they know the events alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from actors.events.event import Event
from actors.events.order_words import ExecType, OrdRejReason, OrdStatus
from actors.events.orders import (
    FillCorrected,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderPendingCancel,
    OrderRejected,
    OrderUnknown,
)
from actors.events.venue import ExecutionReport, OrderMassStatus, OrderStatus
from actors.model.answers import take_answer
from actors.model.order_record import OrderRecord
from actors.model.order_table import OrderTable
from actors.model.questions import sweep
from actors.model.reconciliation import Reconciliation
from tests.kit.builders import BTCUSDT, ORDER_ID, VENUE_ID, buy, cancel

SECOND = 1_000_000_000
PX = 10_000
LOT_AMOUNT = PX * 10 ** (BTCUSDT.settle_scale - BTCUSDT.price_scale - BTCUSDT.qty_scale)
"""Settle units that one lot at `PX` costs."""
INSTRUMENTS = {BTCUSDT.instrument: BTCUSDT}
ABSENT = OrdStatus.PENDING_NEW
WORKING = (OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED)
GIVEN_UP = ("timeout", "answer", "timeout", "answer", "timeout", "answer")
"""What makes order management give up an order that never came to its venue."""
SETTLED_AFTER = 40
"""Questions and answers after which everything must be explained."""


class Venue(msgspec.Struct):
    """The order as its venue has it."""

    qty: int
    status: OrdStatus = ABSENT
    cum_qty: int = 0
    reports: int = 0

    def trade(self, qty: int) -> ExecutionReport:
        """Fill `qty`; an order that was canceled stays so until it is full."""
        self.cum_qty += qty
        if self.cum_qty == self.qty:
            self.status = OrdStatus.FILLED
        elif self.status in WORKING:
            self.status = OrdStatus.PARTIALLY_FILLED
        return self.report(ExecType.TRADE, qty)

    def become(self, status: OrdStatus, exec_type: ExecType) -> ExecutionReport:
        """Change the status and report it."""
        self.status = status
        return self.report(exec_type)

    def report(self, exec_type: ExecType, qty: int = 0) -> ExecutionReport:
        """Say what happened, and how the order stands."""
        self.reports += 1
        return msgspec.structs.replace(
            self.answer(), exec_id=f"E{self.reports}", exec_type=exec_type,
            last_qty=qty, last_px=PX if qty else 0, ord_rej_reason=OrdRejReason.OTHER,
        )  # fmt: skip

    def answer(self) -> ExecutionReport:
        """Say how the order stands, or that there is none."""
        order, absent = buy(self.qty, PX), self.status is ABSENT
        return ExecutionReport(
            ORDER_ID,
            "" if absent else VENUE_ID,
            "",
            ExecType.ORDER_STATUS,
            OrdStatus.REJECTED if absent else self.status,
            order.instrument,
            order.side,
            last_qty=0,
            last_px=0,
            cum_qty=self.cum_qty,
            leaves_qty=self.leaves_qty,
            cum_amount=self.cum_qty * LOT_AMOUNT,
            ord_rej_reason=OrdRejReason.UNKNOWN_ORDER if absent else OrdRejReason.OTHER,
        )

    def listing(self, request_id: str) -> OrderMassStatus:
        """List the order if it works."""
        order = buy(self.qty, PX)
        listed = OrderStatus(
            ORDER_ID, VENUE_ID, order.instrument, order.side, self.qty, self.status,
            self.cum_qty, self.leaves_qty,
        )  # fmt: skip
        return OrderMassStatus(request_id, (listed,) if self.status in WORKING else ())

    @property
    def leaves_qty(self) -> int:
        """What may still trade."""
        return self.qty - self.cum_qty if self.status in WORKING else 0


class Ledger(msgspec.Struct):
    """What others know of the order, from events alone: positions, risk and whoever sent it."""

    reserve: int
    """What risk keeps for it; -1 where the order was given back."""
    fills: dict[str, tuple[int, int]] = {}
    """(quantity, amount) of each fill that counts, by execution id."""
    accepted: int = 0
    ends: int = 0
    twice: str = ""
    """Execution that was booked a second time."""

    @property
    def qty(self) -> int:
        """Quantity that is booked."""
        return sum(qty for qty, _ in self.fills.values())

    @property
    def amount(self) -> int:
        """Amount that is booked."""
        return sum(amount for _, amount in self.fills.values())

    def take(self, event: Event) -> None:
        """Add up one event."""
        match event:
            case OrderFilled():
                self.book(event)
                if event.leaves_qty == 0:
                    self.reserve = -1
            case FillCorrected():
                replaced, _ = self.fills.pop(event.replaces)
                if self.reserve >= 0:
                    self.reserve += replaced
                if event.fill.last_qty:
                    self.book(event.fill)
            case OrderAccepted():
                self.accepted += 1
                if self.reserve < 0:
                    self.reserve = event.qty - self.qty
            case OrderCanceled() | OrderExpired() | OrderRejected():
                self.ends += 1
                self.reserve = -1

    def book(self, fill: OrderFilled) -> None:
        """Count a fill, and what it takes of the reserve."""
        if fill.exec_id in self.fills:
            self.twice = fill.exec_id
        amount = fill.amount if fill.inferred else fill.last_qty * LOT_AMOUNT
        self.fills[fill.exec_id] = (fill.last_qty, amount)
        if self.reserve >= 0:
            self.reserve = max(0, self.reserve - fill.last_qty)


class World(msgspec.Struct):
    """One order, everywhere that it is known, and what is on its way."""

    table: OrderTable
    venue: Venue
    ledger: Ledger
    now: int = 0
    delayed: tuple[ExecutionReport, ...] = ()
    delivered: tuple[ExecutionReport, ...] = ()
    asked: bool = False
    """Whether a question is at the venue."""
    cancel_asked: bool = False
    absences: tuple[int, ...] = ()
    """When the venue answered that it has no such order, in a row."""
    arrived_late: bool = False
    """Whether the order came to the venue after it was given up."""
    lists: int = 0


class Finding(NamedTuple):
    """The shortest way to a world in which something does not hold."""

    path: tuple[str, ...]
    broken: str


class Exploration(NamedTuple):
    """What was looked at, and what was found."""

    states: int
    finding: Finding | None


def explore(qty: int, depth: int, before: Sequence[str] = ()) -> Exploration:
    """Look at every world that `depth` actions lead to, and stop at the first that is wrong.

    Args:
        qty: of the order, in lots.
        depth: longest way.
        before: actions that lead to the world where all ways begin.
    """
    world = World(OrderTable(), Venue(qty), Ledger(qty))
    world.table.submit(buy(qty, PX), 0)
    for action in before:
        _act(world, action)
    first = msgspec.msgpack.encode(world)
    ways: dict[bytes, tuple[str, ...]] = {first: ()}
    waiting = deque([first])
    while waiting:
        encoded = waiting.popleft()
        path = ways[encoded]
        for action in _actions(_decode(encoded)):
            world = _decode(encoded)
            broken = _act(world, action) or _contradiction(world)
            after = msgspec.msgpack.encode(world)
            if not broken and after not in ways:
                broken = _unsettled(_decode(after))
            if broken:
                return Exploration(len(ways), Finding((*path, action), broken))
            if after not in ways:
                ways[after] = (*path, action)
                if len(path) + 1 < depth:
                    waiting.append(after)
    return Exploration(len(ways), None)


_decode = msgspec.msgpack.Decoder(World).decode


def _actions(world: World) -> Iterator[str]:
    """Yield what can happen next; what is `late` happens at the venue and is reported later."""
    for action in _at_venue(world.venue):
        yield action
        if len(world.delayed) < 2:
            yield f"{action} late"
    record = world.table.find(ORDER_ID)
    if record is not None and record.canceling and world.venue.status is not ABSENT:
        yield "refuse"
    elif ORDER_ID in world.table.open:
        yield "cancel"
    yield from (f"deliver {n}" for n in range(len(world.delayed)))
    if world.delivered:
        yield "repeat"
    if world.asked:
        yield "answer"
    if not world.delayed and world.lists < 2:
        yield "list"
    yield "timeout"


def _at_venue(venue: Venue) -> list[str]:
    if venue.status is ABSENT:
        return ["ack", "reject"]
    if venue.status in WORKING:
        whole = ["fill 2"] if venue.leaves_qty == 2 else []
        return ["fill 1", *whole, "canceled", "expired"]
    crosses = venue.status in (OrdStatus.CANCELED, OrdStatus.EXPIRED)
    return ["fill 1"] if crosses else []


def _act(world: World, action: str) -> str:
    """Let one thing happen; return what is wrong with it."""
    what, *numbers = action.removesuffix(" late").split()
    if what in HERE:
        return HERE[what](world)
    if what == "deliver":
        return _deliver(world, int(numbers[0]))
    venue = world.venue
    if what == "ack":
        world.arrived_late = ORDER_ID in world.table.closed
    if what == "fill":
        report = venue.trade(int(numbers[0]))
    elif what == "refuse":
        report = venue.report(ExecType.CANCEL_REJECTED)
    else:
        report = venue.become(*BECOMES[what])
    world.delayed += (report,)
    return "" if action.endswith(" late") else _deliver(world, len(world.delayed) - 1)


def _wait(world: World) -> str:
    world.now += 6 * SECOND
    return _tell(world, list(_sweep(world)))


def _cancel(world: World) -> str:
    request = cancel(buy(world.venue.qty, PX))
    return _tell(world, [world.table.request_cancel(request, world.now)])


def _deliver(world: World, number: int) -> str:
    report = world.delayed[number]
    world.delayed = world.delayed[:number] + world.delayed[number + 1 :]
    world.delivered = (*(r for r in world.delivered if r.exec_type is ExecType.TRADE), report)
    return _tell(world, world.table.apply(report, world.now), report)


def _repeat(world: World) -> str:
    before = msgspec.msgpack.encode(world.table)
    report = world.delivered[-1]
    broken = _tell(world, world.table.apply(report, world.now), report)
    changed = msgspec.msgpack.encode(world.table) != before
    return broken or ("a report that came again changed something" if changed else "")


def _answer(world: World) -> str:
    world.asked, answer = False, world.venue.answer()
    absent = answer.ord_rej_reason is OrdRejReason.UNKNOWN_ORDER
    world.absences = (*world.absences, world.now) if absent else ()
    return _tell(world, take_answer(world.table, answer, world.now, INSTRUMENTS), answer)


def _list(world: World) -> str:
    world.lists += 1
    reconciliation = Reconciliation(f"list {world.lists}")
    listing = world.venue.listing(reconciliation.request_id)
    if listing.orders:
        world.absences = ()
    return _tell(world, reconciliation.take(world.table, listing, world.now))


def _sweep(world: World) -> Iterator[Event]:
    yield from sweep(world.table, world.now, 5 * SECOND, 2 * SECOND).asked


HERE = {
    "timeout": _wait,
    "cancel": _cancel,
    "answer": _answer,
    "list": _list,
    "repeat": _repeat,
}
BECOMES = {
    "ack": (OrdStatus.NEW, ExecType.NEW),
    "reject": (OrdStatus.REJECTED, ExecType.REJECTED),
    "canceled": (OrdStatus.CANCELED, ExecType.CANCELED),
    "expired": (OrdStatus.EXPIRED, ExecType.EXPIRED),
}


def _tell(world: World, events: list[Event], said: ExecutionReport | None = None) -> str:
    """Add up what follows from what was `said`; return what should not have been told now."""
    for event in events:
        world.asked |= isinstance(event, OrderUnknown)
        world.cancel_asked |= isinstance(event, OrderPendingCancel)
        world.ledger.take(event)
        if broken := _false_end(world, event, said):
            return broken
    return ""


def _false_end(world: World, end: Event, said: ExecutionReport | None) -> str:
    if not isinstance(end, OrderCanceled | OrderExpired | OrderRejected):
        return ""
    venue, absences = world.venue, world.absences
    if venue.status is ABSENT:
        surely = len(absences) >= 3 and absences[-1] - absences[0] >= 5 * SECOND
        return "" if surely else "given up although it may still arrive"
    if venue.status in WORKING:
        return f"{type(end).__name__} while it works at the venue"
    if said is None or said.cum_qty != world.ledger.qty:
        return f"{type(end).__name__} with {world.ledger.qty} booked, which nobody said"
    return ""


def _contradiction(world: World) -> str:
    """Return what must never be so."""
    record = world.table.find(ORDER_ID)
    if record is None:
        return "forgotten"
    return _wrong_fills(world, record) or _wrong_reserve(world, record)


def _wrong_fills(world: World, record: OrderRecord) -> str:
    ledger, traded = world.ledger, world.venue.cum_qty
    trades = [r.exec_id for r in world.delivered if r.exec_type is ExecType.TRADE]
    dropped = [name for name in trades if name not in ledger.fills]
    if ledger.twice:
        return f"{ledger.twice} was booked twice"
    if dropped:
        return f"{dropped[0]} traded and is not booked"
    if ledger.qty > traded:
        return f"{ledger.qty} booked, {traded} traded"
    if record.cum_qty != ledger.qty:
        return f"{record.cum_qty} filled in the table, {ledger.qty} told"
    return ""


def _wrong_reserve(world: World, record: OrderRecord) -> str:
    ledger, lives = world.ledger, 1 + world.arrived_late
    is_open, may_trade = ORDER_ID in world.table.open, world.venue.qty - ledger.qty
    if is_open and max(0, ledger.reserve) < may_trade:
        return f"{ledger.reserve} reserved for {may_trade} that may trade"
    if ledger.ends > lives or ledger.accepted > lives:
        return f"ended {ledger.ends} times, accepted {ledger.accepted} times"
    if record.in_doubt and not _will_ask(world):
        return "in doubt, and nobody asks"
    return ""


def _unsettled(world: World) -> str:
    """Let everything arrive and be asked about; return what is not as at the venue then."""
    for _ in range(SETTLED_AFTER):
        if broken := _deliver_all(world):
            return broken
        if not world.asked and not _will_ask(world):
            return _contradiction(world) or _unlike(world)
        world.now += 61 * SECOND
        broken = _tell(world, list(_sweep(world))) or (_answer(world) if world.asked else "")
        if broken:
            return broken
    return "asked for ever"


def _deliver_all(world: World) -> str:
    broken = ""
    while world.delayed and not broken:
        broken = _deliver(world, 0)
    if world.cancel_asked and world.venue.status in WORKING and not broken:
        world.delayed = (world.venue.become(*BECOMES["canceled"]),)
        broken = _deliver(world, 0)
    return broken


def _unlike(world: World) -> str:
    venue, ledger, record = world.venue, world.ledger, world.table.find(ORDER_ID)
    assert record is not None
    if (ledger.qty, ledger.amount) != (venue.cum_qty, venue.cum_qty * LOT_AMOUNT):
        return f"in the end {ledger.qty} booked for {ledger.amount}, {venue.cum_qty} traded"
    working = (*WORKING, OrdStatus.PENDING_CANCEL, OrdStatus.PENDING_NEW)
    if venue.status is ABSENT:
        same = record.status in (
            OrdStatus.REJECTED,
            OrdStatus.PENDING_NEW,
            OrdStatus.PENDING_CANCEL,
        )
    elif venue.status in WORKING:
        same = record.status in working and ledger.reserve == venue.leaves_qty
    else:
        same = record.status is venue.status and ledger.reserve < 0
    return "" if same else f"in the end {record.status} here, {venue.status} at the venue"


def _will_ask(world: World) -> bool:
    """Tell whether the venue is asked once enough time has passed; nothing changes."""
    table = msgspec.msgpack.decode(msgspec.msgpack.encode(world.table), type=OrderTable)
    return bool(sweep(table, world.now, 5 * SECOND, 2 * SECOND).wait)


def main() -> None:
    """Look at all ways up to a length, and tell the shortest that is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=8)
    depth = parser.parse_args().depth
    for qty in (1, 2):
        for before in ((), GIVEN_UP):
            began = time.monotonic()
            states, finding = explore(qty, depth, before)
            what = f"{qty} lots{', given up' if before else ''}: {states:,} states to depth {depth}"
            if finding:
                sys.exit(f"{what}: {finding.broken} after {', '.join(finding.path)}")
            print(f"{what} in {time.monotonic() - began:.1f} s: nothing lost or doubled")  # noqa: T201


if __name__ == "__main__":
    main()
