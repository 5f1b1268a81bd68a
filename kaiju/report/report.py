"""``report.json``, for programs and for comparing runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import msgspec

from actors.events.reference import from_units
from actors.recorder import EVENTS_FILE
from actors.runtime.statistics import ActorRecord, EdgeRecord, Histogram, NodeStatistics
from kaiju.monitor.discarded import Discarded
from kaiju.record.record import Record
from kaiju.record.scales import Scales
from kaiju.record.series import Series
from kaiju.record.totals import Filled, RunTotals
from kaiju.report.audit import Check, audit, dropped_by
from topology.files import atomic_write


class Durations(msgspec.Struct, frozen=True):
    """Quantiles of a histogram in nanoseconds, at most 12.5 % too high."""

    count: int
    p50: int
    p90: int
    p99: int
    p999: int

    @classmethod
    def of(cls, histogram: Histogram) -> Durations:
        """Return the quantiles of `histogram`."""
        quantiles = (histogram.quantile(q) for q in (0.5, 0.9, 0.99, 0.999))
        return cls(histogram.count, *quantiles)


class ActorReport(msgspec.Struct, frozen=True):
    """One actor's work."""

    name: str
    class_name: str
    handled: int
    failed: int
    order_path: bool
    handle_ns: Durations
    """Time in its handlers, where measured."""
    since_arrival_ns: Durations
    """From an outside event's arrival to this actor's turn on what followed from it."""

    @classmethod
    def of(cls, actor: ActorRecord) -> ActorReport:
        """Return the work that the counters of `actor` tell."""
        return cls(
            actor.name,
            actor.class_name,
            actor.handled,
            actor.failed,
            actor.order_path,
            Durations.of(actor.handle),
            Durations.of(actor.since_arrival),
        )


class EdgeReport(msgspec.Struct, frozen=True):
    """The events of one stream that were sent to one reader."""

    reader: str
    stream: str
    delivery: str
    sent: int
    handled: int
    unhandled: int
    conflated: int
    dropped: dict[str, int]
    queued: int
    since_arrival_ns: Durations
    """From an outside event's arrival to the reader's turn on what followed from it."""

    @classmethod
    def of(cls, edge: EdgeRecord) -> EdgeReport:
        """Return what the counters of `edge` say."""
        counts = (edge.sent, edge.handled, edge.unhandled, edge.conflated, edge.dropped)
        return cls(
            edge.reader,
            edge.stream,
            edge.delivery,
            *counts,
            edge.queued,
            Durations.of(edge.since_arrival),
        )


class PnlReport(msgspec.Struct, frozen=True):
    """Profit and loss of one strategy in one instrument; amounts are exact decimals as text.

    Amounts are empty where the topology has no PnL actor.
    """

    strategy: str
    instrument: str
    currency: str
    fills: int
    bought: str
    sold: str
    position: str
    realized: str
    unrealized: str
    fees: str
    net: str
    other_fees: dict[str, str]
    """Fees in other currencies, not part of `net`."""


class RunFacts(msgspec.Struct, frozen=True):
    """How a run was made and how it ended."""

    topology: str
    file: str
    started: str
    """ISO 8601, UTC, real time."""
    clock: str
    """``virtual`` or ``live``."""
    seed: int
    recorder: str
    """Name of the actor that recorded; empty for none."""
    seconds: float
    """Real time that the run took."""
    stopped: str
    """Why it ended."""
    failures: tuple[str, ...]
    """Exceptions of handlers and ports."""
    unfired_timers: int
    version: str


class Report(msgspec.Struct, frozen=True):
    """The content of ``report.json``."""

    run: RunFacts
    began: int
    """The node's clock at the first recorded event, UTC nanoseconds; 0 without a record."""
    ended: int
    """The node's clock at the end."""
    events: int
    """Handled by all actors."""
    halted: str
    """Why trading was halted; empty if it was not."""
    cut: str
    """Why the record is incomplete; empty if it is complete, or nothing was to be recorded."""
    checks: tuple[Check, ...]
    orders: dict[str, dict[str, int]]
    """Counts by strategy, then by what happened to the order."""
    pnl: tuple[PnlReport, ...]
    actors: tuple[ActorReport, ...]
    edges: tuple[EdgeReport, ...]
    dead_letters: dict[str, int]
    discarded: tuple[Discarded, ...]
    """Messages from outside that could not be read."""
    recorded: dict[str, int]
    """Recorded events by class."""

    @property
    def events_per_second(self) -> float:
        """Events handled in one second of real time."""
        return self.events / self.run.seconds if self.run.seconds else 0.0

    @property
    def conserved(self) -> bool:
        """Whether no check failed."""
        return all(check.holds is not False for check in self.checks)


