"""A run's record, read back: the events of a file of frames, without any event class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import msgspec

from actors.events.event import Event, tag_of
from actors.recorder import EVENTS_FILE
from actors.runtime import codec
from actors.runtime.journal import frames
from actors.runtime.journal.frames import DamagedFileError, FrameFile
from kaiju.record.scales import Scales, scales_of_header

E = TypeVar("E", bound=Event)


class Recorded(NamedTuple):
    """One recorded event as it stands in the file; `actors.recorder` describes the fields."""

    stream: str
    epoch: int
    seq: int
    cause: list[Any] | None
    root: list[Any]
    time: int
    event: list[Any]
    """``[tag, field, field, ...]``."""

    @property
    def tag(self) -> str:
        """Name of the event's class."""
        return str(self.event[0])

    def as_event(self, event_class: type[E]) -> E:
        """Return the event as an object of `event_class`."""
        return msgspec.convert(self.event, event_class)


class Record:
    """The recorded events of one run.

    Args:
        path: the file, or the directory of the run.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: its header is not whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path / EVENTS_FILE if path.is_dir() else path
        if not self.path.exists():
            raise FileNotFoundError(
                f"{self.path}: no such record; was there a recorder in the run?"
            )
        self._file = FrameFile(self.path)
        self.schema: dict[str, list[list[Any]]] = self._file.header["schema"]["events"]
        """Fields by tag, as `actors.runtime.schema` describes them."""
        self.enums: dict[str, dict[str, Any]] = self._file.header["schema"]["enums"]
        self.scales: Scales = scales_of_header(self._file.header)
        self.torn = 0
        """Bytes at the end left by an interrupted write; known after reading to the end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.__exit__(*error)

    def __iter__(self) -> Iterator[Recorded]:
        """Yield everything recorded, in the order in which the recorder heard it.

        Raises:
            DamagedFileError: the file is damaged behind what was yielded.
        """
        decode = codec.decode
        for number, body in enumerate(self._file.bodies(frames.EVENT)):
            try:
                recorded = Recorded._make(decode(body))
            except codec.WideIntegerError as error:
                raise self._damaged(number, error) from error
            yield recorded
        self.torn = self._file.extent().torn

    def _damaged(self, number: int, error: Exception) -> DamagedFileError:
        with FrameFile(self.path) as file:
            offset = file.end_of(frames.EVENT, number)
        return DamagedFileError(self.path, offset, f"event {number + 1}: {error}")

    def events(self, *classes: type[Event]) -> Iterator[tuple[Recorded, Event]]:
        """Yield the events of `classes` as objects, each with its record."""
        wanted = {tag_of(event_class): event_class for event_class in classes}
        for recorded in self:
            if event_class := wanted.get(recorded.event[0]):
                yield recorded, recorded.as_event(event_class)
