"""Every run that the tests make is done again: in another process, with another hash seed.

``python -m tests.kit.verify_leftovers`` reads directories of runs, one a line, and says which are
not equal.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from actors.runtime.journal.data_directory import JOURNALS, NODE_FILE
from kaiju.journals.catalog import NoJournalError
from kaiju.journals.verify import verify
from tests.kit.paths import ROOT

EXCUSED = "not-verified"
"""A file of this name excuses what is in its directory: it was damaged or planted on purpose."""
MAX_RUNS = 300
MAX_BYTES = 300_000_000
"""Of journals; what is above is left out, always the same runs of the same tests."""
MAX_SECONDS = 600
LANES = os.cpu_count() or 1
"""Processes that verify side by side."""


class Found(NamedTuple):
    """The runs below a directory."""

    chosen: list[Path]
    left_out: int
    """Runs that are beyond what there is time for."""
    excused: int


def find_runs(bases: Iterable[Path]) -> Found:
    """Return the runs with journals below `bases`, in an order that depends on names alone."""
    ranks, excused = dict[Path, bytes](), 0
    for base in bases:
        excuses = {file.parent for file in base.rglob(EXCUSED)}
        runs = {file.parent for file in base.rglob(NODE_FILE) if (file.parent / JOURNALS).is_dir()}
        verified = {run for run in runs if excuses.isdisjoint((run, *run.parents))}
        excused += len(runs - verified)
        ranks |= {run: _rank(run.relative_to(base)) for run in verified}
    ordered = sorted(ranks, key=lambda run: ranks[run])
    chosen, size = list[Path](), 0
    for run in ordered[:MAX_RUNS]:
        size += sum(file.stat().st_size for file in (run / JOURNALS).rglob("*.kaiju"))
        if size <= MAX_BYTES:
            chosen.append(run)
    return Found(chosen, len(ordered) - len(chosen), excused)


def verify_elsewhere(runs: list[Path]) -> tuple[bool, str]:
    """Verify runs in processes with another hash seed; return whether all are equal, and why."""
    lanes = [lane for first in range(LANES) if (lane := runs[first::LANES])]
    with ThreadPoolExecutor(LANES) as pool:
        ends = list(pool.map(_verify_in_a_process, lanes))
    return all(equal for equal, _ in ends), " + ".join(said.strip() for _, said in ends)


def _verify_in_a_process(runs: list[Path]) -> tuple[bool, str]:
    hash_seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.kit.verify_leftovers"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            input="\n".join(map(str, runs)),
            capture_output=True,
            text=True,
            timeout=MAX_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"{len(runs)} runs took longer than {MAX_SECONDS} s"
    return done.returncode == 0, done.stdout + done.stderr


def _rank(run: Path) -> bytes:
    return sha256(str(run).encode()).digest()


def _differences(runs: list[Path]) -> Iterator[str]:
    steps = 0
    for run in runs:
        try:
            verification = verify(run)
        except NoJournalError:
            continue  # the run was over before anything was written
        steps += verification.steps
        if not verification.equal:
            yield f"{run}\n{verification.summary}"
    print(f"{len(runs)} runs, {steps:,} steps")  # noqa: T201


if __name__ == "__main__":
    different = list(_differences([Path(line) for line in sys.stdin.read().splitlines()]))
    print("\n".join(different))  # noqa: T201
    sys.exit(bool(different))
