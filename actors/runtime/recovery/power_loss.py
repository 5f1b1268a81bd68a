"""After a loss of power, journals may have lost different ends: they are cut to where they fit.

A killed process loses nothing that it wrote. A machine without power loses, of each file, what was
not synced; so a reader's journal may hold a step on an input that its publisher's journal no
longer does. Such steps, and what followed from them, are put aside. Nothing of them ever left a
node that is `fsync`: ports waited until all journals were synced through them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from actors.runtime import codec
from actors.runtime.journal.data_directory import CONTROL
from actors.runtime.journal.disk import Disk
from actors.runtime.journal.repair import apply_cut, cut_behind
from actors.runtime.journal.segments import JournalReader
from actors.runtime.journal.steps import read_step
from actors.runtime.stream_name import output_of, owner_of


class Ends:
    """What one journal needs of others, and gives to them, up to any of its steps."""

    def __init__(self, actor: str, journal: JournalReader) -> None:
        self.actor = actor
        self.last_step = journal.last_step
        self._inputs: dict[str, tuple[list[int], list[int]]] = {}
        """By stream: sequence numbers that were read, and the steps that did."""
        self._outputs: dict[str, list[int]] = {}
        """By output: the step of each event."""
        segments = journal.segments()
        header: Mapping[str, Any] = segments[0].header if segments else {"outputs": {}}
        self._first_seq: dict[str, int] = dict(header.get("next_seq", {}))
        self._output_of = {
            tag: output
            for segment in segments
            for output, tags in segment.header.get("outputs", {}).items()
            for tag in tags
        }
        for body in journal.steps(after=segments[0].first_step - 1 if segments else 0):
            try:
                self._add(body)
            except codec.WideIntegerError as error:
                raise journal.damaged_step(read_step(body)[0], error) from error

    @property
    def outputs(self) -> Iterable[str]:
        """Names of the outputs."""
        return {*self._first_seq, *self._outputs}

    def next_seq(self, output: str) -> int:
        """Return the number behind the last event of an output that is kept."""
        if self.actor == CONTROL:
            return self.last_step + 1
        steps = self._outputs.get(output, [])
        return self._first_seq.get(output, 1) + bisect_left(steps, self.last_step + 1)

    def inputs(self) -> Iterable[str]:
        """Return the streams that were read."""
        return self._inputs

    def cut_before(self, stream: str, seq: int) -> bool:
        """End before the first step on `stream` from `seq` on; return whether that is earlier."""
        numbers, steps = self._inputs[stream]
        place = bisect_left(numbers, seq)
        if place == len(numbers) or steps[place] > self.last_step:
            return False
        self.last_step = steps[place] - 1
        return True

    def _add(self, body: bytes) -> None:
        step, _, _, (stream, _, seq), *_, effects = read_step(body)
        numbers, steps = self._inputs.setdefault(stream, ([], []))
        # On a `latest` input numbers may go back; what counts is the first that is too high.
        numbers.append(max(seq, numbers[-1]) if numbers else seq)
        steps.append(step)
        decoded = codec.decode(effects)
        for event in decoded[0] if decoded else ():
            self._outputs.setdefault(self._output_of[event[0]], []).append(step)


class Fitted(NamedTuple):
    """Journals that fit together."""

    put_aside: dict[str, int]
    """Steps by actor; only where there were some."""
    next_seq: dict[str, int]
    """Number behind the last event that is kept, by stream."""


def cut_to_fit(directories: Mapping[str, Path], disk: Disk) -> Fitted:
    """Put aside the steps of journals that no longer fit to the others.

    Args:
        directories: of the journals, by actor.
        disk: does the writing.

    Raises:
        DamagedFileError: a journal is damaged.
        OSError: one could not be cut.
    """
    journals = {actor: JournalReader(path) for actor, path in directories.items() if path.is_dir()}
    ends = {actor: Ends(actor, journal) for actor, journal in journals.items()}
    before = {actor: end.last_step for actor, end in ends.items()}
    while any(_cut_once(end, ends) for end in ends.values()):
        pass
    gone = {a: before[a] - end.last_step for a, end in ends.items() if end.last_step < before[a]}
    for actor in gone:
        reason = "the machine lost power, and others lost what these steps read"
        cut = cut_behind(directories[actor], ends[actor].last_step, reason)
        apply_cut(directories[actor], cut, disk)
    kept = {
        f"{a}.{output}": end.next_seq(output) for a, end in ends.items() for output in end.outputs
    }
    return Fitted(gone, kept)


def _cut_once(reader: Ends, ends: Mapping[str, Ends]) -> bool:
    changed = False
    for stream in reader.inputs():
        publisher, output = owner_of(stream), output_of(stream)
        if output != "inbox" and publisher in ends and publisher != reader.actor:
            changed |= reader.cut_before(stream, ends[publisher].next_seq(output))
    return changed
