"""What a step costs without an actor: the system calls and the encoding that nothing can avoid."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from actors.runtime import codec
from actors.runtime.envelope import Envelope
from actors.runtime.journal.frames import STEP, encode_frame
from bench.hop import Ping, best_of
from bench.kept import temporary_directory
from bench.rounds import Figures

STEPS = 50_000
PING = Ping(7)
TAKEN = Envelope(
    ("relay0.pings", 1, STEPS), ("relay0.pings", 1, STEPS - 1), ("relay0.inbox", 1, 1, 0), 0, PING
)
"""Input of a step of the relay."""


def encode_step(number: int) -> bytes:
    """Return the body of a step of the relay, as `StepJournal` writes it."""
    about = (TAKEN.id, TAKEN.cause, TAKEN.root, TAKEN.time)
    return codec.encode((number, number, 0, *about, 0, PING, ((PING,), ())))


def measure_step() -> Figures:
    """Return microseconds a step: written only, and encoded, checked and written; and its bytes."""
    frame, _ = encode_frame(STEP, encode_step(STEPS), 0)
    with temporary_directory() as directory:
        file = os.open(directory / "steps", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def write() -> None:
            for _ in range(STEPS):
                os.write(file, frame)

        def encode_and_write() -> None:
            crc = 0
            for number in range(STEPS):
                piece, crc = encode_frame(STEP, encode_step(number), crc)
                os.write(file, piece)

        def once(work: Callable[[], None]) -> float:
            os.ftruncate(file, 0)
            began = time.perf_counter()
            work()
            return (time.perf_counter() - began) / STEPS

        figures = {
            "write_us": best_of(lambda: once(write)),
            "us": best_of(lambda: once(encode_and_write)),
            "bytes": float(len(frame)),
        }
        os.close(file)
    return figures


def measure_groups(group: int, steps: int) -> Figures:
    """Return steps a second that are written one by one and synced in groups."""
    frame, _ = encode_frame(STEP, encode_step(steps), 0)
    with temporary_directory() as directory:
        file = os.open(directory / "steps", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        began = time.perf_counter()
        for _ in range(steps // group):
            for _ in range(group):
                os.write(file, frame)
            os.fdatasync(file)
        took = time.perf_counter() - began
        os.close(file)
    return {"per_second": steps / took, "sync_ms": took / (steps // group) * 1e3}
