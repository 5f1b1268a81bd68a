"""Who a run is, as its venue knows it: sessions, client order ids, and orders left behind."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from kaiju.run.local import Options, run
from kaiju.run.outcome import Presentation
from kaiju.run.run_file import RunFile
from tests.kit.commands import run as kaiju
from tests.kit.sample_actors import SOUND
from tests.kit.small_system import QUOTING, write_topology
from topology.check.check import check

QUIET = Presentation(quiet=True)


def session_of(folder: Path, file: Path, *, live: bool) -> str:
    options = Options(file, runs=folder, duration=1_000_000, live=live, shown=QUIET)
    return RunFile.load(run(options).directory).session


def test_two_live_runs_begun_in_one_second_share_no_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.5)
    file = write_topology(tmp_path)
    first, second = (session_of(tmp_path / "runs", file, live=True) for _ in range(2))

    assert first != second
    assert all(re.fullmatch(r"[a-z0-9]{8}", each) for each in (first, second))


def test_a_virtual_run_has_the_same_session_every_time(tmp_path: Path) -> None:
    assert session_of(tmp_path / "runs", write_topology(tmp_path), live=False) == "0"


@pytest.mark.parametrize(("length", "fits"), [(16, True), (17, False)])
def test_the_name_of_who_sends_orders_leaves_room_for_their_numbers(
    tmp_path: Path, length: int, fits: bool
) -> None:
    name = "e" * length
    file = tmp_path / "t.yaml"
    file.write_text(SOUND.replace("execution:", f"{name}:").replace("execution.", f"{name}."))

    refusal = (
        f"'{name}' has 17 characters and emits SubmitOrder: a client order id is session, name"
        " and number in 36 characters, which leaves 16 for the name"
    )

    assert [f.message for f in check(file).errors] == ([] if fits else [refusal])


def test_a_run_that_ends_with_an_order_open_says_so_and_exits_3(tmp_path: Path) -> None:
    text = QUOTING.replace("actors.execution:Execution", "tests.kit.small_system:Forgetful")
    done, _ = kaiju(write_topology(tmp_path, text), "--for", "2s")

    assert done.exit_code == 3
    assert re.search(r"oms: 2 orders are open: 0-execution-\d+, 0-execution-\d+", done.stderr)


def test_a_run_that_canceled_everything_exits_0(tmp_path: Path) -> None:
    done, _ = kaiju(write_topology(tmp_path, QUOTING), "--for", "2s")

    assert (done.exit_code, "open" in done.stderr) == (0, False)
