"""MessagePack with whole numbers of up to 32 bytes: for all that goes to files, wires and states.

A number that MessagePack holds, from ``-2**63`` to ``2**64 - 1``, is one of its integers. Any other
is an extension of type 1: two's complement, big-endian, in the fewest bytes, at most 32. Every
other form is damage, so that equal values have equal bytes. The wide way is taken only where
MessagePack alone refuses: what has no such number is encoded and decoded at its speed.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, Final

import msgpack
import msgspec
from msgspec.structs import force_setattr

INTEGER: Final = 1
"""Type of the extension."""
MAX_BYTES: Final = 32
LEAST, MOST = -(2**63), 2**64 - 1
"""What MessagePack's own integers hold."""
_EXTENSION_FOUND = "got `ext`"
"""What msgspec says where it meets an extension instead of the type that it expects."""


class WideIntegerError(msgspec.DecodeError):
    """An extension is no whole number in the only form that one may have."""


def _integer(code: int, data: memoryview) -> int:
    if code != INTEGER:
        raise WideIntegerError(f"extension type {code}, allowed is {INTEGER}, a wide integer")
    size = f"a wide integer of {len(data)} byte{'' if len(data) == 1 else 's'}"
    if len(data) > MAX_BYTES:
        raise WideIntegerError(f"{size}, allowed are {MAX_BYTES}")
    number = int.from_bytes(data, "big", signed=True)
    if LEAST <= number <= MOST:
        raise WideIntegerError(f"{size} for a number that MessagePack holds by itself")
    if len(data) > (shortest := _size(number)):
        raise WideIntegerError(f"{size} where {shortest} are enough")
    return number


encode_narrow: Final = msgspec.msgpack.Encoder().encode
"""Encodes what has no wide number, and raises OverflowError where it meets one: for places where a
call more is too much, which then go on with `encode_wide`."""
decode: Final = msgspec.msgpack.Decoder(ext_hook=_integer).decode
"""Returns what bytes say as plain data.

Raises `WideIntegerError`, and msgspec.DecodeError where it is no MessagePack."""


def decode_header(body: bytes) -> dict[str, Any]:
    """Return the header of a file, read by the reference library of MessagePack.

    So no file can come to need more than that library, which is what others read it with.

    Raises:
        WideIntegerError: it holds a wide number in a form that none may have.
    """
    found: dict[str, Any] = msgpack.unpackb(body, ext_hook=_integer_of)
    return found


def _integer_of(code: int, data: bytes) -> int:
    return _integer(code, memoryview(data))


def encode(value: Any) -> bytes:
    """Return `value` in MessagePack.

    Raises:
        OverflowError: it holds a number that needs more than 32 bytes.
        TypeError: it holds what MessagePack cannot.
    """
    try:
        return encode_narrow(value)
    except OverflowError:
        return encode_wide(value)


def encode_wide(value: Any) -> bytes:
    """Return what `encode` does, for a value in which `encode_narrow` met a wide number.

    Raises:
        OverflowError: it holds a number that needs more than 32 bytes.
        TypeError: it holds what MessagePack cannot.
    """
    return _encode_extended(_extended(value))


def narrow_decoder(kind: Any) -> Callable[[bytes | memoryview], Any]:
    """Return what reads values of the type `kind` without a wide number, at msgspec's speed.

    It raises msgspec.ValidationError where it meets one in a typed field: whoever reads goes on
    with `decoder`, a part at a time where parts are to stay encoded.
    """
    return msgspec.msgpack.Decoder(kind, ext_hook=_integer).decode


def decoder(kind: Any) -> Callable[[bytes | memoryview], Any]:
    """Return what reads values of the type `kind`; fields that are `msgspec.Raw` stay encoded.

    A value that holds wide numbers outside of such fields must have none of these.
    It raises `WideIntegerError`, and msgspec.DecodeError for what is no `kind`.
    """
    narrow = narrow_decoder(kind)

    def read(data: bytes | memoryview) -> Any:
        try:
            return narrow(data)
        except msgspec.ValidationError as error:
            if _EXTENSION_FOUND not in str(error):
                raise
        return msgspec.convert(decode(data), kind)

    return read


def _size(number: int) -> int:
    """Return the fewest bytes that hold `number` in two's complement."""
    return (number if number >= 0 else ~number).bit_length() // 8 + 1


_WITHOUT_NUMBERS = frozenset({str, bytes, float, bool, type(None), msgspec.Raw})


class _Wide:
    """Stands for a wide number while it is encoded: extensions cannot be keys of a dict."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


def _extended(value: Any) -> Any:
    """Return `value` with its wide numbers told apart, and as itself where it has none."""
    if value.__class__ in _WITHOUT_NUMBERS:
        return value
    match value:
        case int():
            return value if LEAST <= value <= MOST else _Wide(value)
        case list() | tuple():
            items = [_extended(item) for item in value]
            return value if all(map(_is, items, value)) else items
        case dict():
            return {_extended(key): _extended(item) for key, item in value.items()}
        case msgspec.Struct():
            return _extended_struct(value)
    return value


def _extended_struct(value: msgspec.Struct) -> msgspec.Struct:
    extended = value
    for name in value.__struct_fields__:
        field = getattr(value, name)
        if (found := _extended(field)) is not field:
            extended = copy(value) if extended is value else extended
            force_setattr(extended, name, found)
    return extended


def _extension(wide: object) -> msgspec.msgpack.Ext:
    if not isinstance(wide, _Wide):
        raise TypeError(f"Encoding objects of type {type(wide).__name__} is unsupported")
    size = _size(wide.number)
    if size > MAX_BYTES:
        raise OverflowError(f"a number takes {size} bytes, allowed are {MAX_BYTES} bytes")
    return msgspec.msgpack.Ext(INTEGER, wide.number.to_bytes(size, "big", signed=True))


_encode_extended = msgspec.msgpack.Encoder(enc_hook=_extension).encode


def _is(one: object, other: object) -> bool:
    return one is other
