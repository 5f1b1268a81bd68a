"""A feed of recorded market data, in the order and at the times in which it was received."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field

from actors.events.event import Event
from actors.events.market import DepthDiff, DepthSnapshot, Quote, RequestSnapshot, Trade
from actors.events.system import (
    ConnectionEstablished,
    MessageDiscarded,
    RawMessage,
)
from actors.runtime.actor import Actor, handles
from actors.runtime.settings import InstrumentId, TopologyPath
from gateways.binance.messages import Malformed, MessageDecoder
from gateways.recording import FileEnded, Recording

LONGEST_DETAIL = 200
"""Characters; a damaged message may quote any amount of itself."""


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
    """Play raw Binance captures of any number of instruments, merged by the time of receipt.

    A line that cannot be understood is discarded with a reason, and the feed goes on.
    """

    class Settings(Actor.Settings):
        """What was recorded."""

        recordings: dict[InstrumentId, Files] = Field(min_length=1)
        """Files of each instrument in time order: paths or patterns such as ``btcusdt_*.gz``."""

    class State(msgspec.Struct):
        """How far the feed is."""

        handled: dict[str, int] = {}
        """Last line handled, by source; the end of a file counts as one."""
        useful: dict[str, bool] = {}
        """Sources that gave market data; all are True."""

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "depth": (DepthSnapshot, DepthDiff),
        "quotes": (Quote,),
        "trades": (Trade,),
        "connection": (ConnectionEstablished,),
        "discarded": (MessageDiscarded,),
    }
    settings: RecordedFeed.Settings
    state: RecordedFeed.State

    def on_start(self) -> None:
        """Say that the venues are there, as the recorder saw them."""
        venues = dict.fromkeys(self.instruments[i].venue for i in self.settings.recordings)
        for venue in venues:
            self.emit(ConnectionEstablished(venue))

    @handles(RawMessage)
    def on_raw_message(self, raw: RawMessage) -> None:
        """Emit what the message means."""
        instrument, decoder = self._channels[raw.source]
        self.state.handled[raw.source] = raw.line
        event = decoder.decode(raw.payload)
        if isinstance(event, Malformed):
            detail = event.detail[:LONGEST_DETAIL]
            self.emit(MessageDiscarded(raw.source, raw.line, event.reason, detail, instrument))
        elif event is not None:
            self.state.useful[raw.source] = True
            self.emit(event)

    @handles(FileEnded)
    def on_file_ended(self, end: FileEnded) -> None:
        """Say so if the file was damaged, or if nothing in it was of any use."""
        instrument, _ = self._channels[end.source]
        self.state.handled[end.source] = end.line
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

    @handles(RequestSnapshot)
    def on_request_snapshot(self, _request: RequestSnapshot) -> None:
        """Do nothing: the book stays unusable until the recording's next snapshot."""

    def source(self) -> Iterator[tuple[int, Event]]:
        """Read all recordings on from where the state left off."""
        handled, recordings = self.state.handled, self._recordings.values()
        # What comes before the first sound time of a file must not take the clock to 1970.
        start = min((began for r in recordings if (began := r.began())), default=0)
        return heapq.merge(
            *[recording.messages(handled, start) for recording in recordings],
            key=itemgetter(0),
        )

    def progress(self) -> tuple[int, int]:
        """Return bytes read and bytes in all, as the files are on disk."""
        recordings = self._recordings.values()
        return sum(r.done for r in recordings), sum(r.size for r in recordings)

    @cached_property
    def _recordings(self) -> dict[str, Recording]:
        files = self.settings.recordings
        return {instrument: Recording(instrument, files[instrument]) for instrument in files}

    @cached_property
    def _channels(self) -> dict[str, tuple[str, MessageDecoder]]:
        return {
            source: (instrument, decoder)
            for instrument, recording in self._recordings.items()
            for decoder in [MessageDecoder(self.instruments[instrument])]
            for source in recording.sources
        }
