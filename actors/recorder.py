"""The recorder: every event of a run, to disk, readable without any of our classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from actors.events.event import LARGEST, Event
from actors.events.reference import Currency, Instrument
from actors.events.system import RecordFrame, StreamReset
from actors.runtime import codec
from actors.runtime.actor import Actor, handles
from actors.runtime.envelope import Envelope
from actors.runtime.journal import frames
from actors.runtime.journal.disk import Disk
from actors.runtime.journal.repair import shorten
from actors.runtime.ports import TryLaterError
from actors.runtime.schema import schema_table

EVENTS_FILE = "events.kaiju"
"""Name of a run's record in the run's directory."""


class Recorder(Actor):
    """Write every event that it hears to the run's one record; give it ``inputs: ["*"]``.

    A frame's body is the MessagePack array ``[stream, epoch, seq, cause, root, time, event]``:
    `cause` and `root` are ``[stream, epoch, seq]`` (cause may be nil), `time` is the envelope's,
    in UTC nanoseconds. Measured times are left out, so equal runs give equal files.
    """

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"frames": (RecordFrame,)}
    order_path = True
    """A run that cannot be recorded must not trade."""
    writes_record = True

    disk: Disk | None = None
    """What the record is written with; None for the usual one."""

    @handles(Event, StreamReset)
    def on_event(self, event: Event) -> None:
        """Encode the event with its envelope; a reset of an input says where some are missing."""
        envelope = self.envelope
        self.emit(
            RecordFrame(
                codec.encode(
                    (*envelope.id, envelope.cause, envelope.root[:3], envelope.time, event)
                )
            )
        )

    def read_before(self) -> Mapping[str, tuple[int, int]] | None:
        """Return up to where the record goes, by stream: a recorder's memory is its file."""
        path = self._path()
        if not path.exists():
            return None
        positions: dict[str, tuple[int, int]] = {}
        with frames.FrameFile(path) as file:
            for body in file.bodies(frames.EVENT):
                stream, epoch, seq, *_ = codec.decode(body)
                positions[stream] = (epoch, seq + 1)
        return positions

    def lost_power(self, next_seq: Mapping[str, int]) -> None:
        """Put aside the end of the record from the first event on that no journal has any more."""
        path = self._path()
        if not path.exists():
            return
        kept, known = 0, next_seq.get(f"{self.name}.frames", LARGEST) - 1
        with frames.FrameFile(path) as file:
            for body in file.bodies(frames.EVENT):
                stream, _, seq, *_ = codec.decode(body)
                if kept == known or seq >= next_seq.get(stream, seq + 1):
                    break
                kept += 1
            end = file.end_of(frames.EVENT, kept)
        if end < path.stat().st_size:
            shorten(path, end, self.disk or Disk())

    def ports(self) -> Sequence[FramePort]:
        """Return the port that appends to the file."""
        heard = {c for classes in self.heard.values() for c in classes} | {StreamReset}
        header = record_header(heard, self.instruments.values(), self.currencies.values())
        return [FramePort(self._path(), header, self.disk)]

    def _path(self) -> Path:
        assert self.directory is not None, "a record needs a run's directory"
        return self.directory / EVENTS_FILE


def record_header(
    classes: Iterable[type[Event]],
    instruments: Iterable[Instrument],
    currencies: Iterable[Currency],
) -> dict[str, Any]:
    """Return the header of a record: the schema of what may be in it, and the scales."""
    return {
        "schema": schema_table(classes),
        "instruments": [msgspec.to_builtins(instrument) for instrument in instruments],
        "currencies": [msgspec.to_builtins(currency) for currency in currencies],
    }


class FramePort:
    """Appends recorded frames to one file.

    Args:
        path: the file; created at the first frame.
        header: what a new file says of itself.
        disk: what the file is written with.
    """

    output = "frames"

    def __init__(self, path: Path, header: Mapping[str, Any], disk: Disk | None = None) -> None:
        self.path = path
        self._disk = disk
        self._header = header
        self._writer: frames.FrameWriter | None = None

    def resume(self) -> int | None:
        """Return how many whole frames the file holds; what an interrupted write left is cut off.

        Raises:
            DamagedFileError: the file is damaged.
        """
        return self._open().frames

    def perform(self, envelopes: Sequence[Envelope]) -> None:
        """Append all of `envelopes` in one write.

        Raises:
            TryLaterError: they were not written, such as on a full disk; the file is whole and
                ends before them.
        """
        bodies = [
            envelope.event.body for envelope in envelopes if isinstance(envelope.event, RecordFrame)
        ]
        writer = self._open()
        try:
            writer.append_all(frames.EVENT, bodies)
        except OSError as error:
            raise TryLaterError(
                error.errno,
                f"{error.strerror}: {len(bodies)} events could not be recorded, the file is"
                f" whole up to frame {writer.frames}",
                str(self.path),
            ) from error

    def close(self) -> None:
        """Close the file; a run without events leaves one with a header only."""
        self._open().close()

    def _open(self) -> frames.FrameWriter:
        if self._writer is None:
            self._writer = frames.FrameWriter(self.path, self._header, self._disk)
        return self._writer
