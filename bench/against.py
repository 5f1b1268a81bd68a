"""This tree beside another commit of it: both measured in one run, in turn, each by its own bench.

The other commit gets a worktree and an environment in ``.venv-against/``, which stay for the
next time. Figures are compared by their names, so the commits may be laid out differently.
"""

from __future__ import annotations

import importlib
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from bench.recorded import FOLDER
from bench.rounds import OWN, ROOT, Contestant, Figures, Results, Tree, measure, write_raw
from bench.table import PEERS, number

OTHERS = (*PEERS, "pyzmq", "bare")
"""Systems that are not ours: they are the same beside either commit."""
AIM = 0.97
RATE = "per_second"
TIME = re.compile(r"us|wait|.*_ms|.*p\d.*")
"""Names of figures of which less is better."""


class NoSuchCommitError(Exception):
    """There is nothing to compare with; the text says why."""


class Compared(NamedTuple):
    """One figure of both commits over all rounds."""

    task: str
    figure: str
    ours: float
    """Median."""
    theirs: float
    speeds: tuple[float, ...]
    """How many times as fast ours is, round by round; empty where the figure is no speed."""


def other_tree(revision: str) -> Tree:
    """Return another commit with an environment of its own, made where it is missing.

    Raises:
        NoSuchCommitError: the repository does not have it.
        RuntimeError: its environment cannot be made.
    """
    commit = resolve(ROOT, revision)
    root = ROOT / ".venv-against" / commit[:12]
    add_worktree(ROOT, root, commit)
    environment = root / ".venv"
    python, ready = environment / "bin" / "python", environment / ".ready"
    if not ready.exists():
        _do(root, sys.executable, "-m", "venv", environment)
        pinned = ["-c", "constraints.txt"] if (root / "constraints.txt").exists() else []
        _do(root, python, "-m", "pip", "install", "--quiet", *pinned, "-e", ".")
        ready.touch()
    return Tree(root, str(python), {"KAIJU_DATA": str(FOLDER.parents[1])})


def resolve(repository: Path, revision: str) -> str:
    """Return the id of a commit.

    Raises:
        NoSuchCommitError: the repository does not have it.
    """
    done = _git(repository, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if done.returncode:
        raise NoSuchCommitError(
            f"there is no commit '{revision}' in this clone: `git fetch --tags` brings tags, and"
            " any other name of a commit will do"
        )
    return done.stdout.strip()


def add_worktree(repository: Path, root: Path, commit: str) -> None:
    """Check a commit out at `root`, unless it is there already."""
    if root.exists():
        return
    _git(repository, "worktree", "prune")
    done = _git(repository, "worktree", "add", "--detach", str(root), commit)
    if done.returncode:
        raise RuntimeError(f"git worktree: {done.stderr.strip()}")


def measure_both(
    sections: Sequence[str], other: Tree, progress: Callable[[str], None]
) -> tuple[list[Compared], list[str]]:
    """Measure all of ours in these sections on both trees, in turn.

    Returns:
        What was compared, and what could not be measured, in words.
    """
    compared: list[Compared] = []
    failures: list[str] = []
    for section in sections:
        module = importlib.import_module(f"bench.{section}")
        for contestant in module.contestants():
            if contestant.system in OTHERS:
                continue
            name = f"{contestant.task}, {contestant.system}"
            try:
                pairs = list(_rounds(contestant, other, module.ROUNDS, progress))
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                failures.append(f"{section}: {error}")
                continue
            compared += compare(f"{section}: {name}", pairs)
            sides = {"ours": [one for one, _ in pairs], "theirs": [two for _, two in pairs]}
            raw = Results({(side, contestant.system): rounds for side, rounds in sides.items()})
            write_raw(f"against_{re.sub(r'[^a-z0-9]+', '_', f'{section} {name}'.lower())}", raw)
    return compared, failures


def _rounds(
    contestant: Contestant, other: Tree, rounds: int, progress: Callable[[str], None]
) -> Iterator[tuple[Figures, Figures]]:
    """Yield what both measured in each round; who begins changes from round to round."""
    for number_of_round in range(1, rounds + 1):
        progress(f"round {number_of_round} of {rounds}: {contestant.task}, {contestant.system}")
        order = (OWN, other) if number_of_round % 2 else (other, OWN)
        first, second = (measure(contestant, tree) for tree in order)
        if first is None or second is None:
            raise RuntimeError(f"{contestant.system}, {contestant.task}: not installed")
        yield (first, second) if order[0] is OWN else (second, first)


def compare(task: str, pairs: Sequence[tuple[Figures, Figures]]) -> list[Compared]:
    """Return each figure that both have; of what is no speed, only what differs."""
    found = []
    for name in [name for name in pairs[0][0] if name in pairs[0][1]]:
        both = [(ours[name], theirs[name]) for ours, theirs in pairs]
        ours, theirs = (statistics.median(values) for values in zip(*both, strict=True))
        speeds: tuple[float, ...] = ()
        if name == RATE:
            speeds = tuple(one / other for one, other in both)
        elif TIME.fullmatch(name):
            speeds = tuple(other / one for one, other in both)
        if speeds or ours != theirs:
            found.append(Compared(task, name, ours, theirs, speeds))
    return found


def draw_comparison(compared: Sequence[Compared], title: str, revision: str) -> Table:
    """Return what was compared as a table: a speed above 1 is ours."""
    table = Table(title=title, title_justify="left")
    for heading in ("measured", "figure"):
        table.add_column(heading, overflow="fold")
    for heading in ("this tree", revision, "speed", "spread"):
        table.add_column(heading, justify="right")
    for each in compared:
        speed = spread = "no speed"
        if each.speeds:
            middle = statistics.median(each.speeds)
            speed = f"[{'green' if middle >= AIM else 'yellow'}]{middle:.3f}x[/]"
            spread = f"{min(each.speeds):.2f} to {max(each.speeds):.2f}"
        table.add_row(each.task, each.figure, number(each.ours), number(each.theirs), speed, spread)
    return table


def _git(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", repository, *arguments], capture_output=True, text=True, check=False
    )


def _do(folder: Path, *command: str | Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr[-2000:]}")
