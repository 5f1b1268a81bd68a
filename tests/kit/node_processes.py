"""A topology of several nodes as real processes, killed, stopped and cut off from each other.

What every actor was given is in its journal: `told` reads it there, and the checker of the
simulated network says what is wrong with it.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from actors.runtime.errors import ExitCode
from actors.runtime.journal.data_directory import JOURNALS
from actors.runtime.journal.segments import JournalReader
from actors.runtime.journal.steps import read_step
from actors.runtime.stream_name import output_of, owner_of
from kaiju.monitor.status import LinkStatus, NodeStatus, fetch_status
from tests.kit.killable_kaiju import MortalProcess
from tests.kit.run_folder import run_folder
from tests.kit.simulated_network import Seen, defects
from tests.kit.verify_leftovers import verify_elsewhere
from tests.kit.waiting import until
from topology.check.check import check_file
from topology.config.keys import PUBLIC, SECRET, read_public_key
from topology.links.endpoints import ENDPOINTS_FILE, Endpoints, NodeEndpoints
from topology.links.sockets import make_pair

TOPOLOGY = """\
version: 1
name: linked
nodes:
  one: {host: one, port: 7000}
  two: {host: two, port: 7100}
  three: {host: three, port: 7200}
currencies: {}
instruments: {}
actors:
  kept:    {class: "tests.kit.runtime_actors:Clockwork", node: one, durable: os,
    settings: {interval: 2000000}}
  loose:   {class: "tests.kit.runtime_actors:Clockwork", node: one, settings: {interval: 3000000}}
  witness: {class: "tests.kit.runtime_actors:Sink", node: one, durable: os, inputs: [loose.ticks]}
  relay:   {class: "tests.kit.runtime_actors:Relay", node: two, durable: os, inputs: [kept.ticks]}
  near:    {class: "tests.kit.runtime_actors:Counter", node: two, durable: os,
    inputs: [loose.ticks]}
  sink:
    class: tests.kit.runtime_actors:Counter
    node: three
    durable: os
    inputs: [relay.ticks, kept.ticks]
  far:     {class: "tests.kit.runtime_actors:Counter", node: three, durable: os,
    inputs: [loose.ticks]}
  back:    {class: "tests.kit.runtime_actors:Counter", node: one, durable: os,
    inputs: [relay.ticks]}
