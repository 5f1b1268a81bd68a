"""Ports: where an actor's outputs leave the node for a file, a venue or the network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from actors.events.event import Event
from actors.runtime.clock import FOREVER
from actors.runtime.envelope import Envelope
from actors.runtime.stream import Input


class TryLaterError(OSError):
    """Nothing of what a port was to perform happened, and later it may: its disk was full."""


class Port(Protocol):
    """Performs what its actor emitted on one output, in order, off the handlers."""

    output: str

    def resume(self) -> int | None:
        """Return the last sequence number that the counterparty is known to have.

        None means that it cannot say: everything not known to be performed is in doubt.
        """

    def perform(self, envelopes: Sequence[Envelope]) -> None:
        """Carry out these events, oldest first.

        Raises:
            TryLaterError: trading halts, and the same events come again until it goes well.
            Exception: it did not happen; trading halts and the run ends with this error.
        """

    def close(self) -> None:
        """Flush and release what the port holds."""


class EmergencyConnection(Protocol):
    """Reaches a venue without the actor that stands before it, once no loop does that any more."""

    def cancel_all(self, seconds: float) -> str:
        """Cancel everything and return once the venue lists nothing open, within `seconds`.

        Returns:
            Why it is not known that nothing is open; empty where the venue says so.
        """


class Outlet:
    """What leaves the node of one stream, and how much of it may by now.

    Args:
        reader: position in the stream.
    """

    def __init__(self, reader: Input) -> None:
        self.reader = reader
        self.synced = FOREVER
        """Events from this sequence number on would not survive a loss of power yet."""
        self.written = FOREVER
        """Events from this sequence number on are of steps that the disk refused."""

    @property
    def limit(self) -> int:
        """Number of the first event that may not leave yet."""
        # In this order: what is emitted after the disk refused is not what was emitted before.
        return min(self.reader.stream.next_seq, self.written, self.synced)

    def hold(self) -> None:
        """Let out only what was emitted so far: the disk does not keep what comes."""
        self.written = self.reader.stream.next_seq

    def release(self) -> None:
        """Let everything out again, as soon as it is synced where it must be."""
        self.written = FOREVER

    def wake(self) -> None:
        """Tell whoever takes the events, on any thread, that there may be more."""


class PortRunner(Outlet):
    """Reads one stream from a position and lets a port perform what it finds.

    In virtual time the loop calls `flush` once a turn; on a live node a
    thread of its own does, so that a slow disk delays nobody.

    Args:
        reader: position in the stream.
        port: performs what is read.
        on_failure: called when the port fails for good, with the error.
        classes: what the stream may hold.
        max_waiting: events that may wait for a port that is to be tried later.
    """

    def __init__(
        self,
        reader: Input,
        port: Port,
        on_failure: Callable[[BaseException], None],
        classes: Iterable[type[Event]] = (),
        max_waiting: int = FOREVER,
    ) -> None:
        super().__init__(reader)
        self._port = port
        self._on_failure = on_failure
        self._cancels = any(event_class.cancels for event_class in classes)
        self._max_waiting = max_waiting
        self._failed = False
        self.only_cancels = False
        """Whether nothing may leave any more but cancels."""
        self.refused: TryLaterError | None = None
        """Why the port could not perform what is due; None while it could."""
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def pending(self) -> int:
        """Events emitted and not yet performed."""
        return 0 if self._failed else self.reader.queued

    @property
    def waits_for_disk(self) -> bool:
        """Whether no slower source would help the port to catch up."""
        return self.refused is not None or self.written != FOREVER

    def resume(self, *, fresh: bool = False) -> None:
        """Ask what the counterparty already has, and go on exactly behind it.

        A counterparty that cannot say leaves in doubt what was emitted before: it is not performed
        again. One that has more than the stream belongs to another run.

        Args:
            fresh: the stream starts again at 1, so what the counterparty has is from another.
        """
        reader = self.reader
        try:
            known = self._port.resume()
        except Exception as error:  # noqa: BLE001 - a port that cannot begin has failed
            self._fail(error)
            return
        if fresh or known is None:
            known = reader.stream.next_seq - 1
        if known >= reader.stream.next_seq:
            self._fail(
                ValueError(
                    f"the port of {reader.source.name} already has {known} events, the stream "
                    f"only {reader.stream.next_seq - 1}: it belongs to another run"
                )
            )
        else:
            reader.position = reader.began = known + 1

    def flush(self) -> None:
        """Perform what the stream holds now, as far as it may leave.

        While the disk refuses steps, cancels leave all the same, where the stream has any; what
        else it has is dropped then.
        """
        reader = self.reader
        if self.refused is not None and not self._failed:
            self._perform(self._unread(reader.position + 1))
            if self.refused is not None:
                return
        self._perform(self._unread(FOREVER))
        emitted = reader.stream.next_seq
        if self._cancels and reader.position >= self.written:
            # What is dropped is as if it had been lost on its way: its sender asks about it.
            self._perform(self._read(emitted), only_cancels=True)

    def _perform(self, batch: list[Envelope], *, only_cancels: bool = False) -> None:
        reader = self.reader
        only_cancels = only_cancels or self.only_cancels
        kept = [e for e in batch if e.event.cancels] if only_cancels else batch
        if self._failed:
            reader.skip_to(reader.position + len(batch), "port failed")
            return
        try:
            if kept:
                self._port.perform(kept)
        except TryLaterError as error:
            self.refused = error
            if self._closing or reader.queued > self._max_waiting:
                self._fail(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - never die in silence
            reader.skip_to(reader.position + len(batch), "port failed")
            self._fail(error)
        else:
            self.refused = None
            if len(kept) < len(batch):
                why = "emergency" if self.only_cancels else "not journaled"
                reader.drop(why, len(batch) - len(kept))
            reader.handled += len(kept)
            reader.position += len(batch)

    def _fail(self, error: BaseException) -> None:
        self._failed = True
        self._on_failure(error)

    def _unread(self, limit: int) -> list[Envelope]:
        return self._read(min(self.limit, limit))

    def _read(self, limit: int) -> list[Envelope]:
        stream, position = self.reader.stream, self.reader.position
        batch: list[Envelope] = []
        while position < limit:
            try:
                envelope = stream.read(position)
            except IndexError:
                continue  # as below
            if envelope is None or envelope.id[2] != position:
                continue  # the loop was shortening the tail between our two looks at it
            batch.append(envelope)
            position += 1
        return batch

    def start_thread(self, name: str, on_progress: Callable[[], None]) -> None:
        """Perform on a thread of its own from now on, and call `on_progress` after each batch."""
        self._thread = threading.Thread(
            target=self._run, args=(on_progress,), name=name, daemon=True
        )
        self._thread.start()

    def wake(self) -> None:
        """Tell the thread, if there is one, that the stream may have grown."""
        if self._thread is None:
            self.flush()
        else:
            self._wake.set()

    def close(self) -> None:
        """Perform the rest and close the port; what may not leave now never will."""
        self._closing = True
        if self._thread is not None:
            self._wake.set()
            self._thread.join()
        self.flush()
        self.reader.skip_to(
            self.reader.stream.next_seq, "port failed" if self._failed else "not journaled"
        )
        try:
            self._port.close()
        except Exception as error:  # noqa: BLE001 - as above
            if not self._failed:
                self._on_failure(error)

    def _run(self, on_progress: Callable[[], None]) -> None:
        while not self._closing:
            self._wake.wait()
            self._wake.clear()
            self.flush()
            on_progress()
