"""A feed of recorded market data, in the order and at the times of its receipt."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field

from actors.events.event import Event
from actors.events.market import DepthDiff, DepthSnapshot, Quote, RequestSnapshot, Trade
from actors.events.role import Role
from actors.events.system import (
    ConnectionEstablished,
    MessageDiscarded,
    RawMessage,
    StreamReset,
)
from actors.runtime.actor import Actor, handles
from actors.runtime.settings import InstrumentId, TopologyPath
from gateways.binance.messages import Malformed, MessageDecoder
from gateways.captures import FileEnded, Recording, instrument_of

MAX_DETAIL_LENGTH = 200
"""Characters; the reason may quote any amount of a damaged message."""


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str | Path) else value


def _existing_files(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    files: list[Path] = []
    for path in paths:
        found = [path] if path.is_file() else sorted(path.parent.glob(path.name))
        if not found:
            there = ", ".join(sorted(p.name for p in path.parent.glob("*"))) or "no file"
            raise ValueError(f"was {path}, which matches no file; its folder holds {there}")
        files += found
    return tuple(dict.fromkeys(files))


Files = Annotated[
    tuple[TopologyPath, ...],
    BeforeValidator(_one_or_many, json_schema_input_type=TopologyPath | list[TopologyPath]),
    AfterValidator(_existing_files),
    Field(min_length=1),
]


class RecordedFeed(Actor):
    """Play raw Binance captures of any number of instruments, merged by time of receipt.

    A line that cannot be understood is discarded with a reason, and the feed goes on.
    """

    class Settings(Actor.Settings):
        """Which recordings to play."""

        recordings: dict[InstrumentId, Files] = Field(min_length=1)
        """Files of each instrument in time order: paths or patterns such as ``btcusdt_*.gz``."""

    class State(msgspec.Struct):
        """How far the feed has played."""

        handled: dict[str, int] = {}
        """Last line handled, by source; the end of a file counts as one."""
        reached: dict[str, int] = {}
        """Time of the last line handled, by instrument; no later line gets an earlier one."""
        useful: dict[str, bool] = {}
        """Sources that contained market data; all values are True."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "depth": (DepthSnapshot, DepthDiff),
        "quotes": (Quote,),
        "trades": (Trade,),
        "connection": (ConnectionEstablished,),
        "discarded": (MessageDiscarded,),
    }
    role = Role.FEED

    settings: RecordedFeed.Settings
    state: RecordedFeed.State

    _recordings: Sequence[Recording] = ()
    """What `source` reads, for `progress` alone."""

    def on_start(self) -> None:
        """Emit that the venues are connected, as they were for the recorder."""
        venues = dict.fromkeys(self.instruments[i].venue for i in self.settings.recordings)
        for venue in venues:
            self.emit(ConnectionEstablished(venue))

    @handles(RawMessage)
    def on_raw_message(self, raw: RawMessage) -> None:
        """Emit what the message means."""
        instrument = self._note(raw.source, raw.line, raw.received)
        event = self._decoders[instrument].decode(raw.payload)
        if isinstance(event, Malformed):
            detail = event.detail[:MAX_DETAIL_LENGTH]
            self.emit(MessageDiscarded(raw.source, raw.line, event.reason, detail, instrument))
        elif event is not None:
            self.state.useful[raw.source] = True
            self.emit(event)

    @handles(FileEnded)
    def on_file_ended(self, end: FileEnded) -> None:
        """Report a file that was damaged or contained no market data."""
        instrument = self._note(end.source, end.line, end.received)
        lines = end.line - 1
        if end.damage:
            reason, detail = "unreadable", end.damage
        elif not lines:
            reason, detail = "empty", "the file is empty"
        elif end.source not in self.state.useful:
            reason = "empty"
            detail = f"none of its {lines:,} lines is market data of {instrument}"
        else:
            return
        self.emit(MessageDiscarded(end.source, end.line, reason, detail, instrument))

    @handles(RequestSnapshot, StreamReset)
    def on_request_snapshot(self, _request: RequestSnapshot | StreamReset) -> None:
        """Do nothing: the book stays unusable until the recording's next snapshot."""

    def source(self) -> Iterator[tuple[int, Event]]:
        """Read all recordings on from where the state left off.

        Returns exactly what would have come next without the interruption.

        Raises:
            ValueError: the settings no longer name a file of which lines were handled.
        """
        self._recordings = recordings = self._open()
        handled, reached = dict(self.state.handled), self.state.reached
        _refuse_missing(handled, recordings)
        # Lines before the first valid time of a file must not take the clock to 1970.
        start = min((began for r in recordings if (began := r.began())), default=0)
        return heapq.merge(
            *[r.messages(handled, reached.get(r.instrument, start)) for r in recordings],
            key=itemgetter(0),
        )

    def progress(self) -> tuple[int, int]:
        """Return bytes read and bytes in all, as the files are on disk."""
        recordings = self._recordings or self._open()
        return sum(r.done for r in recordings), sum(r.size for r in recordings)

    def _note(self, source: str, line: int, received: int) -> str:
        """Note how far the feed is, and return the instrument of the source."""
        instrument = instrument_of(source)
        self.state.handled[source] = line
        self.state.reached[instrument] = received
        return instrument

    def _open(self) -> list[Recording]:
        return [Recording(name, files) for name, files in self.settings.recordings.items()]

    @cached_property
    def _decoders(self) -> dict[str, MessageDecoder]:
        return {
            instrument: MessageDecoder(self.instruments[instrument])
            for instrument in self.settings.recordings
        }


def _refuse_missing(handled: Mapping[str, int], recordings: Sequence[Recording]) -> None:
    there = [source for recording in recordings for source in recording.sources]
    missing = [source for source in handled if source not in there]
    if missing:
        raise ValueError(
            f"{missing[0]} was read up to line {handled[missing[0]]}, and is not among the"
            f" recordings any more; allowed are files behind it, here are {', '.join(there)}"
        )
