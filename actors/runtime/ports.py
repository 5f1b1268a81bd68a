"""Ports: where an actor's outputs leave the node for a file, a venue or the network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from actors.runtime.envelope import Envelope
from actors.runtime.stream import Input


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
            Exception: it did not happen; trading halts and the run ends with this error.
        """

    def close(self) -> None:
        """Flush and release what the port holds."""


class PortReader:
    """Reads one stream from a position and lets a port perform what it finds.

    In virtual time the loop calls `flush` once a turn; on a live node a
    thread of its own does, so that a slow disk delays nobody.
    """

    def __init__(
        self, reader: Input, port: Port, on_failure: Callable[[BaseException], None]
    ) -> None:
        self.reader = reader
        self._port = port
        self._on_failure = on_failure
        self._failed = False
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def pending(self) -> int:
        """Events emitted and not yet performed."""
        return 0 if self._failed else self.reader.queued

    def resume(self) -> None:
        """Ask what the counterparty already has; more than the stream has is another run's."""
        reader = self.reader
        try:
            known = self._port.resume()
        except Exception as error:  # noqa: BLE001 - a port that cannot begin has failed
            self._fail(error)
            return
        if known is not None and known >= reader.stream.next_seq:
            self._fail(
                ValueError(
                    f"the port of {reader.source.name} already has {known} events, the stream "
                    f"only {reader.stream.next_seq - 1}: it belongs to another run"
                )
            )

    def flush(self) -> None:
        """Perform everything that the stream holds now."""
        batch = self._unread()
        if not batch:
            return
        reader = self.reader
        if self._failed:
            reader.skip_to(reader.position + len(batch), "port failed")
            return
        try:
            self._port.perform(batch)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - never die in silence
            reader.skip_to(reader.position + len(batch), "port failed")
            self._fail(error)
        else:
            reader.handled += len(batch)
            reader.position += len(batch)

    def _fail(self, error: BaseException) -> None:
        self._failed = True
        self._on_failure(error)

    def _unread(self) -> list[Envelope]:
        stream, position = self.reader.stream, self.reader.position
        batch: list[Envelope] = []
        while position < stream.next_seq:
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
        """Perform the rest and close the port."""
        if self._thread is not None:
            self._closing = True
            self._wake.set()
            self._thread.join()
        self.flush()
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
