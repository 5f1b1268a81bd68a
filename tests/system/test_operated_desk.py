"""Three nodes and a venue, stopped by an operator at random moments, misbehaving in half of them.

What is open, and when it was, is read from the venue's ledger by code that shares nothing with
ours, and by the venue's own time stamps. Nothing may be open two seconds after a command, nor open
after that until a resume is asked for; where a call in C keeps the interpreter lock it is fifteen.

A loaded machine can miss that by its load alone. A process beside the others sets a timer of 100 ms
again and again: the time allowed is multiplied by how long the latest timer took, from the command
to its bound, over 100 ms. On an idle machine that is 1; nothing is skipped, however loaded it is.
"""

from __future__ import annotations

import math
import os
import random
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from actors.runtime.errors import ExitCode
from tests.kit.commands import kaiju
from tests.kit.ledger_times import Life, lives
from tests.kit.linked_trading import Desk, desk
from tests.kit.load_gauge import PERIOD, LoadGauge, load_gauge
from tests.kit.waiting import until

pytestmark = [pytest.mark.xdist_group("live"), pytest.mark.slow]

ROUNDS = 200 if "FAULTS" in os.environ else 10
STOPS = ("halt", "kill", "cancel-all")
WAYS = ("spin", "flood", "sleep", "raise")
NEVER_RETURN = ("spin", "sleep", "lock")
AMONG_TEN = 10
MISBEHAVING = {"core": "Switched", "desk": "Flooding"}
"""Class of the strategy that misbehaves, on the node with the gateway and on that of execution."""
NODE_OF = {"flood": "desk", "lock": "core"}
"""Where a way is always the same node's."""
WITHIN = 2.0
WITHIN_LOCKED = 15.0
"""Seconds from a command until nothing is open."""


class Round(NamedTuple):
    """How the desk misbehaves, where, and what is commanded then."""

    way: str
    """Empty where nothing misbehaves."""
    node: str
    command: str
    orders: int
    """How many reach the venue before."""


class Stop(NamedTuple):
    """What was commanded, and when."""

    round: Round
    given: int
    """UTC nanoseconds."""
    resumed: int | None
    """UTC nanoseconds at which a resume was asked for; None where trading was never halted."""
    said: str


def drawn(rounds: int, seed: int) -> list[Round]:
    """Draw rounds: of each ten, five in which each way occurs, and one with the lock held."""
    chance = random.Random(seed)  # noqa: S311 - the same rounds every time
    found = list[Round]()
    while len(found) < rounds:
        ways = [*WAYS, chance.choice(WAYS), "lock"]
        ways += [""] * (AMONG_TEN - len(ways))
        chance.shuffle(ways)
        for way in ways:
            node = NODE_OF.get(way) or chance.choice(list(MISBEHAVING))
            found.append(Round(way, node, chance.choice(STOPS), chance.randrange(1, 4)))
    return found[:rounds]


