"""One node of a topology as a process: what `kaiju run FILE --node NAME` does."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from msgspec.structs import replace

from actors.runtime.node.emergency import operated
from actors.runtime.node.node import Node
from actors.runtime.stream_name import owner_of
from gateways.sockets import IPC
from kaiju.monitor.http_server import NodeServer
from kaiju.monitor.observer import NodeObserver
from kaiju.monitor.operator_views import views_of
from kaiju.run.build import compose
from kaiju.run.local import first_input, live_clock
from kaiju.run.outcome import FinishedRun, Presentation, finish, observed
from kaiju.run.run_file import RUN_FILE, RunFile, new_session
from kaiju.run.signals import signal_handlers
from topology.check.check import CheckedTopology, check_file
from topology.config.keys import NodeKeys
from topology.errors import RefusedError
from topology.links.endpoints import Endpoints, endpoints_of
from topology.links.node_links import NodeLinks, readers_of
from topology.links.sockets import LinkSockets
from topology.links.sources import HALTS


@dataclass(frozen=True)
class NodeOptions:
    """What `kaiju run FILE --node NAME` was asked for.

    Attributes:
        file: the topology.
        node: the node's name in it.
        data: data directory of this host; the node continues from what it left there.
        endpoints: file that says where all nodes are; None for what the topology says.
        secret: file with the node's secret key; None for the usual places.
        seed: of every actor's random numbers.
        fast: take recorded inputs as fast as their readers can, not as fast as they were recorded.
        quiet: print nothing but errors.
        http_host: address of ``/metrics``, ``/healthz``, ``/readyz`` and ``/status``.
    """

    file: Path
    node: str
    data: Path
    endpoints: Path | None = None
    secret: Path | None = None
    seed: int = 0
    fast: bool = False
    quiet: bool = False
    http_host: str = ""


def run_node(options: NodeOptions) -> int:
    """Run one node of a topology until it is stopped, and return the exit code.

    Raises:
        TopologyError: the file has mistakes; the text lists all of them.
        RefusedError: there is no such node, or nobody can listen where it should.
        KeysError: links leave the host and a key is missing, malformed or readable by others.
        EndpointsError: the file of endpoints cannot be used.
        RunFileError: the run file of an earlier run cannot be used.
        DataDirectoryError: the data is another node's, or cannot be read.
        RecoveryError: its journals do not fit together, or an actor does not repeat its.
        DamagedFileError: a journal is damaged.
        JournalLockedError: an actor runs on another node at the moment.
        OSError: the data cannot be written.
        KeyboardInterrupt: a second signal came while the node was stopping.
    """
    shown = Presentation(options.quiet)
    checked = check_file(options.file)
    topology = checked.topology
    if options.node not in topology.nodes:
        known = ", ".join(topology.nodes)
        raise RefusedError(f"{options.file}: there is no node '{options.node}'; there are {known}")
    for warning in checked.findings.warnings:
        shown.errors().print(str(warning), markup=False)
    endpoints = endpoints_of(checked, options.endpoints)
    began = time.monotonic()
    with ExitStack() as stack:
        sockets = _open_sockets(checked, endpoints, options)
        stack.callback(sockets.close)
        node, run_file = _compose(checked, endpoints, sockets, options)
        watch = NodeObserver(node, topology.name)
        server = stack.enter_context(_http(node, endpoints, options))
        directory = directory_of(options, topology.name)
        with (
            signal_handlers(node),
            observed(watch, server, shown.console()),
            operated(node, directory, views_of(watch), loop_timeout=topology.loop_timeout),
        ):
            node.run()
    return finish(FinishedRun(watch, run_file, directory, time.monotonic() - began), shown).code


def directory_of(options: NodeOptions, topology: str) -> Path:
    """Return the node's own directory."""
    return options.data / topology / options.node


def _open_sockets(
    checked: CheckedTopology, endpoints: Endpoints, options: NodeOptions
) -> LinkSockets:
    live, recovery = endpoints.bind(options.node)
    readers, own = readers_of(checked.graph, options.node), frozenset({options.node})
    given = {  # with the node's own key, all of its streams may be read
        stream: readers.get(stream, frozenset()) | own
        for stream in checked.graph.streams
        if checked.graph.actors[owner_of(stream)].node == options.node
    }
    given[f"{HALTS}.{options.node}"] = frozenset(checked.topology.nodes)
    keys = None
    if not live.startswith(IPC):
        keys = NodeKeys.load(options.node, endpoints.keys(), options.secret)
    try:
        return LinkSockets(live, recovery, topics=given, keys=keys)
    except OSError as error:
        raise RefusedError(str(error.strerror or error)) from error


def _compose(
    checked: CheckedTopology, endpoints: Endpoints, sockets: LinkSockets, options: NodeOptions
) -> tuple[Node, RunFile]:
    topology, name = checked.topology, options.node
    directory = directory_of(options, topology.name)
    directory.mkdir(parents=True, exist_ok=True)
    live, _ = endpoints.bind(name)
    links = NodeLinks(
        name,
        topology.name,
        checked.graph,
        endpoints,
        sockets,
        leaves_host=not live.startswith(IPC),
    )
    run_file = _run_file(checked, options, directory)
    planned = compose(checked, name)
    node = compose(
        checked,
        name,
        clock=live_clock(first_input(planned)),
        seed=run_file.seed,
        session=run_file.session,
        directory=directory,
        data=directory,
        shared=options.data / topology.name,
        elsewhere=[
            actor
            for actor, entry in topology.actors.items()
            if entry.node != name and entry.durable != "none"
        ],
        links=links,
        poller=sockets,
    )
    assert node.data is not None
    # All nodes of this host trade in the session of the first that came here.
    run_file = replace(run_file, session=node.data.file.session)
    node.data.on_opened = partial(run_file.save, directory)
    node.loop.eager = options.fast
    return node, run_file


def _run_file(checked: CheckedTopology, options: NodeOptions, directory: Path) -> RunFile:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    if (directory / RUN_FILE).exists():
        return RunFile.load(directory).started_again(started, checked.document.text)
    return RunFile(
        kaiju=version("kaiju-trading"),
        topology=str(options.file.resolve()),
        text=checked.document.text,
        clock="live",
        seed=options.seed,
        session=new_session(),
        began=time.time_ns(),
        starts=(started,),
    )


def _http(node: Node, endpoints: Endpoints, options: NodeOptions) -> NodeServer:
    host, port = endpoints.http(options.node)
    host = options.http_host or host
    try:
        return NodeServer(node, host, port)
    except OSError as error:
        raise RefusedError(f"nobody can listen on {host}:{port}: {error.strerror}") from error
