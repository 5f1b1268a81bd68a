"""Order books of any number of instruments, from a venue's snapshots and diffs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import msgspec
from pydantic import Field

from actors.events.durations import SECOND
from actors.events.event import Event
from actors.events.market import (
    BookDelta,
    BookReset,
    BookState,
    BookStateChanged,
    DepthDiff,
    DepthSnapshot,
    RequestSnapshot,
    TopOfBook,
)
from actors.events.system import (
    ConnectionEstablished,
    ConnectionLost,
    ConnectionRestored,
    MessageDiscarded,
    StreamReset,
    StreamStale,
    TimerFired,
)
from actors.model.book import Book, Top
from actors.runtime.actor import Actor, handles
from actors.runtime.settings import Duration, format_duration

MAX_RETRY = 60 * SECOND
LIVE = BookState.LIVE


class WatchedBook(msgspec.Struct):
    """A book, what was last said about it, and the timers that watch it (0 for none)."""

    book: Book
    top: Top | None = None
    """What the last `TopOfBook` since the book became LIVE said."""
    touched: int = 0
    """When the last diff was applied, UTC nanoseconds."""
    stale_timer: int = 0
    retry_timer: int = 0
    requests: int = 0
    """Snapshots asked for since the book was last LIVE."""


class OrderBook(Actor):
    """Keep books from snapshots and diffs; say their tops and changes only while they are LIVE.

    Outputs speak in this order: state, then deltas, then top. A book that becomes LIVE says all
    its levels (`BookReset`); after that each applied diff is one `BookDelta`.
    """

    class Settings(Actor.Settings):
        """How long to wait, and how much to keep."""

        stale_after: Duration = Field(default=10 * SECOND, gt=0)
        """Silence after which a LIVE book is STALE."""
        snapshot_retry: Duration = Field(default=2 * SECOND, gt=0)
        """First wait for a requested snapshot; it doubles with each request, up to a minute."""
        buffer_limit: int = Field(default=1_000, ge=1)
        """Most diffs kept for each book that waits for a snapshot."""

    class State(msgspec.Struct):
        """Books by instrument."""

        books: dict[str, WatchedBook] = {}

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {
        "top": (TopOfBook,),
        "deltas": (BookDelta, BookReset),
        "state": (BookStateChanged,),
        "requests": (RequestSnapshot,),
    }
    settings: OrderBook.Settings
    state: OrderBook.State

    @handles(DepthDiff)
    def on_depth_diff(self, diff: DepthDiff) -> None:
        """Apply the diff, or keep it for the snapshot that is awaited."""
        watched = self._watched(diff.instrument)
        book = watched.book
        before = book.state
        if book.apply(diff) and before is LIVE:
            watched.touched = self.now
            self.emit(
                BookDelta(
                    diff.instrument, diff.last_update_id, diff.bids, diff.asks, diff.venue_time
                )
            )
            self._say_top(diff.instrument, watched)
        elif book.state is not before:
            self._state_changed(diff.instrument, watched)

    @handles(DepthSnapshot)
    def on_depth_snapshot(self, snapshot: DepthSnapshot) -> None:
        """Begin the book anew from the snapshot, where it needs or betters it."""
        watched = self._watched(snapshot.instrument)
        before = watched.book.state
        used = watched.book.restore(snapshot)
        if watched.book.state is not before:
            self._state_changed(snapshot.instrument, watched)
        elif used:
            self._say_all(snapshot.instrument, watched)

    @handles(ConnectionLost)
    def on_connection_lost(self, lost: ConnectionLost) -> None:
        """Make the books of this connection STALE."""
        for instrument, watched in self._connected_by(lost.connection):
            before = watched.book.state
            watched.book.disconnect(f"connection {lost.connection} lost: {lost.reason}")
            if watched.book.state is not before:
                self._state_changed(instrument, watched)

    @handles(ConnectionEstablished, ConnectionRestored)
    def on_connection_restored(self, event: ConnectionEstablished | ConnectionRestored) -> None:
        """Let the books of this connection begin anew, each with a new snapshot."""
        for instrument, watched in self._connected_by(event.connection):
            if watched.book.connected and isinstance(event, ConnectionEstablished):
                continue
            before = watched.book.state
            watched.book.reconnect(f"connection {event.connection} restored")
            if watched.book.state is not before:
                self._state_changed(instrument, watched)

    @handles(MessageDiscarded)
    def on_message_discarded(self, message: MessageDiscarded) -> None:
        """Distrust the book: what could not be understood may have been a diff."""
        reason = f"{message.source} line {message.line} discarded: {message.reason}"
        for instrument, watched in self.state.books.items():
            if message.instrument in ("", instrument):
                before = watched.book.state
                watched.book.doubt(reason)
                if watched.book.state is not before:
                    self._state_changed(instrument, watched)

    @handles(StreamReset)
    def on_stream_reset(self, reset: StreamReset) -> None:
        """Distrust all books until a snapshot, or a diff that follows."""
        for instrument, watched in self.state.books.items():
            before = watched.book.state
            watched.book.reset(f"stream {reset.stream} reset: {reset.reason}")
            if watched.book.state is not before:
                self._state_changed(instrument, watched)

    @handles(StreamStale)
    def on_stream_stale(self, stale: StreamStale) -> None:
        """Make LIVE books STALE: what feeds them is not current."""
        for instrument, watched in self.state.books.items():
            self._silence(instrument, watched, f"stream {stale.stream} is stale: {stale.reason}")

    @handles(TimerFired)
    def on_timer(self, timer: TimerFired) -> None:
        """Look whether a book went silent, or a requested snapshot did not come."""
        kind, _, instrument = timer.name.partition(" ")
        watched = self._watched(instrument)
        if kind == "stale":
            watched.stale_timer = 0
            self._look_for_silence(instrument, watched)
        else:
            watched.retry_timer = 0
            if watched.book.needs_snapshot:
                self._request_snapshot(instrument, watched)

    def snapshot(self, output: str) -> Iterable[Event]:
        """Return states of all books, tops and levels of the LIVE ones."""
        books = self.state.books.items()
        if output == "state":
            return [BookStateChanged(i, w.book.state, w.book.reason) for i, w in books]
        live = [(i, w.book) for i, w in books if w.book.state is LIVE]
        if output == "top":
            return [_top(instrument, book) for instrument, book in live]
        if output == "deltas":
            return [_reset(instrument, book) for instrument, book in live]
        return ()

    def _watched(self, instrument: str) -> WatchedBook:
        watched = self.state.books.get(instrument)
        if watched is None:
            watched = WatchedBook(Book(self.settings.buffer_limit))
            self.state.books[instrument] = watched
        return watched

    def _connected_by(self, connection: str) -> list[tuple[str, WatchedBook]]:
        # A connection that names no venue concerns all books: rather too many than too few.
        venues = {definition.venue for definition in self.instruments.values()}
        elsewhere = {
            instrument
            for instrument, definition in self.instruments.items()
            if connection in venues and definition.venue != connection
        }
        return [item for item in self.state.books.items() if item[0] not in elsewhere]

    def _state_changed(self, instrument: str, watched: WatchedBook) -> None:
        book = watched.book
        self.emit(BookStateChanged(instrument, book.state, book.reason))
        watched.top = None
        if book.state is LIVE:
            watched.requests = 0
            self._cancel_retry(watched)
            self._say_all(instrument, watched)
        elif not book.connected:
            self._cancel_retry(watched)
        elif book.needs_snapshot and not watched.retry_timer:
            self._request_snapshot(instrument, watched)

    def _say_all(self, instrument: str, watched: WatchedBook) -> None:
        watched.touched = self.now
        if not watched.stale_timer:
            self._watch_for_silence(instrument, watched, self.settings.stale_after)
        self.emit(_reset(instrument, watched.book))
        self._say_top(instrument, watched)

    def _say_top(self, instrument: str, watched: WatchedBook) -> None:
        book = watched.book
        if book.top != watched.top:
            watched.top = book.top
            self.emit(_top(instrument, book))

    def _watch_for_silence(self, instrument: str, watched: WatchedBook, delay_ns: int) -> None:
        watched.stale_timer = self.set_timer(f"stale {instrument}", delay_ns)

    def _look_for_silence(self, instrument: str, watched: WatchedBook) -> None:
        # One timer a book is re-armed for what is left, rather than one set for each diff.
        if watched.book.state is not LIVE:
            return
        left = watched.touched + self.settings.stale_after - self.now
        if left > 0:
            self._watch_for_silence(instrument, watched, left)
        else:
            silence = format_duration(self.settings.stale_after)
            self._silence(instrument, watched, f"no diff for {silence}")

    def _silence(self, instrument: str, watched: WatchedBook, reason: str) -> None:
        if watched.book.state is LIVE:
            watched.book.silence(reason)
            self._state_changed(instrument, watched)

    def _request_snapshot(self, instrument: str, watched: WatchedBook) -> None:
        self.emit(RequestSnapshot(instrument))
        delay = min(self.settings.snapshot_retry << watched.requests, MAX_RETRY)
        watched.requests += 1
        watched.retry_timer = self.set_timer(f"snapshot {instrument}", delay)

    def _cancel_retry(self, watched: WatchedBook) -> None:
        if watched.retry_timer:
            self.cancel_timer(watched.retry_timer)
            watched.retry_timer = 0


def _top(instrument: str, book: Book) -> TopOfBook:
    return TopOfBook(instrument, book.last_update_id, *book.top, book.venue_time)


def _reset(instrument: str, book: Book) -> BookReset:
    return BookReset(
        instrument,
        book.last_update_id,
        book.bids.levels(),
        book.asks.levels(),
        book.venue_time,
    )
