"""``run.json``: whole or not there, as it was written or refused."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.events.durations import SECOND
from actors.runtime.journal.disk import Disk
from kaiju.run.local import VIRTUAL_START
from kaiju.run.run_file import RUN_FILE, RunFile, RunFileError
from tests.kit.commands import run
from tests.kit.small_system import TOPOLOGY, write_topology

FILE = RunFile(
    kaiju="0.1.0",
    topology="/somewhere/small.yaml",
    text="name: small\n",
    clock="virtual",
    speed=1.5,
    seed=7,
    session="0",
    began=VIRTUAL_START,
    until=VIRTUAL_START + SECOND,
    overrides=("risk.order_burst=5",),
    starts=("2024-01-01T00:00:00+00:00",),
)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    FILE.save(tmp_path)

    assert RunFile.load(tmp_path) == FILE
    assert [path.name for path in tmp_path.iterdir()] == [RUN_FILE]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(), st.integers(0, 2**63 - 1), st.floats(0, 1e9), st.tuples(st.text()))
def test_any_text_survives(
    tmp_path: Path, text: str, until: int, speed: float, overrides: tuple[str]
) -> None:
    file = msgspec.structs.replace(FILE, text=text, until=until, speed=speed, overrides=overrides)
    file.save(tmp_path)

    assert RunFile.load(tmp_path) == file


def test_the_duration_is_what_lies_between_start_and_end() -> None:
    assert FILE.duration == SECOND
    assert msgspec.structs.replace(FILE, until=0).duration is None


def test_every_start_is_kept(tmp_path: Path) -> None:
    again = FILE.started_again("2024-01-01T00:01:00+00:00", FILE.text)
    again.save(tmp_path)

    assert RunFile.load(tmp_path).starts == (*FILE.starts, "2024-01-01T00:01:00+00:00")
    assert again == msgspec.structs.replace(FILE, starts=again.starts)


def test_a_file_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FILE.save(tmp_path)

    def write_half(self: Disk, file: int, data: bytes) -> None:
        original(self, file, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    original = Disk.write
    monkeypatch.setattr(Disk, "write", write_half)
    with pytest.raises(OSError, match="No space left"):
        FILE.started_again("later", FILE.text).save(tmp_path)

    assert RunFile.load(tmp_path) == FILE
    assert [path.name for path in tmp_path.iterdir()] == [RUN_FILE]


def test_a_file_with_any_bit_flipped_or_cut_anywhere_is_refused_or_says_the_same(
    tmp_path: Path,
) -> None:
    FILE.save(tmp_path)
    path = tmp_path / RUN_FILE
    whole = path.read_bytes()
    flipped = [
        whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
        for at in range(len(whole))
        for bit in range(8)
    ]
    for damaged in [*flipped, *(whole[:end] for end in range(len(whole)))]:
        path.write_bytes(damaged)
        assert loaded(tmp_path) in (f"{path}: refused", FILE)  # white space may have changed


def loaded(directory: Path) -> RunFile | str:
    try:
        return RunFile.load(directory)
    except RunFileError as error:
        return f"{str(error).partition(': ')[0]}: refused"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged: "),
        ("[1]", "is no run file of kaiju"),
        ('{"name": "other program"}', "is no run file of kaiju"),
        ('{"format": 2, "sha256": ""}', "format was 2, this program reads 1"),
        ('{"format": 1, "sha256": "x"}', "is damaged or was edited: its content does not match"),
    ],
)
def test_what_is_no_run_file_is_refused_with_the_reason(
    tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / RUN_FILE).write_text(content)
    with pytest.raises(RunFileError) as refused:
        RunFile.load(tmp_path)

    assert str(refused.value).startswith(f"{tmp_path / RUN_FILE}: {message}")


def test_a_whole_file_that_lacks_a_field_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / RUN_FILE
    path.write_text(json.dumps({"format": 1, "sha256": sha256(b'{"format":1}').hexdigest()}))
    with pytest.raises(RunFileError) as refused:
        RunFile.load(tmp_path)

    assert str(refused.value) == f"{path}: Object missing required field `kaiju`"


@pytest.mark.parametrize("name", ["", "events.kaiju"])
def test_what_is_no_directory_of_a_run_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "events.kaiju").touch()
    with pytest.raises(FileNotFoundError, match=r"run\.json: no such file; allowed is the direct"):
        RunFile.load(tmp_path / name)


def test_a_run_says_how_it_was_started(tmp_path: Path) -> None:
    text = TOPOLOGY.replace("\n", "\r\n") + "# a comment, kept as well\r\n"
    topology = tmp_path / "small.yaml"
    topology.write_bytes(text.encode())
    _, directory = run(topology, "--for", "1s", "--seed", 3)
    found = RunFile.load(directory)

    assert found == RunFile(
        kaiju=found.kaiju,
        topology=str(topology),
        text=text,
        clock="virtual",
        seed=3,
        session="0",
        began=VIRTUAL_START,
        until=VIRTUAL_START + SECOND,
        starts=found.starts,
    )
    assert len(found.starts) == 1


def test_a_live_run_has_a_session_of_its_own_and_the_time_of_day(tmp_path: Path) -> None:
    _, directory = run(write_topology(tmp_path), "--for", "10ms", "--live")
    found = RunFile.load(directory)

    assert (found.clock, found.duration) == ("live", 10_000_000)
    assert found.session != "0"
    assert found.began > VIRTUAL_START
