"""The status of a node, as ``/status`` serves it and as others fetch it."""

from __future__ import annotations

from http.client import HTTPException
from typing import Literal
from urllib.request import ProxyHandler, build_opener

import msgspec

from actors.runtime.statistics import ActorRecord, HaltRecord, LinkCounts, LinkRecord
from kaiju.monitor.observer import NodeView

LIVE = "LIVE"
"""State of an input from another node of which nothing is missing."""
ANSWER_TIME = 1.0
"""Seconds within which a node must answer."""

# Nodes are asked at addresses of a topology, never through a proxy that the environment names.
_open = build_opener(ProxyHandler({})).open


class ActorStatus(msgspec.Struct, frozen=True):
    """An actor; times in nanoseconds."""

    name: str
    handled: int
    failed: int
    queued: int
    alive: bool
    wait_p50: int
    handle_p50: int

    @classmethod
    def of(cls, actor: ActorRecord) -> ActorStatus:
        """Return the status of an actor with these statistics."""
        return cls(
            name=actor.name,
            handled=actor.handled,
            failed=actor.failed,
            queued=actor.mailbox_depth,
            alive=actor.alive,
            wait_p50=actor.since_arrival.quantile(0.5),
            handle_p50=actor.handle.quantile(0.5),
        )


class StreamStatus(msgspec.Struct, frozen=True):
    """A stream that the node publishes."""

    name: str
    epoch: int
    next_seq: int


class LinkStatus(msgspec.Struct, frozen=True):
    """A stream between the node and another one, as `LinkRecord`; times in nanoseconds."""

    kind: Literal["input", "output"]
    node: str
    stream: str
    state: str
    epoch: int
    position: int
    behind: int
    gaps: int
    repeated: int
    resumes: int
    resets: int
    malformed: int
    durable: bool
    delay_p50: int
    delay_p99: int

    @classmethod
    def of(cls, link: LinkRecord) -> LinkStatus:
        """Return the status of a stream with these statistics."""
        plain = msgspec.structs.asdict(link)
        delay = plain.pop("delay")
        return cls(**plain, delay_p50=delay.quantile(0.5), delay_p99=delay.quantile(0.99))

    @property
    def live(self) -> bool:
        """Whether the stream is complete up to now."""
        return self.state == LIVE


class NodeStatus(msgspec.Struct, frozen=True):
    """A node; counts are since its start."""

    topology: str
    node: str
    clock: int
    """UTC nanoseconds of the node's clock."""
    steps: int
    halted: str
    """Why trading is halted; empty if it is not."""
    ending: str
    """Why the run is ending; empty while it lasts."""
    busy: bool
    """Whether orders or other business are open."""
    has_data: bool
    """Whether recorded data is left."""
    queued: int
    orders: dict[str, int]
    """Counts by strategy and state, as ``maker filled``."""
    actors: tuple[ActorStatus, ...]
    streams: tuple[StreamStatus, ...]
    links: tuple[LinkStatus, ...]
    link_counts: LinkCounts | None
    """None where the node has no links."""
    lifted_by: str = ""
    """What ends the halt; empty while there is none."""
    venues: dict[str, str] = {}
    """What is wrong with the connection to a venue, by gateway or feed; empty while it is up."""
    halts: tuple[HaltRecord, ...] = ()
    """The trading state: what is in force, oldest first."""

    @property
    def inputs(self) -> tuple[LinkStatus, ...]:
        """Streams that the node reads from others."""
        return tuple(link for link in self.links if link.kind == "input")


def status_of(view: NodeView) -> NodeStatus:
    """Return the status of a node."""
    statistics = view.statistics
    return NodeStatus(
        topology=view.topology,
        node=statistics.node,
        clock=statistics.now,
        steps=statistics.steps,
        halted=statistics.halted,
        ending=view.ending,
        busy=view.busy,
        has_data=view.has_data,
        queued=statistics.queued,
        orders={f"{strategy} {state}": n for (strategy, state), n in view.orders.items()},
        actors=tuple(map(ActorStatus.of, statistics.actors)),
        streams=tuple(StreamStatus(s.name, s.epoch, s.next_seq) for s in statistics.streams),
        links=tuple(map(LinkStatus.of, statistics.links)),
        link_counts=statistics.link_counts,
        lifted_by=statistics.lifted_by,
        venues={venue.actor: venue.problem for venue in view.venues},
        halts=statistics.halts,
    )


def fetch_status(host: str, port: int) -> NodeStatus | None:
    """Ask a node for its status; None where it does not answer, or not yet."""
    try:
        with _open(f"http://{host}:{port}/status", timeout=ANSWER_TIME) as answer:
            return msgspec.json.decode(answer.read(), type=NodeStatus)
    except (OSError, HTTPException, msgspec.DecodeError):
        return None