class Operated:
    """A desk, its operator, and what makes it misbehave.

    Args:
        trading: the desk.
        folder: with the switches.
    """

    def __init__(self, trading: Desk, folder: Path) -> None:
        self._trading, self._folder = trading, folder
        self.raised = set[str]()
        """Nodes on which an actor raised since their start."""

    def play(self, wanted: Round) -> Stop:
        """Misbehave, give the command, see it through and resume, if trading was halted."""
        trading, node = self._trading, wanted.node
        trading.await_orders(wanted.orders)
        before = trading.open_in_ledger()
        if wanted.way:
            self._switch(node).write_text(wanted.way)
            until(self._note(node).exists, wanted.way, trading.logs)
        with ThreadPoolExecutor(1) as operator:
            given = time.time_ns()
            answer = operator.submit(kaiju, wanted.command, trading.data, "--why", "a test")
            if wanted.way in NEVER_RETURN:
                code = trading.nodes.processes[node].wait()
                lock = wanted.way == "lock"
                assert code == (ExitCode.FAILED if lock else ExitCode.KILLED), trading.logs()
                self._behave(node)
                trading.nodes.start(node)
                self.raised.discard(node)
            elif wanted.way == "raise":
                self.raised.add(node)
            said = answer.result().output
        halted = wanted.command != "cancel-all" or wanted.way in NEVER_RETURN
        self._until_ended(None if halted else before, f"{wanted}: {said}")
        self._behave(node)
        return Stop(wanted, given, self._resume() if halted else None, said)

    def _until_ended(self, orders: set[str] | None, after: str) -> None:
        """Wait until none of these orders is open at the venue, or none at all."""

        def ended() -> bool:
            still_open = self._trading.open_in_ledger()
            return not (still_open if orders is None else still_open & orders)

        until(ended, f"end of all orders after {after}", self._trading.logs)

    def _resume(self) -> int:
        """Resume once every node is there, and return when it was first asked for."""
        trading = self._trading
        until(trading.nodes.is_live, "live inputs", trading.logs)
        asked = time.time_ns()

        def is_resumed() -> bool:
            code = kaiju("resume", trading.data, "--why", "tested").exit_code
            return code == ExitCode.OK

        until(is_resumed, "a resume", trading.logs)
        return asked

    def _behave(self, node: str) -> None:
        for file in (self._switch(node), self._note(node)):
            file.unlink(missing_ok=True)

    def _switch(self, node: str) -> Path:
        return self._folder / f"{node}.switch"

    def _note(self, node: str) -> Path:
        return self._folder / f"{node}.note"


def lateness(stop: Stop, ledger: dict[str, Life]) -> float:
    """Return seconds from a command until the venue had nothing open that it covers.

    Where trading was halted that is everything which opened before the resume, also what opened
    after the command, and infinite where something was open at the resume; otherwise it is what was
    open when the command was given.
    """
    seconds = 0.0
    for life in ledger.values():
        if life.opened < (stop.resumed or stop.given):
            ended = math.inf if life.ended is None else life.ended
            open_at_resume = stop.resumed is not None and ended > stop.resumed
            after = math.inf if open_at_resume else (ended - stop.given) / 10**9
            seconds = max(seconds, after)
    return seconds


def allowed(stop: Stop, gauge: LoadGauge) -> float:
    """Return the seconds that a command may take, on a machine as loaded as it was then."""
    within = WITHIN_LOCKED if stop.round.way == "lock" else WITHIN
    late = gauge.latest(stop.given, stop.given + int(within * 10**9))
    return within * (1 + late / PERIOD)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def misbehaving(folder: Path) -> dict[str, Any]:
    """Return the strategies that misbehave, as a topology has them."""
    return {
        f"switched_{node}": {
            "class": f"tests.kit.stuck_actors:{name}",
            "node": node,
            "durable": "none",
            "inputs": ["oms.orders"],
            "settings": {
                "switch": str(folder / f"{node}.switch"),
                "note": str(folder / f"{node}.note"),
            },
        }
        for node, name in MISBEHAVING.items()
    }


def test_nothing_is_open_after_a_stop_and_nothing_opens_before_a_resume(folder: Path) -> None:
    rounds = drawn(ROUNDS, seed=5)
    assert {*WAYS, "lock"} <= {wanted.way for wanted in rounds}
    with load_gauge(folder / "load") as gauge, desk(extra=misbehaving(folder)) as trading:
        trading.start()
        operated = Operated(trading, folder)
        stops = [operated.play(wanted) for wanted in rounds]
        trading.await_orders(1)
        trading.stop(failed=operated.raised)

        assert trading.disagreements() == {}
        assert trading.defects() == []
        ledger = lives(trading.venue_data)
        assert ledger.keys() >= trading.ended_in_ledger() - trading.rejections().keys()
        taken = [(lateness(stop, ledger), allowed(stop, gauge), stop) for stop in stops]
        for seconds, bound, stop in taken:
            way = f"{stop.round.way or 'nothing'} on {stop.round.node}"
            said = f"{stop.round.command:10} {way:16} {seconds:6.3f} s of {bound:6.3f} s"
            print(said)  # noqa: T201 - the figures of a session
        assert [found for found in taken if found[0] > found[1]] == []
