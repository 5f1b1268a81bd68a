"""What the README shows of `make run` is what `make run` prints, but for times and rates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.kit.commands import kaiju
from tests.kit.paths import ROOT
from tests.kit.shipped import PAPER

VARIES = (
    (r" in [\d,.]+ s, [\d,]+ a second;", " in S s, N a second;"),
    (r"^\S+/paper-\d{8}-\d{6}:", "runs/paper-DATE-TIME:"),
)
"""What no two runs have in common, and what is compared instead: how long it took, and when and
where it was."""


def masked(text: str) -> list[str]:
    """Return the lines of a summary, without what varies and blanks at their ends."""
    for varying, instead in VARIES:
        text = re.sub(varying, instead, text, flags=re.MULTILINE)
    return [line.rstrip() for line in text.strip().splitlines()]


def found(pattern: str, file: str) -> str:
    """Return the one place in a file of the project that a pattern describes."""
    [text] = re.findall(pattern, (ROOT / file).read_text(), re.MULTILINE | re.DOTALL)
    return str(text)


@pytest.mark.slow
def test_the_sample_output_is_what_make_run_prints(tmp_path: Path) -> None:
    sample = found(r"^```\n(paper: .*?)^```$", "README.md")
    command = found(r"^run: [^\n]*\n\t\$\(BIN\)/kaiju ([^\n]*)$", "Makefile")
    relative = str(PAPER.relative_to(ROOT))

    done = kaiju(*command.replace(relative, str(PAPER)).split(), "--runs", tmp_path)

    assert done.exit_code == 0, done.output
    _metrics, summary = done.output.split("Ctrl-C stops\n")
    assert masked(summary) == masked(sample)


def test_times_and_rates_are_masked_and_nothing_else() -> None:
    line = "paper: 1,149 events in 7.70 s, 149,266 a second; stopped: time is up"

    assert masked(line) == ["paper: 1,149 events in S s, N a second; stopped: time is up"]
    assert masked("runs/paper-20261122-202928: events.kaiju\nfees  3.1  ") == [
        "runs/paper-DATE-TIME: events.kaiju",
        "fees  3.1",
    ]
