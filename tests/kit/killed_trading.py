"""A run and its venue, two processes that are killed, and what their journals say."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
from ruamel.yaml import YAML

from actors.events.accounts import PositionUpdated
from actors.events.event import Event, tag_of
from actors.events.order_words import ExecType, OrdStatus
from actors.events.orders import OrderFilled, OrderRejected
from actors.events.venue import ExecutionReport, NewOrderSingle
from actors.runtime.journal.data_directory import JOURNALS
from actors.runtime.journal.frames import FrameFile
from actors.runtime.journal.segments import JournalReader
from gateways.simulated.session.messages import NumberedReport
from tests.kit.killable_kaiju import Failpoint, MortalProcess
from tests.kit.paths import ROOT
from tests.kit.waiting import until

LIVE = ROOT / "topology" / "paper_live.yaml"
VENUE = ROOT / "topology" / "venue.yaml"
ENDS = {OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.EXPIRED, OrdStatus.REJECTED}
SEGMENT_BYTES = 50_000
"""Small, so that segments end and snapshots are taken all the time."""
MAX_ORDERS_BETWEEN = 10
"""Orders that reach the venue between two kills, at most."""
LONGER_THAN_SILENCE = 2.5
"""Seconds after which the venue takes whoever stands still for gone."""
MAX_LIFE = 0.3
"""Seconds after which whoever is killed as soon as it has begun is dead: it may be recovering."""

E = TypeVar("E", bound=Event)
Fill = tuple[str, str, int, int]
"""Client order id, instrument, signed quantity and price."""


def outputs(directory: Path, actor: str) -> Iterator[list[Any]]:
    """Yield every event that an actor's journal says it emitted, as plain lists."""
    for body in JournalReader(directory / JOURNALS / actor).steps():
        effects = msgspec.msgpack.decode(body)[9]
        if effects is not None:
            yield from effects[0]


def emitted(directory: Path, actor: str, event_class: type[E]) -> Iterator[E]:
    """Yield the events of one class that an actor's journal says it emitted."""
    tag = tag_of(event_class)
    events = (event for event in outputs(directory, actor) if event[0] == tag)
    return (msgspec.convert(event, event_class) for event in events)


class ActorSnapshot:
    """Remembers what the journals of a directory held, which must never be anything else.

    Args:
        directory: of one process.
    """

    def __init__(self, directory: Path) -> None:
        self._journals = directory / JOURNALS
        self._held: dict[Path, bytes] = {}
        """The whole frames of each segment."""

    def look(self) -> None:
        """Look at all journals, of a process that is dead.

        Raises:
            AssertionError: one does not begin with all that it held before.
        """
        found = dict(self._found())
        for path, held in self._held.items():
            assert found.get(path, b"").startswith(held), f"{path} is not what it was"
        self._held = found

    def _found(self) -> Iterator[tuple[Path, bytes]]:
        for path in sorted(self._journals.glob("*/steps-*.kaiju")):
            data, held = path.read_bytes(), self._held.get(path, b"")
            if data == held:
                yield path, held
                continue
            with FrameFile(path) as file:
                extent = file.extent()
            if extent.frames:  # a segment without a step says nothing yet and may be replaced
                yield path, data[: extent.end]


class Accounts:
    """What a run and its venue have each written down of the same trades.

    Args:
        data: directory with the run's journals.
        venue_data: directory of the venue's ledger.
    """

    def __init__(self, data: Path, venue_data: Path) -> None:
        self.data, self.venue_data = data, venue_data
        self._seen = self._orders = 0
        """Steps of the exchange that were looked at, and orders among them."""

    def disagreements(self) -> dict[str, object]:
        """Return where order management, positions and ledger do not agree, after a stop."""
        sent, found = Counter(self.sent_orders()), Counter(self.orders_in_ledger())
        fills = self._fills_in_ledger()
        positions: Counter[str] = Counter()
        for _, instrument, qty, _ in fills.values():
            positions[instrument] += qty
        differences: dict[str, set[Any]] = {
            "more than once in the ledger": {order for order, count in found.items() if count > 1},
            "more than once emitted": {order for order, count in sent.items() if count > 1},
            "never emitted, but in the ledger": found.keys() - sent.keys(),
            "fills": fills.items() ^ self._own_fills().items(),
            "positions": positions.items() ^ self._positions().items(),
            "open at the venue": self.open_in_ledger(),
        }
        return {what: found for what, found in differences.items() if found}

    def sent_orders(self) -> list[str]:
        """Return the client order ids that the gateway emitted, as its journal has them."""
        return [order.client_order_id for order in emitted(self.data, "gateway", NewOrderSingle)]

    def orders_in_ledger(self) -> list[str]:
        """Return the client order ids that reached the exchange."""
        orders = emitted(self.venue_data, "door", NewOrderSingle)
        return [order.client_order_id for order in orders]

    def rejections(self) -> dict[str, str]:
        """Return why orders were rejected, as order management said it."""
        return {o.client_order_id: o.text for o in emitted(self.data, "oms", OrderRejected)}

    def ended_in_ledger(self) -> set[str]:
        """Return client order ids of which the venue has said that they are done."""
        return {report.client_order_id for report in self._reports() if report.ord_status in ENDS}

    def open_in_ledger(self) -> set[str]:
        """Return client order ids that the venue accepted and that are not done."""
        accepted = {r.client_order_id for r in self._reports() if r.exec_type is ExecType.NEW}
        return accepted - self.ended_in_ledger()

    def orders_at_venue(self) -> int:
        """Return how many orders the exchange has taken so far; it may be running."""
        journal = self.venue_data / JOURNALS / "exchange"
        if journal.is_dir():
            for body in JournalReader(journal).steps(after=self._seen):
                self._seen += 1
                self._orders += msgspec.msgpack.decode(body)[8][0] == "NewOrderSingle"
        return self._orders

    def _fills_in_ledger(self) -> dict[str, Fill]:
        return {
            r.exec_id: (r.client_order_id, r.instrument, r.side * r.last_qty, r.last_px)
            for r in self._reports()
            if r.exec_type is ExecType.TRADE
        }

    def _own_fills(self) -> dict[str, Fill]:
        return {
            fill.exec_id: (
                fill.client_order_id,
                fill.instrument,
                fill.side * fill.last_qty,
                fill.last_px,
            )
            for fill in emitted(self.data, "oms", OrderFilled)
        }

    def _positions(self) -> dict[str, int]:
        """Return our quantity by instrument, over all strategies."""
        updates = emitted(self.data, "positions", PositionUpdated)
        last = {(update.strategy, update.instrument): update.qty for update in updates}
        total: Counter[str] = Counter()
        for (_, instrument), qty in last.items():
            total[instrument] += qty
        return dict(total)

    def _reports(self) -> list[ExecutionReport]:
        """Return every report of an execution in the ledger, once."""
        numbered = {n.number: n.report for n in emitted(self.venue_data, "door", NumberedReport)}
        return [report for report in numbered.values() if isinstance(report, ExecutionReport)]