"""


class LinkedRun:
    """Processes of all nodes of a topology, on one data directory.

    Args:
        folder: of the run, with a short name: sockets are in it.
        topology: what the file says.
        tcp: whether nodes speak over the network, encrypted, instead of over files.
        hosts: address of each node for the others and for this test, where that is not the
            loopback.
        preludes: called first in the processes of these nodes.
    """

    def __init__(
        self,
        folder: Path,
        topology: str = TOPOLOGY,
        *,
        tcp: bool = False,
        hosts: dict[str, tuple[str, str]] | None = None,
        preludes: dict[str, Callable[[], object]] | None = None,
    ) -> None:
        self.folder, self.tcp = folder, tcp
        self._preludes = preludes or {}
        self.file = folder / "linked.yaml"
        self.file.write_text(topology)
        self.data = folder / "data"
        self.checked = check_file(self.file)
        self.name = self.checked.topology.name
        self.nodes = list(self.checked.topology.nodes)
        self.endpoints = self._lay_out(hosts or {})
        self.endpoints.save(folder / ENDPOINTS_FILE)
        self.processes = {node: self._process(node) for node in self.nodes}

    def start(self, *nodes: str) -> None:
        """Start these nodes, or all."""
        for node in nodes or self.nodes:
            self.processes[node].start()

    def status(self, node: str) -> NodeStatus | None:
        """Return what a node says of itself; None while it does not answer."""
        return fetch_status(*self.endpoints.http(node))

    def known_status(self, node: str) -> NodeStatus:
        """Return what a node says of itself, which answers."""
        status = self.status(node)
        assert status is not None, self.logs()
        return status

    def is_live(self, *nodes: str) -> bool:
        """Tell whether all inputs of these nodes, or of all, are live."""
        found = [self.status(node) for node in nodes or self.nodes]
        return all(status is not None and all_live(status) for status in found)

    def link(self, node: str, stream: str) -> LinkStatus | None:
        """Return what a node says of an input from another one; None while it says nothing."""
        status = self.status(node)
        inputs = () if status is None else status.inputs
        return next((link for link in inputs if link.stream == stream), None)

    def known_link(self, node: str, stream: str) -> LinkStatus:
        """Return what a node says of an input from another one, which is there."""
        link = self.link(node, stream)
        assert link is not None, self.logs()
        return link

    def emitted(self, stream: str) -> int:
        """Return how many events a stream has, as far as its node says; 0 while it does not."""
        node = self.checked.graph.actors[owner_of(stream)].node
        status = self.status(node)
        streams = () if status is None else status.streams
        return next((s.next_seq - 1 for s in streams if s.name == stream), 0)

    def until_emitted(self, stream: str, count: int) -> None:
        until(lambda: self.emitted(stream) >= count, f"{count} events of {stream}", self.logs)

    def until_count(self, what: str, node: str, stream: str, count: int) -> None:
        """Wait until a node has counted so many gaps, resumes or so in a stream."""

        def enough() -> bool:
            link = self.link(node, stream)
            return link is not None and bool(getattr(link, what) >= count)

        until(enough, f"{count} {what} of {stream}", self.logs)

    def stop(self, rest: Callable[[], bool] | None = None, failed: Collection[str] = ()) -> None:
        """End the run in order, and see that everybody ended well.

        Args:
            rest: tells whether nothing is left to do; without, that nothing is on its way.
            failed: nodes that say at their end that an actor raised.
        """
        for process in self.processes.values():
            process.signal(signal.SIGINT)
        until(rest or self._is_quiet, "rest", self.logs)
        codes = {node: process.stop() for node, process in self.processes.items()}
        due = {node: ExitCode.FAILED if node in failed else ExitCode.OK for node in codes}
        assert codes == due, (codes, self.logs())

    def logs(self) -> str:
        return "\n".join(
            f"{node}: {process.log.read_text()}" for node, process in self.processes.items()
        )

    def journal(self, actor: str) -> JournalReader:
        return JournalReader(self.data / self.name / JOURNALS / actor)

    def defects(self) -> list[str]:
        """Return what is wrong with what actors were told of each stream from another node."""
        found = []
        for edge in self.checked.graph.edges:
            reader, source = self.checked.graph.actors[edge.reader], edge.source
            if reader.node != self.checked.graph.actors[source].node:
                end = self._end_of(edge.stream)
                seen = Seen(told=told(self.journal(edge.reader), edge.stream), live=True)
                found += [f"{edge.reader} of {edge.stream}: {d}" for d in defects(end, seen)]
        return found

    def resets(self) -> int:
        """Return how often an actor was told that something of a stream is missing."""
        graph = self.checked.graph
        return sum(
            kind == "reset"
            for edge in graph.edges
            for kind, *_ in told(self.journal(edge.reader), edge.stream)
        )

    def _end_of(self, stream: str) -> End:
        source, output = owner_of(stream), output_of(stream)
        if self.checked.topology.actors[source].durable != "none":
            epoch, next_seq = emitted(self.journal(source), output)
            return End(durable=True, epoch=epoch, next_seq=next_seq)
        _, epoch, seq = told(self.journal("witness"), stream)[-1]
        return End(durable=False, epoch=epoch, next_seq=seq + 1)

    def _is_quiet(self) -> bool:
        found = [self.status(node) for node in self.nodes]
        return all(
            status is not None
            and status.ending
            and not (status.busy or status.queued or behind(status))
            for status in found
        )

    def _process(self, node: str) -> MortalProcess:
        arguments = ["run", self.file, "--node", node, "--data", self.data, "--quiet"]
        arguments += ["--endpoints", self.folder / ENDPOINTS_FILE]
        if self.tcp:
            arguments += ["--secret", self.folder / f"{node}{SECRET}"]
        return MortalProcess(arguments, self.folder / f"{node}.log", self._preludes.get(node))

    def _lay_out(self, hosts: dict[str, tuple[str, str]]) -> Endpoints:
        found = {}
        for node in self.nodes:
            host, seen_from_here = hosts.get(node, 2 * ("127.0.0.1",))
            live, recovery = (f"ipc://{self.folder}/{node}.{what}" for what in ("live", "recovery"))
            key = ""
            if self.tcp:
                live, recovery = (f"tcp://{host}:{free_port()}" for _ in range(2))
                key = self._make_keys(node)
            http = f"{seen_from_here}:{free_port()}"
            found[node] = NodeEndpoints(live=live, recovery=recovery, http=http, key=key)
        return Endpoints(nodes=found)

    def _make_keys(self, node: str) -> str:
        public, secret = make_pair()
        for ending, key in ((PUBLIC, public), (SECRET, secret)):
            path = self.folder / f"{node}{ending}"
            path.touch(mode=0o600)
            path.write_bytes(key)
        return read_public_key(self.folder / f"{node}{PUBLIC}")


class End(NamedTuple):
    """Where a stream ended."""

    durable: bool
    epoch: int
    next_seq: int


@contextmanager
def linked(topology: str = TOPOLOGY, **options: Any) -> Iterator[LinkedRun]:
    """Give a run, see that it can be done again, and leave nothing behind if all is well."""
    with run_folder() as folder:
        run = LinkedRun(folder, topology, **options)
        try:
            yield run
            equal, said = verify_elsewhere([run.data / run.name])
            assert equal, said
        finally:
            for process in run.processes.values():
                process.end()


def all_live(status: NodeStatus) -> bool:
    return all(link.live for link in status.inputs)


def behind(status: NodeStatus) -> int:
    """Return how many events readers of a node lack."""
    return sum(link.behind for link in status.links)


def told(journal: JournalReader, stream: str) -> list[tuple[str, int, int]]:
    """Return what an actor was told of a stream, as `Seen.told` has it."""
    found = []
    for body in journal.steps():
        _, _, _, (source, epoch, seq), _, _, _, _, event, _ = read_step(body)
        if source == stream:
            found.append(("event", epoch, seq))
        elif source.endswith(".inbox"):
            tag, *fields = msgspec.msgpack.decode(event)
            if tag == "StreamReset" and fields[0] == stream:
                found.append(("reset", fields[1], fields[2]))
    return found


def emitted(journal: JournalReader, output: str) -> tuple[int, int]:
    """Return (epoch, next sequence number) of an actor's output."""
    segment = journal.segments()[-1]
    header = segment.header
    tags = set(header["outputs"][output])
    count = header["next_seq"][output]
    for body in journal.steps(segment.first_step - 1):
        effects = msgspec.msgpack.decode(read_step(body)[-1])
        count += sum(event[0] in tags for event in (effects[0] if effects else ()))
    return header["epoch"], count


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
