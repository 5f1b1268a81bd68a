"""A book so simple that it is obviously right: the oracle for the fast one.

It knows nothing of our events, scales or ladders: it reads Binance's JSON with the standard
library, keeps exact decimals and sorts when asked. It does not look for gaps.
"""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal

Levels = list[tuple[Decimal, Decimal]]


class ReferenceBook:
    def __init__(self, snapshot: bytes) -> None:
        message = json.loads(snapshot)
        self.last_update_id: int = message["lastUpdateId"]
        self._bids: dict[Decimal, Decimal] = {}
        self._asks: dict[Decimal, Decimal] = {}
        _set(self._bids, message["bids"])
        _set(self._asks, message["asks"])

    def apply(self, diff: bytes) -> bool:
        message = json.loads(diff)["data"]
        if message["u"] <= self.last_update_id:
            return False
        _set(self._bids, message["b"])
        _set(self._asks, message["a"])
        self.last_update_id = message["u"]
        return True

    def bids(self) -> Levels:
        return sorted(self._bids.items(), reverse=True)

    def asks(self) -> Levels:
        return sorted(self._asks.items())

    def as_snapshot(self) -> bytes:
        """What the venue's REST endpoint would answer now, every level included."""
        sides = {"bids": self.bids(), "asks": self.asks()}
        message = {
            "lastUpdateId": self.last_update_id,
            **{side: [[str(px), str(qty)] for px, qty in levels] for side, levels in sides.items()},
        }
        return json.dumps(message).encode()


def _set(side: dict[Decimal, Decimal], changes: list[list[str]]) -> None:
    for px, qty in changes:
        side.pop(Decimal(px), None)
        if Decimal(qty) != 0:
            side[Decimal(px)] = Decimal(qty)


def plain(number: Decimal) -> str:
    """Write a number without an exponent and without trailing zeros."""
    return format(number.normalize() + 0, "f")


def checksum(bids: Levels, asks: Levels) -> str:
    """The book checksum of the recorded facts."""
    lines = [f"b|{plain(px)}|{plain(qty)}\n" for px, qty in bids]
    lines += [f"a|{plain(px)}|{plain(qty)}\n" for px, qty in asks]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
