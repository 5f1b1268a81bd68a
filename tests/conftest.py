"""How random sessions are drawn, and the promise that every run of the tests can be done again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.kit.allowed_skips import not_allowed, read_allowed
from tests.kit.verify_leftovers import EXCUSED, find_runs, verify_elsewhere

settings.register_profile(
    "kaiju",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("kaiju")

BASES = pytest.StashKey[set[Path]]()
SAID = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take a list of the skips that are allowed; without one, all are."""
    parser.addoption("--allowed-skips", type=Path, help="how the reasons of allowed skips begin")


def pytest_configure(config: pytest.Config) -> None:
    """Make room for the places of the tests of this process, and of those that work for it."""
    config.stash[BASES] = set()
    config.stash[SAID] = []


@pytest.fixture(scope="session", autouse=True)
def where_runs_are_made(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> None:
    """Remember for the end of the session where the tests kept their files."""
    base = tmp_path_factory.getbasetemp()
    pytestconfig.stash[BASES].add(base)
    if (told := getattr(pytestconfig, "workeroutput", None)) is not None:
        told["base"] = str(base)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take over where a process that worked for this one kept its files."""
    if not error and "base" in node.workeroutput:
        node.config.stash[BASES].add(Path(node.workeroutput["base"]))


@pytest.fixture
def not_verified(tmp_path: Path) -> None:
    """Excuse the runs of a test that damages them, or plants what verification must find."""
    (tmp_path / EXCUSED).touch()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail the session for a run of the tests that differs when done again, or a skip too many."""
    if exitstatus not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        return
    if hasattr(session.config, "workeroutput"):
        return  # who it works for does it, for all of them
    if not all([runs_are_equal(session.config), skips_are_allowed(session.config)]):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def runs_are_equal(config: pytest.Config) -> bool:
    """Do all runs again that the tests left behind, and tell whether they are the same."""
    bases = config.stash[BASES]
    found = find_runs(bases)
    if not found.chosen:
        return True
    equal, said = verify_elsewhere(found.chosen)
    verdict = "HASH EQUAL" if equal else "NOT EQUAL"
    rest = f"left out {found.left_out}, excused {found.excused}"
    config.stash[SAID].append(f"kaiju verify in another process: {verdict}: {said.strip()}; {rest}")
    return equal


def skips_are_allowed(config: pytest.Config) -> bool:
    """Tell whether each skipped test has a reason that is on the list, if there is a list."""
    file: Path | None = config.getoption("--allowed-skips")
    if file is None:
        return True
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    skipped = terminal.stats.get("skipped", [])
    reasons = [str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped]
    found = not_allowed(reasons, read_allowed(file))
    config.stash[SAID] += [f"skipped, and {file} does not allow it: {reason}" for reason in found]
    return not found


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what came of it."""
    for line in config.stash[SAID]:
        terminalreporter.write_line(line)
