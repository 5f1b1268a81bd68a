"""Exit codes: one table, which the documents repeat."""

from __future__ import annotations

import re
from collections.abc import Iterator

from actors.runtime.errors import ExitCode, KaijuError
from actors.runtime.journal.data_directory import DataDirectoryError
from actors.runtime.journal.segments import JournalDamagedError
from actors.runtime.journal.writer import JournalLockedError
from actors.runtime.recovery.recovery import RecoveryError
from actors.runtime.recovery.replay import DivergedError
from kaiju.journals.catalog import NoJournalError
from kaiju.journals.isolated_actor import CannotRepeatError
from kaiju.journals.state import StateError
from kaiju.run.run_file import RunFileError
from tests.kit.paths import ROOT
from topology.config.findings import TopologyError
from topology.config.keys import KeysError
from topology.errors import RefusedError
from topology.files import ExportError
from topology.links.endpoints import EndpointsError

ROW = re.compile(r"^\| (\d) \| (\w+) \| (.+) \|$", re.MULTILINE)
FAILED: tuple[type[KaijuError], ...] = (
    *(JournalDamagedError, DivergedError, RecoveryError),
    *(StateError, RunFileError, ExportError),
)
MISUSED: tuple[type[KaijuError], ...] = (
    *(RefusedError, TopologyError, KeysError, EndpointsError),
    *(DataDirectoryError, JournalLockedError, NoJournalError, CannotRepeatError),
)


def documented() -> Iterator[tuple[int, str, str]]:
    for code, name, meaning in ROW.findall((ROOT / "docs" / "exit_codes.md").read_text()):
        yield int(code), name, meaning


def test_the_documents_have_the_table_of_exit_codes() -> None:
    assert list(documented()) == [(code.value, code.name, code.meaning) for code in ExitCode]


def test_what_is_wrong_before_anything_began_is_misuse_and_all_else_a_failure() -> None:
    assert {error.exit_code for error in MISUSED} == {ExitCode.MISUSED} == {2}
    assert {error.exit_code for error in FAILED} == {ExitCode.FAILED} == {1}