class RunHistory:
    """A run's record, read once for all parts of the report."""

    def __init__(self, directory: Path) -> None:
        with Record(directory) as record:
            self.ledger = RunTotals(record.scales.instruments)
            self.series = Series(record.scales)
            self.scales = record.scales
            self.recorded: Counter[str] = Counter()
            self.began = 0
            for recorded in record:
                self.recorded[recorded.event[0]] += 1
                self.ledger.add(recorded)
                self.series.add(recorded)
                self.began = self.began or recorded.time
        self.series.finish()


def load_history(directory: Path) -> RunHistory | None:
    """Return the history of the run in `directory`; None where nothing was recorded.

    Raises:
        DamagedFileError: the record is damaged.
    """
    return RunHistory(directory) if (directory / EVENTS_FILE).exists() else None


def build_report(
    run: RunFacts,
    statistics: NodeStatistics,
    story: RunHistory | None,
    discarded: Iterable[Discarded] = (),
) -> Report:
    """Return the report of a finished run.

    Args:
        run: how it was made.
        statistics: the node's counters after it stopped.
        story: its record, where there is one.
        discarded: what could not be understood of what came from outside.
    """
    ledger = story.ledger if story else None
    cut = dropped_by(run.recorder, statistics)
    if run.recorder and story is None:
        cut = cut or "it cannot be read"
    return Report(
        run=run,
        began=story.began if story else 0,
        ended=statistics.now,
        events=statistics.steps,
        halted=statistics.halted,
        cut=cut,
        checks=audit(statistics, ledger, cut),
        orders=_orders(ledger) if ledger else {},
        pnl=tuple(_pnl(story.ledger, story.scales)) if story else (),
        actors=tuple(ActorReport.of(actor) for actor in statistics.actors),
        edges=tuple(EdgeReport.of(edge) for edge in statistics.edges),
        dead_letters=statistics.dead_letters,
        discarded=tuple(discarded),
        recorded=dict(sorted(story.recorded.items())) if story else {},
    )


def write_json(report: Report, path: Path) -> None:
    """Write `report` as indented JSON.

    Raises:
        OSError: the file cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(report), indent=2)
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(text + b"\n")


def _orders(ledger: RunTotals) -> dict[str, dict[str, int]]:
    orders: dict[str, dict[str, int]] = {}
    for (strategy, state), count in sorted(ledger.orders.items()):
        orders.setdefault(strategy, {})[state] = count
    return orders


def _pnl(ledger: RunTotals, scales: Scales) -> Iterable[PnlReport]:
    pnl = ledger.pnl
    for (strategy, instrument), filled in sorted(ledger.filled.items()):
        currency = _settle_currency(ledger, instrument)
        quantity = partial(_text, scale=scales.quantities.get(instrument, 0))
        money = partial(_text, scale=scales.settle.get(instrument, 0))
        last = pnl.get((strategy, instrument))
        yield PnlReport(
            strategy=strategy,
            instrument=instrument,
            currency=currency,
            fills=filled.fills,
            bought=quantity(filled.bought_qty),
            sold=quantity(filled.sold_qty),
            position=quantity(filled.qty),
            realized=money(last.realized) if last else "",
            unrealized=money(last.unrealized) if last else "",
            fees=money(last.fees) if last else "",
            net=money(last.net) if last else "",
            other_fees=_other_fees(filled, currency, scales),
        )


def _settle_currency(ledger: RunTotals, instrument: str) -> str:
    definition = ledger.instruments.get(instrument)
    return definition.settle if definition else ""


def _other_fees(filled: Filled, currency: str, scales: Scales) -> dict[str, str]:
    return {
        paid_in: _text(units, scales.currencies.get(paid_in, 0))
        for paid_in, units in sorted(filled.fees.items())
        if paid_in != currency and units
    }


def _text(units: int, scale: int) -> str:
    return f"{from_units(units, scale):f}"
