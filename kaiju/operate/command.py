"""One command to all nodes of a run, repeated until each has confirmed it or the time is over."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import msgspec

from actors.events.system import OperatorCommand
from actors.runtime.journal.disk import Disk
from actors.runtime.node.kill import Kill, KillFile
from actors.runtime.node.operator_commands import (
    HALT_FILE,
    CommandAnswer,
    CommandBody,
    write_halt,
)
from kaiju.operate.client import NodePlace, ask, find_nodes
from topology.errors import RefusedError

BETWEEN = 0.1
"""Seconds between two attempts to reach a node that does not answer."""
ON_ITS_WAY = 1.0
"""Seconds that a node's answer may take beyond the wait that it was asked for."""
LEFT = {
    "halt": "the halt waits in its directory, and is read before its first input",
    "kill": "KILL is in its directory, and in force before its first input",
}
"""What is so, after a command that no node took."""


class Result(NamedTuple):
    """What became of a command on one node."""

    node: str
    answer: CommandAnswer | None
    """None where the node did not answer."""
    left: str = ""
    """What was left in the directory of a node that did not answer."""

    @property
    def confirmed(self) -> bool:
        """Whether the command has had its effect."""
        return self.answer is not None and self.answer.confirmed


class Wanted(NamedTuple):
    """A command as it was given."""

    command: str
    arguments: Mapping[str, str]
    why: str
    who: str
    """For what is left in a directory; a socket knows better."""


def give(run: Path, wanted: Wanted, wait: float) -> list[Result]:
    """Give a command to all nodes of a run at once.

    Args:
        run: directory of the run.
        wanted: the command.
        wait: seconds until every node should have confirmed.

    Raises:
        RefusedError: no run is there, or no node was ever started.
        OSError: what a node must find at its start cannot be left in its directory.
    """
    nodes = find_nodes(run)
    command_id = secrets.token_hex(8)
    with ThreadPoolExecutor(len(nodes)) as pool:
        return list(pool.map(lambda node: _give(node, wanted, command_id, wait), nodes))


def flatten(run: Path, why: str, who: str, wait: float) -> list[Result]:
    """Close every position of a run: first nothing is open any more, then each is closed once.

    Risk lets pass only what makes a position smaller, so nothing here can turn one around.

    Raises:
        RefusedError: no run is there, or a node cannot say its positions.
    """
    results = give(run, Wanted("flatten", {}, why, who), wait)
    if not all(result.confirmed for result in results):
        return results
    rows = [
        row
        for _, answer in show(run, "positions", wait)
        if answer is not None
        for row in msgspec.json.decode(answer)["rows"]
    ]
    held = {f"{row['strategy']} {row['instrument']}": str(row["units"]) for row in rows}
    return give(run, Wanted("flatten", held, why, who), wait)


def show(run: Path, what: str, wait: float) -> list[tuple[str, bytes | None]]:
    """Return what the nodes of a run say of `what`, as JSON; None of those that do not answer.

    Raises:
        RefusedError: no run is there, or a node cannot say it.
    """
    found = list[tuple[str, bytes | None]]()
    for name, directory in find_nodes(run):
        answer = None if directory is None else ask(directory, f"/{what}", timeout=wait)
        if answer is not None and answer[0] != HTTPStatus.OK:
            raise RefusedError(f"{name}: {answer[1].decode(errors='replace')}")
        found.append((name, None if answer is None else answer[1]))
    return found


def _give(node: NodePlace, wanted: Wanted, command_id: str, wait: float) -> Result:
    if node.directory is None:
        return Result(node.name, None, "it was never started")
    deadline, left = time.monotonic() + wait, ""
    while True:
        rest = max(0.0, deadline - time.monotonic())
        body = CommandBody(command_id, wanted.command, dict(wanted.arguments), wanted.why, rest)
        answer = ask(
            node.directory, "/command", msgspec.json.encode(body), timeout=rest + ON_ITS_WAY
        )
        if answer is not None and answer[0] == HTTPStatus.OK:
            if left and wanted.command == "halt":
                (node.directory / HALT_FILE).unlink(missing_ok=True)
            return Result(node.name, msgspec.json.decode(answer[1], type=CommandAnswer))
        if not left:
            left = _leave(node.directory, wanted, command_id)
        if time.monotonic() >= deadline:
            return Result(node.name, None, left)
        time.sleep(BETWEEN)


def _leave(directory: Path, wanted: Wanted, command_id: str) -> str:
    """Leave in a node's directory what it must know before its first input."""
    command, why, who = wanted.command, wanted.why, wanted.who
    if command == "halt":
        write_halt(directory, OperatorCommand(command_id, command, (), who, why))
    elif command == "kill":
        reason = f"{who}: {why}" if why else f"{who} asked for it"
        KillFile(directory, Disk()).write(Kill(reason, by=who, since=time.time_ns()))
    return LEFT.get(command, "")
