"""Contestants measured in turn, again and again, so that a slow minute is slow for all of them."""

from __future__ import annotations

import csv
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.worker import MISSING

ROOT = Path(__file__).parent.parent
OUT = Path(__file__).parent / "out"
PATIENCE = 120
"""Seconds that one measurement may take."""

Figures = dict[str, float]


@dataclass(frozen=True)
class Contestant:
    """One system set one task: a function that a process of its own calls once a round."""

    system: str
    task: str
    module: str
    function: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass
class Results:
    """What was measured, round by round; a system that is not installed has nothing."""

    rounds: dict[tuple[str, str], list[Figures]] = field(default_factory=dict)
    """Figures by (system, task), one entry a round."""

    def median(self, system: str, task: str, figure: str) -> float | None:
        """Return the median of a figure over the rounds; None where it was not measured."""
        rounds = self.rounds.get((system, task))
        return statistics.median(r[figure] for r in rounds) if rounds else None

    def ratio(self, above: tuple[str, str], below: tuple[str, str], figure: str) -> float | None:
        """Return the median, over the rounds, of one (system, task) divided by another."""
        pairs = zip(self.rounds.get(above, []), self.rounds.get(below, []), strict=False)
        ratios = [a[figure] / b[figure] for a, b in pairs]
        return statistics.median(ratios) if ratios else None


@dataclass(frozen=True)
class Tree:
    """A checkout whose bench measures itself: its files, and the interpreter of its environment."""

    root: Path
    python: str
    environment: dict[str, str] = field(default_factory=dict)


OWN = Tree(ROOT, sys.executable)


def run_rounds(
    contestants: Sequence[Contestant], rounds: int, progress: Callable[[str], None]
) -> Results:
    """Measure every contestant once a round, in turn.

    Raises:
        RuntimeError: a measurement failed; its own words are in the message.
    """
    results = Results()
    missing: set[str] = set()
    for number in range(1, rounds + 1):
        for contestant in contestants:
            if contestant.system in missing:
                continue
            progress(f"round {number} of {rounds}: {contestant.task}, {contestant.system}")
            figures = measure(contestant)
            if figures is None:
                missing.add(contestant.system)
            else:
                key = (contestant.system, contestant.task)
                results.rounds.setdefault(key, []).append(figures)
    return results


def measure(contestant: Contestant, tree: Tree = OWN) -> Figures | None:
    """Measure once, in a process of its own; None where the system is not installed.

    Raises:
        RuntimeError: it failed; its own words are in the message.
    """
    arguments = json.dumps(contestant.arguments)
    done = subprocess.run(
        [tree.python, "-m", "bench.worker", contestant.module, contestant.function, arguments],
        cwd=tree.root,
        env={**os.environ, **tree.environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode == MISSING:
        return None
    if done.returncode:
        raise RuntimeError(f"{contestant.system}, {contestant.task}: {done.stderr[-2000:]}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def write_raw(section: str, results: Results) -> None:
    """Write every figure of every round to ``bench/out/SECTION.csv``."""
    OUT.mkdir(exist_ok=True)
    with (OUT / f"{section}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["system", "task", "round", "figure", "value"])
        for (system, task), rounds in results.rounds.items():
            for number, figures in enumerate(rounds, 1):
                for name, value in figures.items():
                    writer.writerow([system, task, number, name, value])