class Trading(Accounts):
    """`kaiju run` at a `kaiju venue`, both with all that they keep.

    Args:
        folder: what they keep.
        socket: path on which they meet; a socket's must be short.
        seed: of what is done to them at random.
    """

    def __init__(self, folder: Path, socket: Path, seed: int = 0) -> None:
        endpoint = f"ipc://{socket}"
        super().__init__(folder / "run" / "paper_live", folder / "venue")
        self.kills = 0
        self._folder = folder
        venue = quick_venue(folder)
        live = _written(folder / "paper_live.yaml", quick_trading(endpoint))
        self.venue = MortalProcess(
            ["venue", venue, "--data", self.venue_data, "--bind", endpoint], folder / "venue.log"
        )
        self.run = MortalProcess(
            ["run", live, "--live", "--data", self.data.parent], folder / "run.log"
        )
        self._memories = [ActorSnapshot(self.venue_data), ActorSnapshot(self.data)]
        self._chance = random.Random(seed)  # noqa: S311 - the same kills every time

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.venue.end()
        self.run.end()

    @property
    def logs(self) -> str:
        """What the two have printed."""
        logs = [process.log for process in (self.venue, self.run)]
        return "\n".join(f"{log.name}:\n{log.read_text()}" for log in logs if log.exists())

    def die_at(self, victim: MortalProcess, failpoint: Failpoint) -> None:
        """Start one of the two, so that it dies at a failpoint; it is dead on return."""
        victim.start(failpoint)
        victim.await_death(failpoint)
        self._look()

    def restart(self, victim: MortalProcess) -> None:
        """Kill one of the two and start it again."""
        victim.kill()
        self._look()
        victim.start()

    def kill_at_random(self) -> None:
        """Kill one of the two or both, after some orders or while they begin, and start them."""
        chance = self._chance
        if chance.random() < 0.3:
            time.sleep(chance.random() * MAX_LIFE)
        else:
            self.await_orders(chance.randint(1, MAX_ORDERS_BETWEEN))
        victims = chance.choice([(self.venue,), (self.run,), (self.venue, self.run)])
        for victim in victims:
            victim.kill()
        self._look()
        for victim in victims:
            victim.start()

    def pause_at_random(self, seconds: float) -> None:
        """Let one of the two stand still."""
        self._chance.choice([self.venue, self.run]).pause(seconds)

    def await_orders(self, count: int) -> None:
        """Wait until the venue has taken `count` more orders."""
        wanted = self.orders_at_venue() + count
        until(lambda: self.orders_at_venue() >= wanted, "orders at the venue")

    def stop(self) -> None:
        """Stop the run and then the venue in order.

        Raises:
            AssertionError: something went wrong, as their exit codes say.
        """
        codes = (self.run.stop(), self.venue.stop())
        assert codes == (0, 0), f"exit codes {codes}\n{self.logs}"
        for memory in self._memories:
            memory.look()

    def _look(self) -> None:
        self.kills += 1
        for process, memory in zip((self.venue, self.run), self._memories, strict=True):
            if not process.alive:
                memory.look()


def quick_venue(folder: Path) -> Path:
    """Write the venue's file with an exchange that answers at once, and return its path."""
    content = YAML(typ="safe").load(VENUE)
    exchange = content["actors"]["exchange"]["settings"]
    exchange |= {"order_latency": "1ms", "report_latency": "1ms", "latency_jitter": "1ms"}
    exchange |= {"depth_interval": "20ms"}
    return _written(folder / "venue.yaml", content)


def quick_trading(endpoint: str) -> dict[str, Any]:
    """Return the live topology with strategies that trade all the time at this endpoint."""
    content: dict[str, Any] = YAML(typ="safe").load(LIVE)
    for name in ("feed", "gateway"):
        content["actors"][name]["settings"]["endpoint"] = endpoint
    content["actors"]["maker"]["settings"] = {"interval": "20ms", "reprice_bps": "0"}
    content["actors"]["taker"]["settings"] = {"cooldown": "500ms"}
    return content


def _written(path: Path, content: dict[str, Any]) -> Path:
    content["journal"] = {"segment_bytes": SEGMENT_BYTES}
    YAML().dump(content, path)
    return path
