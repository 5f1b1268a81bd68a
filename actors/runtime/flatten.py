"""The positions that an operator wants closed, as a command names them."""

from __future__ import annotations

from actors.events.market import Side
from actors.events.system import OperatorCommand


def closing_orders(command: OperatorCommand) -> list[tuple[str, str, Side, int]]:
    """Return (strategy, instrument, side, quantity) of each order that closes a position.

    An argument is named ``strategy instrument``; its value is the signed quantity that is held.
    What is not of this form, as a hand-written command may have it, closes nothing.
    """
    if command.command != "flatten":
        return []
    found = list[tuple[str, str, Side, int]]()
    for place, held in command.arguments:
        strategy, _, instrument = place.partition(" ")
        digits = held.removeprefix("-")
        if strategy and instrument and digits.isdecimal() and int(digits):
            side = Side.BUY if held.startswith("-") else Side.SELL
            found.append((strategy, instrument, side, int(digits)))
    return found
