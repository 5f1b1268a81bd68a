"""What a node is told before it is wired."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

from actors.events.reference import Currency, Instrument
from actors.runtime.journal.commits import MAX_HELD
from actors.runtime.journal.data_directory import DataDirectory
from actors.runtime.journal.disk import Disk

Durability = Literal["none", "os", "fsync"]
"""What of an actor is kept: nothing, what survives the process, or what survives the machine."""
SEGMENT_BYTES: Final = 64 * 2**20


class Retention(NamedTuple):
    """How much of each journal is kept beyond what recovery and readers need."""

    keep_bytes: int
    keep_age: int
    """Nanoseconds since a file was last written; 0 for any age."""


EVERYTHING: Final = Retention(1 << 62, 0)


@dataclass(frozen=True)
class NodeConfig:
    """Plain values of a node; all have defaults that suit a test.

    Attributes:
        name: the node's name in the topology.
        seed: of every actor's random numbers, together with its name.
        session: first part of client order ids.
        instruments: of the topology.
        currencies: of the topology.
        metrics: False leaves out all clock reads; counters are always kept.
        slice_steps: deliveries between two looks at ports and outside commands.
        bound: events that a port may lag before sources pause. In live time also the lag
            beyond which a reader is reset; a reader of a durable publisher is not, but at
            four times the bound trading halts.
        tail_bytes: budget of all tails together, beyond what readers still lack.
        directory: of the run, for files of its actors and, on a failure, the flight recorder;
            None where nothing is kept.
        data: directory of the journals of durable actors, which resume from what is there. None
            keeps nothing, whatever is durable.
        shared: directory of the journals of all nodes of this host; None where this one is alone.
        elsewhere: durable actors of other nodes.
        segment_bytes: of an actor's journal after which a snapshot is taken.
        retention: how much of a journal is kept beyond what recovery needs.
        max_held: bytes that may wait in memory for a disk that refuses them; then the run ends.
        leaves_orders: whether an ordinary stop leaves open orders at the venue.
        memory_limit: bytes of the process at which trading halts and the run ends; 0 for none.
        min_free: bytes of the data's disk below which it is told that it will be full.
    """

    name: str = "node"
    _: KW_ONLY
    seed: int = 0
    session: str = "0"
    instruments: Iterable[Instrument] = ()
    currencies: Iterable[Currency] = ()
    metrics: bool = True
    slice_steps: int = 1024
    bound: int = 65_536
    tail_bytes: int = 1 << 20
    directory: Path | None = None
    data: Path | None = None
    shared: Path | None = None
    elsewhere: Iterable[str] = ()
    segment_bytes: int = SEGMENT_BYTES
    retention: Retention = EVERYTHING
    max_held: int = MAX_HELD
    leaves_orders: bool = False
    memory_limit: int = 0
    min_free: int = 0

    def open_data(self, disk: Disk) -> DataDirectory | None:
        """Return the directory in which the node keeps what its actors do; None without `data`.

        Raises:
            DataDirectoryError: the directory is another node's, or cannot be read.
            OSError: it cannot be made.
        """
        if self.data is None:
            return None
        return DataDirectory(
            self.data,
            self.name,
            self.session,
            disk,
            shared=self.shared,
            elsewhere=self.elsewhere,
        )
