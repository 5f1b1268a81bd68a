"""What the runtime measures: plain counters and log-linear histograms, read as frozen records."""

from __future__ import annotations

from itertools import zip_longest
from typing import Literal

import msgspec

from actors.events.accounts import TradingState

BUCKETS = 8 * 44
"""Eight buckets an octave: at most 12.5 % error, from 16 ns to more than an hour."""


def bucket_of(nanoseconds: int) -> int:
    """Return the index of the bucket that counts `nanoseconds`."""
    if nanoseconds < 16:  # noqa: PLR2004 - below that a bucket would be narrower than 1 ns
        return 0
    octave = nanoseconds.bit_length() - 4
    return min((octave << 3) | ((nanoseconds >> octave) & 7), BUCKETS - 1)


def bucket_bound(index: int) -> int:
    """Return the upper bound, in nanoseconds, of what bucket `index` counts."""
    if index == 0:
        return 16
    octave, part = index >> 3, index & 7
    return (9 + part) << octave


class Histogram:
    """Counts of durations in log-linear buckets."""

    __slots__ = ("count", "counts", "total")

    def __init__(self) -> None:
        self.counts: list[int] = []
        """Counts by bucket, up to the highest one used."""
        self.count = 0
        self.total = 0

    def observe(self, nanoseconds: int) -> None:
        """Count one duration."""
        counts, bucket = self.counts, bucket_of(nanoseconds)
        if bucket >= len(counts):
            counts.extend([0] * (bucket + 1 - len(counts)))
        counts[bucket] += 1
        self.count += 1
        self.total += nanoseconds

    def add(self, other: Histogram) -> None:
        """Count what `other` counted as well."""
        self.counts = [a + b for a, b in zip_longest(self.counts, other.counts, fillvalue=0)]
        self.count += other.count
        self.total += other.total

    def quantile(self, q: float) -> int:
        """Return the upper bound of the bucket that holds quantile `q`; 0 for none."""
        rank, seen = q * self.count, 0
        for index, n in enumerate(self.counts):
            seen += n
            if n and seen >= rank:
                return bucket_bound(index)
        return 0


class ActorStatistics:
    """How long one actor's handlers ran, and how often they failed."""

    __slots__ = ("failed", "handle")

    def __init__(self) -> None:
        self.handle = Histogram()
        self.failed = 0


class ActorRecord(msgspec.Struct, frozen=True):
    """One actor at one moment."""

    name: str
    class_name: str
    handled: int
    failed: int
    mailbox_depth: int
    handle: Histogram
    since_arrival: Histogram
    """From an outside event's arrival to this actor's turn on what it led to, over all edges."""
    order_path: bool
    alive: bool


class EdgeRecord(msgspec.Struct, frozen=True):
    """One reader of one stream: ``sent`` is the sum of what became of the events."""

    reader: str
    stream: str
    delivery: str
    sent: int
    handled: int
    unhandled: int
    conflated: int
    dropped: dict[str, int]
    queued: int
    since_arrival: Histogram
    """From an outside event's arrival to the reader's turn on what it led to."""

    @property
    def conserved(self) -> bool:
        """Whether every event sent is accounted for."""
        rest = self.unhandled + self.conflated + sum(self.dropped.values()) + self.queued
        return self.sent == self.handled + rest


class StreamRecord(msgspec.Struct, frozen=True):
    """One stream at one moment."""

    name: str
    epoch: int
    next_seq: int
    kept: int


class DeadLetter(msgspec.Struct, frozen=True):
    """An event that no handler finished, and why."""

    actor: str
    stream: str
    seq: int
    event: str
    reason: str


class DurabilityRecord(msgspec.Struct, frozen=True):
    """How a node's steps reach its disk, at one moment."""

    appended: dict[str, int]
    """Bytes of steps written since the start, by durable actor."""
    written: int
    """Steps that the disk took since the start."""
    synced: int
    """Steps of them that would survive a loss of power; only counted where somebody waits."""
    held: int
    """Steps that wait for a disk that refuses them."""
    sync_time: Histogram
    """How long the journals took to sync, all of them at once."""
    recovered: int
    """Steps that were done again at the start."""
    recovery_time: int
    """Nanoseconds that took."""


class SurroundingsRecord(msgspec.Struct, frozen=True):
    """What a node takes of its machine, at one moment."""

    resident: int
    """Bytes of memory of its process."""
    memory_limit: int
    """Bytes at which it halts and ends; 0 for no limit."""
    disk_free: int
    """Bytes free where its journals are; 0 where it has none."""
    min_free: int
    """Bytes below which that is told; 0 for never."""
    clock_ahead: int
    """Nanoseconds that its clock is ahead of the machine's; negative where it is behind."""

    @property
    def disk_is_low(self) -> bool:
        """Whether the disk will be full soon."""
        return 0 < self.disk_free < self.min_free


class LinkRecord(msgspec.Struct, frozen=True):
    """One stream between this node and another, at one moment."""

    kind: Literal["input", "output"]
    node: str
    """The other one."""
    stream: str
    state: str
    epoch: int
    position: int
    """Sequence number of the next event that comes in, or of the first that was not handled."""
    behind: int
    """Events that the publisher has emitted and the reader has not taken in, or not handled."""
    gaps: int = 0
    repeated: int = 0
    resumes: int = 0
    resets: int = 0
    malformed: int = 0
    durable: bool = False
    """Whether it is never reset, unless its reader joins late."""
    delay: Histogram = msgspec.field(default_factory=Histogram)
    """From when a live frame left its node until it was taken in here, by the clocks of both."""


class LinkCounts(msgspec.Struct, frozen=True):
    """What a node's links lost, refused and dialed again since its start."""

    unsent: int
    """Messages to others that found a full queue, or nobody there."""
    refused: dict[str, int]
    """By what was refused: a key, a handshake, a subscription or a request."""
    malformed: dict[str, int]
    """Messages that could not be read, by the node that they came from; "" for whoever asks here.
    Events of a frame that could be read are counted with their stream."""
    redials: dict[str, int]
    """How often a connection was made again, by the node that is read."""


class HaltRecord(msgspec.Struct, frozen=True):
    """An entry of the trading state, at one moment."""

    halt_id: str
    owner: str
    level: TradingState
    reason: str
    venue: str
    """What it is about: the four together, each empty for all."""
    account: str
    instrument: str
    strategy: str
    since: int
    """UTC nanoseconds; 0 where that is not known."""
    lifted_by: str
    """What ends it."""
    verified_by: tuple[str, ...] = ()
    """Gateways of the node at whose venue nothing that it covers is open any more."""


class NodeStatistics(msgspec.Struct, frozen=True):
    """A whole node at one moment."""

    node: str
    steps: int
    now: int
    actors: tuple[ActorRecord, ...]
    edges: tuple[EdgeRecord, ...]
    streams: tuple[StreamRecord, ...]
    dead_letters: dict[str, int]
    """Counts by reason."""
    queued: int
    halted: str
    """Why trading was halted; empty while it was not."""
    durability: DurabilityRecord | None = None
    """None where nothing is kept."""
    links: tuple[LinkRecord, ...] = ()
    """Empty where the node is alone."""
    link_counts: LinkCounts | None = None
    """None where the node is alone."""
    lifted_by: str = ""
    """What ends the halt; empty while there is none."""
    surroundings: SurroundingsRecord | None = None
    halts: tuple[HaltRecord, ...] = ()
    """The trading state: what is in force, oldest first."""
    halted_in_part: bool = False
    """Whether instruments or strategies are halted, and everything else trades on."""
