"""Settings given on the command line: ``--set risk.max_position.BTCUSDT.SIM=0.5``.

They are put into the document before it is checked, so that mistakes in them are found, with the
nearest fix, like mistakes in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from topology.config.document import Document, KeyPath, parse_value
from topology.config.findings import Finding, nearest

FORM = "ACTOR.SETTING=VALUE, such as risk.price_collar_bps=100"
INSTRUMENT_FIRST = re.compile(r"[0-9_-]*[A-Z][A-Z0-9_-]*\.[A-Z0-9_]+(?=\.|$)")
"""A path that begins with the id of an instrument, whose dot is no separator."""


class _UnusableError(Exception):
    """An override names nothing; the text says why."""


def override(document: Document, overrides: Iterable[str]) -> None:
    """Put settings of actors into `document`, later ones over earlier ones.

    Args:
        document: a file that was read; mistakes in an override are added to its findings.
        overrides: ``actor.setting=value``. Further dots lead into nested settings, indexes from 0
            into lists; keys that contain dots, such as instruments, are written as they are. The
            value is YAML, but a number with a decimal point stays exact.
    """
    for text in overrides:
        origin = f"--set {text}"
        try:
            place, value = _parse(document, text)
        except _UnusableError as error:
            document.findings.append(Finding(origin, 0, 0, str(error)))
        else:
            if place:
                document.put(place, value, origin)


def _parse(document: Document, text: str) -> tuple[KeyPath, Any]:
    way, _, written = text.partition("=")
    actor, _, path = way.strip().partition(".")
    if not (actor and written.strip() and all(path.split("."))):
        raise _UnusableError(f"allowed is {FORM}")
    value = parse_value(written)
    for finding in value.findings:
        raise _UnusableError(f"the value is {finding.message}")
    actors = document.data.get("actors") if isinstance(document.data, dict) else None
    if not isinstance(actors, dict):
        return (), None  # a finding of its own
    if actor not in actors:
        raise _UnusableError(f"there is no actor '{actor}'{nearest(actor, actors)}")
    if not isinstance(actors[actor], dict):
        return (), None
    settings = actors[actor].get("settings")
    return ("actors", actor, "settings", *_way(settings, path)), value.data


def _way(settings: Any, path: str) -> Iterable[str | int]:
    holder, walked, rest = settings, "settings", path
    while rest:
        holder = {} if holder is None else holder
        if not isinstance(holder, dict | list):
            raise _UnusableError(f"'{walked}' is {holder!r}: there is nothing inside it to set")
        key = _first_key(rest, holder)
        walked, rest = f"{walked}.{key}", rest[len(key) + 1 :]
        if isinstance(holder, list):
            index = _index(key, holder, walked)
            yield index
            holder = holder[index]
        else:
            yield key
            holder = holder.get(key)


def _first_key(path: str, holder: Any) -> str:
    if isinstance(holder, list):
        return path.partition(".")[0]
    known = [key for key in holder if f"{path}.".startswith(f"{key}.")]
    instrument = INSTRUMENT_FIRST.match(path)
    first = instrument[0] if instrument else path.partition(".")[0]
    return max(known, key=len, default=first)


def _index(key: str, holder: list[Any], walked: str) -> int:
    if key.isdecimal() and int(key) < len(holder):
        return int(key)
    count = len(holder)
    allowed = f"allowed are 0 to {count - 1}" if count else "the list is empty"
    raise _UnusableError(f"there is no item '{walked}'; {allowed}")
