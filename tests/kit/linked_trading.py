"""The live topology on three nodes at a venue: four processes, of which any may be killed."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
from ruamel.yaml import YAML

from actors.events.event import tag_of
from actors.runtime.journal.steps import read_step
from tests.kit.killable_kaiju import MortalProcess
from tests.kit.killed_trading import (
    LONGER_THAN_SILENCE,
    SEGMENT_BYTES,
    Accounts,
    quick_trading,
    quick_venue,
)
from tests.kit.node_processes import LinkedRun, free_port, linked
from tests.kit.verify_leftovers import verify_elsewhere
from tests.kit.waiting import until
from topology.config.graph import Edge

NODES = {
    "md": ("feed", "book"),
    "desk": ("maker", "taker", "execution"),
    "core": ("risk", "oms", "gateway", "positions", "pnl", "monitor"),
}

Numbered = tuple[int, Any]
"""Sequence number and fields of an event."""


class Desk(Accounts):
    """The nodes, and the venue at which they trade.

    Args:
        nodes: processes of the nodes.
        venue: where they trade.
        venue_data: what the venue keeps.
        seed: of what is done to them at random.
    """

    def __init__(self, nodes: LinkedRun, venue: MortalProcess, venue_data: Path, seed: int) -> None:
        super().__init__(nodes.data / nodes.name, venue_data)
        self.nodes, self.venue = nodes, venue
        self._due: dict[str, int] = {}
        """How many events of each stream there were when the run was told to end."""
        self._chance = random.Random(seed)  # noqa: S311 - the same faults every time

    def start(self) -> None:
        """Start everything, and wait until it trades."""
        self.venue.start()
        self.nodes.start()
        self.await_orders(5)

    def await_orders(self, count: int) -> None:
        """Wait until the nodes are live and the exchange has taken `count` more orders."""
        until(self.nodes.is_live, "live inputs", self.logs)
        wanted = self.orders_at_venue() + count
        until(lambda: self.orders_at_venue() >= wanted, f"{count} more orders", self.logs)

    def kill(self, *names: str) -> None:
        """Kill these, nodes or the venue, all before the first of them starts again."""
        victims = [self._process(name) for name in names]
        for victim in victims:
            victim.kill()
        for victim in victims:
            victim.start()

    def pause(self, name: str, seconds: float) -> None:
        """Let a node or the venue stand still."""
        self._process(name).pause(seconds)

    def disturb(self, *names: str) -> str:
        """Kill one or two of these or let one stand still, at random, and say what was done."""
        if self._chance.random() < 0.25:
            name, seconds = self._chance.choice(names), self._chance.random() * LONGER_THAN_SILENCE
            self.pause(name, seconds)
            return f"{name} stood still for {seconds:.1f} s"
        victims = self._chance.sample(names, self._chance.choice((1, 1, 2)))
        self.kill(*victims)
        return f"{' and '.join(victims)} killed"

    def stop(self, failed: Collection[str] = ()) -> None:
        """End the run and then the venue, in order; nodes on which an actor raised say so."""
        streams = {edge.stream for edge in self._across()}
        self._due = {stream: self.nodes.emitted(stream) for stream in streams}
        self.nodes.stop(rest=self._rests, failed=failed)
        assert self.venue.stop() == 0, self.venue.log.read_text()

    def defects(self) -> list[str]:
        """Return on which links an actor was told anything but what was emitted, after a stop."""
        return [found for edge in self._across() if (found := self._defect(edge))]

    def logs(self) -> str:
        return f"{self.nodes.logs()}\nvenue: {self.venue.log.read_text()}"

    def _across(self) -> list[Edge]:
        """Return what leads from node to node, but to readers that keep no journal."""
        graph, actors = self.nodes.checked.graph, self.nodes.checked.topology.actors
        return [
            edge
            for edge in graph.edges
            if actors[edge.source].node != actors[edge.reader].node
            and actors[edge.reader].durable != "none"
        ]

    def _rests(self) -> bool:
        """Tell whether nobody has an order open; market data comes as long as there are nodes."""
        found = [self.nodes.status(node) for node in NODES]
        return all(status is not None and status.ending and not status.busy for status in found)

    def _defect(self, edge: Edge) -> str:
        given, told = self._given(edge), self._told(edge)
        known, seqs = dict(given), [seq for seq, _ in told]
        seen = set(seqs)
        wrong = [seq for seq, event in told if known.get(seq) != event]
        twice = len(seqs) - len(seen)
        lost = list[int]()
        if edge.delivery == "stream":  # of `latest` what is overtaken is left out
            due = max(self._due[edge.stream], *seqs, 0)
            lost = [seq for seq, _ in given if seq <= due and seq not in seen]
            twice += seqs != sorted(seqs)
        if not (wrong or twice or lost):
            return ""
        return f"{edge.reader} of {edge.stream}: {wrong=}, {twice=}, {lost=}"

    def _given(self, edge: Edge) -> list[Numbered]:
        """Return what the reader handles of a stream, as the publisher's journal has it."""
        journal = self.nodes.journal(edge.source)
        header = journal.segments()[0].header
        seq = header["next_seq"][edge.output]
        own, handled = set(header["outputs"][edge.output]), {tag_of(c) for c in edge.handled}
        found = []
        for body in journal.steps():
            effects = msgspec.msgpack.decode(read_step(body)[-1])
            for event in effects[0] if effects else ():
                if event[0] in own:
                    if event[0] in handled:
                        found.append((seq, event))
                    seq += 1
        return found

    def _told(self, edge: Edge) -> list[Numbered]:
        """Return what the reader's journal has of a stream."""
        found = []
        for body in self.nodes.journal(edge.reader).steps():
            step = read_step(body)
            stream, _, seq = step[3]
            if stream == edge.stream:
                found.append((seq, msgspec.msgpack.decode(step[-2])))
        return found

    def _process(self, name: str) -> MortalProcess:
        return self.venue if name == "venue" else self.nodes.processes[name]


@contextmanager
def desk(
    seed: int = 0,
    *,
    tcp: bool = False,
    prelude: Callable[[], object] | None = None,
    extra: dict[str, Any] | None = None,
) -> Iterator[Desk]:
    """Give a desk; in the end see that all it did can be done again, and leave nothing behind.

    Args:
        seed: of what is done to it at random.
        tcp: whether nodes speak over the network, encrypted.
        prelude: called first in each node.
        extra: keys of the topology's actors that it has beside the others.
    """
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    preludes = dict.fromkeys(NODES, prelude) if prelude else {}
    with linked(_three_nodes(endpoint, extra or {}), tcp=tcp, preludes=preludes) as nodes:
        data = nodes.folder / "venue"
        arguments = ["venue", quick_venue(nodes.folder), "--data", data, "--bind", endpoint]
        venue = MortalProcess(arguments, nodes.folder / "venue.log")
        try:
            yield Desk(nodes, venue, data, seed)
            equal, said = verify_elsewhere([data])
            assert equal, said
        finally:
            venue.end()


def _three_nodes(endpoint: str, extra: dict[str, Any]) -> str:
    content = quick_trading(endpoint)
    content["nodes"] = {name: {"host": name, "port": 7000} for name in NODES}
    content["journal"] = {"segment_bytes": SEGMENT_BYTES}
    actors = content["actors"]
    del actors["recorder"]  # of what is not durable, no journal says what it was told
    for node, names in NODES.items():
        for name in names:
            actors[name]["node"] = node
    actors |= extra
    text = StringIO()
    YAML().dump(content, text)
    return text.getvalue()
