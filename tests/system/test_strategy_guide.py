"""The guide to a first strategy, followed word by word in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.commands import KAIJU
from tests.kit.paths import ROOT
from tests.kit.verify_leftovers import EXCUSED
from tests.kit.waiting import PATIENCE

pytestmark = pytest.mark.slow

GUIDE = (ROOT / "docs" / "strategy.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("mine")
    strategy, test = blocks("python")
    [entry] = blocks("yaml")
    (made / EXCUSED).touch()  # nobody else finds its class: a test below verifies the run here
    (made / "reversion.py").write_text(strategy)
    (made / "test_reversion.py").write_text(test)
    paper = (ROOT / "topology" / "paper.yaml").read_text()
    (made / "paper.yaml").write_text(paper.replace("actors:\n", f"actors:\n{entry}", 1))
    return made


def in_folder(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # what an installed kaiju needs not
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_the_guide_s_test_passes(folder: Path) -> None:
    done = in_folder(folder, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")

    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_the_guide_s_topology_has_no_mistakes(folder: Path) -> None:
    done = in_folder(folder, *KAIJU, "check", "paper.yaml")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("paper.yaml: no mistakes found\n")


def test_the_guide_s_strategy_trades_and_its_run_verifies(folder: Path) -> None:
    done = in_folder(folder, *KAIJU, "run", "paper.yaml", "--for", "60s")
    [directory] = (folder / "runs").iterdir()
    report = json.loads((directory / "report.json").read_text())

    assert done.returncode == 0, done.stderr
    assert report["orders"]["reversion"]["filled"] > 0
    assert {check["holds"] for check in report["checks"]} == {True}

    verified = in_folder(folder, *KAIJU, "verify", str(directory))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "HASH EQUAL: " in verified.stdout
