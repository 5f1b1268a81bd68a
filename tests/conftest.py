"""How random sessions are drawn, and the promise that every run of the tests can be done again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.verifying import EXCUSED, find_runs, verify_elsewhere

settings.register_profile(
    "kaiju",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("kaiju")

BASE = pytest.StashKey[Path]()
SAID = pytest.StashKey[str]()


@pytest.fixture(scope="session", autouse=True)
def where_runs_are_made(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> None:
    """Remember for the end of the session where the tests kept their files."""
    pytestconfig.stash[BASE] = tmp_path_factory.getbasetemp()


@pytest.fixture
def not_verified(tmp_path: Path) -> None:
    """Excuse the runs of a test that damages them, or plants what verification must find."""
    (tmp_path / EXCUSED).touch()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Do all runs again that the tests left behind; the session fails if one differs."""
    stash, base = session.config.stash, session.config.stash.get(BASE, None)
    if base is None or exitstatus not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        return
    found = find_runs(base)
    if not found.chosen:
        return
    equal, said = verify_elsewhere(found.chosen)
    if not equal:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    verdict = "HASH EQUAL" if equal else "NOT EQUAL"
    rest = f"left out {found.left_out}, excused {found.excused}"
    stash[SAID] = f"kaiju verify in another process: {verdict}: {said.strip()}; {rest}"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what came of it."""
    if said := config.stash.get(SAID, ""):
        terminalreporter.write_line(said)
