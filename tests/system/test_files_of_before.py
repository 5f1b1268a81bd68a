"""Files that the version before the rooms wrote, tag spine: they verify, and are gone on from."""

from __future__ import annotations

import json
import subprocess
import tarfile
from importlib import import_module
from pathlib import Path

import pytest

from actors.runtime.journal.data_directory import JOURNALS, NODE_FILE
from actors.runtime.journal.segments import JournalReader
from actors.runtime.moved import present_path
from actors.runtime.schema import as_known
from kaiju.record.record import Record, Recorded
from tests.kit.commands import KAIJU
from tests.kit.paths import ROOT
from tests.kit.run_folder import run_folder
from tests.kit.venue_client import VenueProcess

FILES = ROOT / "tests" / "system" / "spine" / "files.tar.xz"
LIVE = ("stopped", "killed_live")
RUNS = (
    *("finished", "killed"),
    *(f"{made}/{what}" for made in LIVE for what in ("ledger", "data/small_live")),
)


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """Return a folder with what the old version left."""
    with tarfile.open(FILES) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def output(folder: Path, *arguments: str | Path) -> str:
    """Return what a command prints that must go well."""
    done = subprocess.run(
        [*KAIJU, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def last_steps(run: Path) -> dict[str, int]:
    return {path.name: JournalReader(path).last_step for path in (run / JOURNALS).iterdir()}


def recorded(run: Path) -> list[Recorded]:
    """Return the record of a run, each event with the fields that it had when the run began."""
    with Record(run) as record:
        return [each._replace(event=as_known(each.event, record.schema)) for each in record]


@pytest.mark.parametrize("run", RUNS)
def test_every_journal_of_before_verifies(before: Path, run: str) -> None:
    assert "HASH EQUAL" in output(before, "verify", run)


def test_every_class_that_a_header_of_before_names_is_still_found(before: Path) -> None:
    headers = [
        segment.header
        for run in RUNS
        for journal in (before / run / JOURNALS).iterdir()
        for segment in JournalReader(journal).segments()
    ]
    paths = {path for header in headers for path in header.get("classes", {}).values()}
    paths |= {header["class"] for header in headers if "class" in header}
    found = {path: present_path(path).partition(":") for path in paths}

    assert len(paths) > 40
    assert [p for p, (m, _, c) in found.items() if not hasattr(import_module(m), c)] == []


def test_what_an_actor_knew_can_be_asked_though_its_class_moved(before: Path) -> None:
    run = "stopped/data/small_live"

    assert "gateways.simulated.remote:VenueGateway" in output(before, "journal", "ls", run)
    assert "actor: gateway\nstep: 50\n" in output(before, "state", run, "gateway", "--at", "50")


@pytest.mark.parametrize("run", ["finished", "stopped/data/small_live"])
def test_a_run_of_before_can_be_done_again_and_nothing_differs(before: Path, run: str) -> None:
    assert "nothing differs" in output(before, "replay", run)


@pytest.mark.parametrize("lost", ["the process", "power"])
def test_a_run_that_was_killed_before_ends_as_if_it_had_not_been(before: Path, lost: str) -> None:
    if lost == "the process":
        about = json.loads((before / "killed" / NODE_FILE).read_text())
        (before / "killed" / NODE_FILE).write_text(json.dumps(about | {"boot": ""}))

    output(before, "run", "--resume", "killed", "--quiet")

    assert recorded(before / "killed") == recorded(before / "finished")
    assert "HASH EQUAL" in output(before, "verify", "killed")


@pytest.mark.xdist_group("live")
@pytest.mark.parametrize("made", LIVE)
def test_a_ledger_and_a_data_directory_of_before_go_on(before: Path, made: str) -> None:
    ledger, data = before / made / "ledger", before / made / "data" / "small_live"
    old = {run: last_steps(run) for run in (ledger, data)}
    trader = before / "small_live.yaml"

    with run_folder() as short, VenueProcess(short, ledger, before / "small_venue.yaml") as venue:
        text = trader.read_text().replace("tcp://127.0.0.1:7100", venue.endpoint)
        trader.write_text(text)
        said = output(before, "run", trader, "--live", "--data", data.parent, "--for", "3s")
        assert venue.stop() == 0

    assert "'gateways.simulated.remote:VenueGateway' has moved" in said
    for run, steps in old.items():
        now = last_steps(run)
        assert all(now[name] > steps[name] for name in ("exchange", "door", "oms") if name in steps)
        assert "HASH EQUAL" in output(before, "verify", run)
