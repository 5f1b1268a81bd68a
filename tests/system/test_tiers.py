"""The tiers of tests: what CI lets be skipped, and what each tier says that it left out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.allowed_skips import not_allowed, read_allowed
from tests.kit.paths import ROOT

ALLOWED = ROOT / ".ci" / "allowed_skips.txt"
TIERS = ("check", "test", "faults", "soak")


def test_the_list_of_allowed_skips_has_a_reason_for_each() -> None:
    lines = ALLOWED.read_text().splitlines()
    skips = [number for number, line in enumerate(lines) if line in read_allowed(ALLOWED)]

    assert skips
    assert all(lines[number - 1].startswith("# ") for number in skips)


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        ("no containers: docker is not installed", []),
        ("no recorded market data: no folder /data", []),
        ("flaky", ["flaky"]),
        ("there are no containers", ["there are no containers"]),
    ],
)
def test_a_skip_that_is_not_on_the_list_is_found(reason: str, found: list[str]) -> None:
    assert not_allowed([reason, reason], read_allowed(ALLOWED)) == found


@pytest.mark.slow
def test_a_session_with_a_skip_that_is_not_on_the_list_fails(tmp_path: Path) -> None:
    file, allowed = tmp_path / "test_skipped.py", tmp_path / "allowed.txt"
    file.write_text("import pytest\n\ndef test_it():\n    pytest.skip('too late')\n")
    codes = []
    for text in ("too", "# too late"):
        allowed.write_text(text)
        command: list[str | Path] = [
            *(sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"),
            *(f"--allowed-skips={allowed}", file),
        ]
        codes.append(subprocess.run(command, cwd=ROOT, check=False).returncode)

    assert codes == [0, 1]


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_says_at_its_end_what_it_left_out_and_who_has_it(tier: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", tier], cwd=ROOT, capture_output=True, text=True, check=True
    )
    said = done.stdout.rpartition("echo ")[2]

    assert said.startswith('"Left out: ')
    others = set(re.findall(r"make (\w+)", said))
    assert others
    assert others <= {*TIERS} - {tier}
