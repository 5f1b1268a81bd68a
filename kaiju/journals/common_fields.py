"""Two states, one written by the code of now and one by code of before, as far as both can say.

The fields of a `State`, and of structs in it, change from one version to the next. A field that one
of the two does not have is no difference of what they know; an entry, an item or a value is.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import msgspec

from actors.runtime import codec

Pair = tuple[Any, Any]
"""Of the state of now and of the one of before, as plain data."""


def common_fields(now: bytes, before: bytes, kind: type[Any]) -> tuple[bytes, bytes]:
    """Return both states, as written, with no field that only one of them has.

    Args:
        now: as MessagePack.
        before: as MessagePack.
        kind: class of `now`.
    """
    typed = codec.decoder(kind)(now)
    pair = _common(typed, codec.decode(now), codec.decode(before))
    return codec.encode(pair[0]), codec.encode(pair[1])


def _common(typed: Any, now: Any, before: Any) -> Pair:
    """Return the pair of `now`, which `typed` is written as, and `before`."""
    match typed, now, before:
        case msgspec.Struct(), dict(), dict():
            return _of_fields(_fields(typed), now, before)
        case msgspec.Struct(), list(), list():
            fields = list(_fields(typed).values())
            of_tag = [None] * (len(now) - len(fields))
            shorter = min(len(now), len(before))
            return _of_items([*of_tag, *fields], now[:shorter], before[:shorter])
        case dict(), dict(), dict():
            return _of_entries(dict(zip(now, typed.values(), strict=True)), now, before)
        case (list() | tuple(), list(), list()) if len(now) == len(before):
            return _of_items(typed, now, before)
    return now, before


def _of_fields(typed: dict[str, Any], now: dict[str, Any], before: dict[str, Any]) -> Pair:
    pairs = {n: _common(typed.get(n), now[n], before[n]) for n in now if n in before}
    return {n: a for n, (a, _) in pairs.items()}, {n: pairs[n][1] for n in before if n in pairs}


def _of_entries(typed: dict[Any, Any], now: dict[Any, Any], before: dict[Any, Any]) -> Pair:
    pairs = {k: _common(typed[k], now[k], before[k]) for k in now if k in before}
    return (
        {k: pairs[k][0] if k in pairs else value for k, value in now.items()},
        {k: pairs[k][1] if k in pairs else value for k, value in before.items()},
    )


def _of_items(typed: Any, now: list[Any], before: list[Any]) -> Pair:
    pairs = [_common(*each) for each in zip_longest(typed, now, before)]
    return [a for a, _ in pairs[: len(now)]], [b for _, b in pairs[: len(before)]]


def _fields(struct: msgspec.Struct) -> dict[str, Any]:
    names = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
    return {written: getattr(struct, name) for name, written in names}
