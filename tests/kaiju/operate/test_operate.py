"""A running system as its operator sees and controls it, over the sockets of its nodes."""

from __future__ import annotations

import getpass
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from actors.events.durations import SECOND
from actors.runtime.node.kill import KILL
from actors.runtime.node.operator_commands import HALT_FILE
from tests.kit.commands import KAIJU, kaiju
from tests.kit.small_system import TOPOLOGY, write_topology
from tests.kit.waiting import PATIENCE, until

pytestmark = pytest.mark.xdist_group("live")

DURABLE = TOPOLOGY.replace("    node: one\n", "    node: one\n    durable: os\n")


class Trading:
    """`kaiju run` as a process that goes on until it is stopped."""

    def __init__(self, folder: Path, *options: str, topology: str = DURABLE) -> None:
        self.file = write_topology(folder, topology)
        self.run, self.log = folder / "data" / "small", folder / "run.log"
        self._arguments = [*KAIJU, "run", str(self.file), "--data", str(folder / "data"), *options]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._arguments, stdout=log, stderr=log)
        until(lambda: self.answers("status"), "an answer", self.log.read_text)

    def until_it_trades(self) -> None:
        until(lambda: self.rows("fills"), "fills", self.log.read_text)

    def answers(self, what: str) -> bool:
        return self.run.exists() and self.command(what).exit_code == 0

    def command(self, name: str, *arguments: object) -> Result:
        return kaiju(name, self.run, *arguments)

    def rows(self, what: str) -> list[dict[str, Any]]:
        result = self.command(what, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)["small"]["rows"]  # type: ignore[no-any-return]

    def status(self) -> dict[str, Any]:
        result = self.command("status", "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)["small"]  # type: ignore[no-any-return]

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def trading(folder: Path, *options: str, topology: str = DURABLE) -> Iterator[Trading]:
    found = Trading(folder, *options, topology=topology)
    try:
        found.start()
        found.until_it_trades()
        yield found
    finally:
        if found.process is not None:
            found.process.kill()
            found.process.wait()


@pytest.mark.parametrize("clock", [("--live",), ("--speed", "1")], ids=["live", "virtual"])
def test_a_run_is_shown_halted_and_resumed(tmp_path: Path, clock: tuple[str, ...]) -> None:
    with trading(tmp_path, *clock) as run:
        assert run.status()["level"] == "ACTIVE"
        assert "small: ACTIVE; " in run.command("status").stdout
        assert {row["strategy"] for row in run.rows("positions")} == {"metronome"}
        assert "max_position" in run.command("limits").stdout
        losses = [row for row in run.rows("limits") if row["limit"] == "max_daily_loss"]
        days = {f"{datetime.fromtimestamp(run.status()['clock'] / SECOND, UTC):%Y-%m-%d}"}
        assert {row["day"] for row in losses} == days

        halted = run.command("halt", "--why", "a test")
        assert (halted.exit_code, halted.stdout) == (
            0,
            "small: halted; the venue lists nothing open\n",
        )
        assert run.status()["level"] == "HALTED"
        assert "raised by operator; verified by gateway; lifted by: an operator who resumes" in (
            run.command("status").stdout
        )
        fills = len(run.rows("fills"))
        resumed = run.command("resume", "--why", "tested")
        assert (resumed.exit_code, resumed.stdout) == (0, "small: trading is active\n")
        until(lambda: len(run.rows("fills")) > fills, "more fills", run.log.read_text)
        assert run.stop() == 0
    assert "trading resumed: " in run.log.read_text()


def test_orders_are_canceled_and_a_strategy_is_disabled(tmp_path: Path) -> None:
    with trading(tmp_path, "--live") as run:
        assert run.command("cancel-all").exit_code == 0
        assert run.status()["level"] == "ACTIVE"
        unknown = run.command("disable", "nobody")
        assert (unknown.exit_code, unknown.stdout) == (
            2,
            "small: refused: there is no actor 'nobody' here\n",
        )
        assert run.command("disable", "metronome").exit_code == 0
        (halt,) = run.status()["halts"]
        assert (halt["level"], halt["strategy"]) == ("HALTED", "metronome")
        assert run.command("reduce").exit_code == 0
        assert run.status()["level"] == "REDUCING"


def test_a_kill_outlives_the_process_and_is_lifted_by_resume(tmp_path: Path) -> None:
    with trading(tmp_path, "--live") as run:
        assert run.command("kill", "--why", "unknown positions").exit_code == 0
        assert (run.run / KILL).exists()
        assert run.stop() == 5
        run.start()
        assert run.status()["level"] == "KILL"
        assert run.command("resume", "--why", "compared").exit_code == 0
        assert not (run.run / KILL).exists()
        assert run.stop() == 0
        trail = json.loads(run.command("audit", "--json").stdout)
        who = getpass.getuser()
        decided = [(e["kind"], e["who"], e["what"].split()[0], e["why"]) for e in trail]
        assert [entry for entry in decided if entry[0] != "limit"] == [
            ("halt", who, "KILL", f"{who}: unknown positions"),
            ("command", who, "kill", "unknown positions"),
            ("resume", who, "KILL", "compared"),
            ("command", who, "resume", "compared"),
        ]
        limits = [e["what"] for e in trail if (e["kind"], e["who"]) == ("limit", "risk")]
        assert "max_position.* = 2" in limits
        assert [e["time"] for e in trail] == sorted(e["time"] for e in trail)


def test_every_position_is_closed_and_stays_so_across_a_restart(tmp_path: Path) -> None:
    with trading(tmp_path, "--live") as run:
        until(lambda: any(row["units"] for row in run.rows("positions")), "a position")
        flat = run.command("flatten", "--yes", "--why", "the day is over")
        assert (flat.exit_code, flat.stdout) == (
            0,
            "small: flat: every position is 0 by the venue's reports, and no order is open\n",
        ), run.log.read_text()
        assert {row["units"] for row in run.rows("positions")} == {0}
        fills = len(run.rows("fills"))
        assert run.process is not None
        run.process.kill()
        run.process.wait()
        run.start()
        assert run.status()["level"] == "REDUCING"
        assert {row["units"] for row in run.rows("positions")} == {0}
        assert run.rows("fills") == []
        assert fills
        assert run.command("resume", "--why", "a new day").exit_code == 0
        run.until_it_trades()
        assert run.stop() == 0


def test_flatten_asks_and_does_nothing_on_a_no(tmp_path: Path) -> None:
    with trading(tmp_path, "--live") as run:
        assert run.command("flatten").exit_code != 0
        assert run.status()["level"] == "ACTIVE"


def test_a_halt_waits_for_a_node_that_is_not_there(tmp_path: Path) -> None:
    with trading(tmp_path, "--live") as run:
        run.stop()
        halted = run.command("halt", "--wait", "0s")
        assert halted.exit_code == 3
        assert halted.stdout == (
            "small: no answer within 0 s; the halt waits in its directory, and is read before its"
            " first input\n"
        )
        assert (run.run / HALT_FILE).exists()
        run.start()
        assert run.status()["level"] == "HALTED"
        assert not (run.run / HALT_FILE).exists()
        assert run.stop() == 3


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    result = kaiju("halt", tmp_path)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {tmp_path}: no run is there; allowed is")
