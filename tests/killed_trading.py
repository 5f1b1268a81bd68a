"""A run and its venue, two processes that are killed at random, and what their journals say."""

from __future__ import annotations

import random
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack

from actors.runtime.data import JOURNALS
from actors.runtime.segments import JournalReader
from tests.venue_client import KAIJU, PATIENCE, ROOT, VenueProcess, until

LIVE = ROOT / "topology" / "paper_live.yaml"
ENDS = {"FILLED", "CANCELED", "EXPIRED", "REJECTED"}
MOST_ORDERS_BETWEEN = 20
"""Orders that reach the venue between two kills, at most."""


def outputs(directory: Path, actor: str) -> Iterator[list[Any]]:
    """Yield every event that an actor's journal says it emitted, as plain lists."""
    for body in JournalReader(directory / JOURNALS / actor).steps():
        step = msgpack.unpackb(body, strict_map_key=False)
        if step[9] is not None:
            yield from step[9][0]


class Trading:
    """`kaiju run topology/paper_live.yaml` at a venue of its own, both with what they keep."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.venue = VenueProcess(folder)
        self.data = folder / "run" / "paper_live"
        self.log = folder / "run.log"
        self._file = folder / "live.yaml"
        self._file.write_text(LIVE.read_text().replace("tcp://127.0.0.1:7100", self.venue.endpoint))
        self._chance = random.Random(seed)  # noqa: S311 - the same kills every time
        self._run: subprocess.Popen[bytes] | None = None

    def start_run(self) -> None:
        with self.log.open("ab") as log:
            self._run = subprocess.Popen(
                [*KAIJU, "run", self._file, "--live", "--data", self.data.parent],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    def kill_run(self) -> None:
        assert self._run is not None
        self._run.kill()
        self._run.wait(PATIENCE)

    def kill_at_random(self) -> None:
        """Wait for some orders, kill one of the two or both, and start them again."""
        self.await_orders(self._chance.randint(1, MOST_ORDERS_BETWEEN))
        victims = self._chance.choice([("venue",), ("run",), ("venue", "run")])
        for victim in victims:
            self.venue.kill() if victim == "venue" else self.kill_run()
        for victim in victims:
            self.venue.start() if victim == "venue" else self.start_run()

    def await_orders(self, count: int) -> None:
        """Wait until the venue has taken `count` more orders."""
        wanted = self._orders_at_venue() + count
        until(lambda: self._orders_at_venue() >= wanted, "orders at the venue", 60)

    def stop(self) -> tuple[int, int]:
        """Stop the run and then the venue, in order, and return their exit codes."""
        assert self._run is not None
        self._run.send_signal(signal.SIGINT)
        return self._run.wait(60), self.venue.stop()

    def end(self) -> None:
        """Leave no process behind, whatever happened."""
        if self._run is not None and self._run.poll() is None:
            self.kill_run()
        if self.venue.process is not None and self.venue.process.poll() is None:
            self.venue.kill()

    def order_ids(self) -> Counter[str]:
        """Return how often each client order id reached the exchange."""
        taken = outputs(self.venue.data, "door")
        return Counter(event[1] for event in taken if event[0] == "NewOrderSingle")

    def reports(self) -> list[list[Any]]:
        """Return every report of an execution in the venue's ledger, once."""
        found = {}
        for event in outputs(self.venue.data, "door"):
            if event[0] == "gateways.NumberedReport" and event[3][0] == "ExecutionReport":
                found[event[2]] = event[3]
        return list(found.values())

    def fills(self) -> dict[str, tuple[str, int]]:
        """Return (instrument, signed quantity) by execution id, as the ledger has them."""
        return {r[3]: (r[6], r[7] * r[8]) for r in self.reports() if r[4] == "TRADE"}

    def still_open(self) -> set[str]:
        """Return client order ids that the venue accepted and has not ended."""
        reports = self.reports()
        accepted = {report[1] for report in reports if report[4] == "NEW"}
        return accepted - {report[1] for report in reports if report[5] in ENDS}

    def own_fills(self) -> dict[str, tuple[str, int]]:
        """Return (instrument, signed quantity) by execution id, as order management has them."""
        return {
            event[9]: (event[3], event[4] * event[5])
            for event in outputs(self.data, "oms")
            if event[0] == "OrderFilled"
        }

    def positions(self) -> dict[str, int]:
        """Return our quantity by instrument, over all strategies."""
        last = {
            (event[1], event[2]): event[3]
            for event in outputs(self.data, "positions")
            if event[0] == "PositionUpdated"
        }
        total: Counter[str] = Counter()
        for (_, instrument), qty in last.items():
            total[instrument] += qty
        return dict(total)

    def _orders_at_venue(self) -> int:
        files = (self.venue.data / JOURNALS / "exchange").glob("*.kaiju")
        # An order enters the exchange as one input; its outputs are reports.
        return sum(file.read_bytes().count(b"NewOrderSingle") for file in files)
