"""Where a measurement keeps its journals, and how long a node took without opening and closing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from actors.runtime.actor import Actor
from actors.runtime.journal.writer import Journal
from actors.runtime.node.node import Node
from bench.rounds import OUT


class Stopwatch(Actor):
    """Note when a node has opened its journals and when its last step is done."""

    began = ended = 0.0

    def source(self) -> None:
        """Note the begin: sources are opened after the journals."""
        self.began = time.perf_counter()

    def on_stop(self) -> None:
        """Note the end: actors are stopped before the journals are closed."""
        self.ended = time.perf_counter()


def seconds_of(node: Node) -> float:
    """Run a node and return how long its steps took, with journals opened and not yet closed.

    Raises:
        AssertionError: something failed, so the figure would mean nothing.
    """
    watch = node.add("stopwatch", Stopwatch)
    node.run()
    assert not node.supervisor.failures, node.supervisor.failures
    assert isinstance(watch, Stopwatch)
    return watch.ended - watch.began


def journal_of(node: Node, actor: str) -> Journal:
    """Return the journal of a durable actor."""
    journal = node.journal_of(actor)
    assert journal is not None
    return journal


def step_bytes(node: Node, actor: str) -> float:
    """Return the mean size of a step of a durable actor."""
    journal = journal_of(node, actor)
    size = sum(segment.path.stat().st_size for segment in journal.segments())
    return size / journal.last_step


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """Give an empty directory on the project's disk, and delete it and what is in it."""
    OUT.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="journal-", dir=OUT) as directory:
        yield Path(directory)


def describe_file_system() -> str:
    """Return type and device of the file system that journals are measured on."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [mount for mount in mounts if OUT.is_relative_to(mount[1])]
    device, _, kind, *_ = max(holding, key=lambda mount: len(mount[1]))
    return f"{kind} on {device}"
