"""When each order was open, by the venue's ledger and by the venue's own time stamps.

It shares nothing with the code that wrote the ledger but the format of its files
(docs/verify.md): what is wrong there is not wrong here in the same way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

FILE_HEADER = struct.Struct("<8sHII")
FRAME_HEADER = struct.Struct("<IIIB")
STEP = 2
"""Kind of a frame that holds a step."""
EFFECTS, EVENT_FIELDS = 9, 1
"""Where a step has what came of it, and an event its first field."""
SESSION, NUMBER, REPORT = range(EVENT_FIELDS, EVENT_FIELDS + 3)
ORDER_ID, EXEC_TYPE, STATUS, TRANSACT_TIME = 1, 4, 5, 16
"""Fields of an execution report, behind its name."""
DONE = {"FILLED", "CANCELED", "EXPIRED", "REJECTED"}


class Life(NamedTuple):
    """When an order was open at the venue."""

    opened: int
    """UTC nanoseconds."""
    ended: int | None
    """UTC nanoseconds; None while it is open."""


def lives(ledger: Path) -> dict[str, Life]:
    """Return by client order id when each order that the venue accepted was open.

    Args:
        ledger: directory of the venue's data; the venue may be running.
    """
    opened, ended = dict[str, int](), dict[str, int]()
    for report in _reports(ledger):
        order, stamp = report[ORDER_ID], report[TRANSACT_TIME]
        if report[EXEC_TYPE] == "NEW":
            opened.setdefault(order, stamp)
        if report[STATUS] in DONE:
            ended.setdefault(order, stamp)
    return {order: Life(at, ended.get(order)) for order, at in opened.items()}


def _reports(ledger: Path) -> Iterator[list[Any]]:
    """Yield every report of an execution that was numbered, once and in order of the numbers."""
    numbered = dict[tuple[str, int], list[Any]]()
    for path in sorted((ledger / "journal" / "door").glob("steps-*.kaiju")):
        for body in _steps(path.read_bytes()):
            effects = msgspec.msgpack.decode(body)[EFFECTS]
            for event in effects[0] if effects else ():
                if event[0] == "gateways.NumberedReport" and event[REPORT][0] == "ExecutionReport":
                    numbered[event[SESSION], event[NUMBER]] = event[REPORT]
    return (numbered[key] for key in sorted(numbered))


def _steps(data: bytes) -> Iterator[bytes]:
    """Yield the bodies of a file's steps; what is being written at its end is left out."""
    *_, length, _ = FILE_HEADER.unpack_from(data)
    at = FILE_HEADER.size + length
    while at + FRAME_HEADER.size <= len(data):
        length, _, _, kind = FRAME_HEADER.unpack_from(data, at)
        at += FRAME_HEADER.size
        if at + length > len(data):
            return
        if kind == STEP:
            yield data[at : at + length]
        at += length
