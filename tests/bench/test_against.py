"""This tree beside another commit: what is compared, and how a commit is found and checked out."""

from __future__ import annotations

import importlib
import subprocess
from pathlib import Path

import pytest

from bench.__main__ import SECTIONS
from bench.against import OTHERS, Compared, NoSuchCommitError, add_worktree, compare, resolve
from bench.recorded import FILES


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one file in two commits, the first tagged ``first``."""
    made = tmp_path / "repository"
    made.mkdir()
    git(made, "init", "-q")
    for content in ("one", "two"):
        (made / "file").write_text(content)
        git(made, "add", "file")
        git(made, "commit", "-qm", content)
        git(made, "tag", "first" if content == "one" else "second")
    return made


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True)


def test_a_speed_is_above_one_where_ours_is_faster() -> None:
    pairs = [
        ({"us": 1.0, "per_second": 100.0}, {"us": 1.2, "per_second": 80.0}),
        ({"us": 1.0, "per_second": 90.0}, {"us": 0.9, "per_second": 100.0}),
    ]

    assert compare("hop", pairs) == [
        Compared("hop", "us", 1.0, 1.05, (1.2, 0.9)),
        Compared("hop", "per_second", 95.0, 90.0, (1.25, 0.9)),
    ]


def test_quantiles_are_times_whatever_they_are_of() -> None:
    names = ["p50", "p99.9", "tick to order p90", "wait", "commit_ms"]

    found = compare("path", [(dict.fromkeys(names, 2.0), dict.fromkeys(names, 3.0))])

    assert [(each.figure, each.speeds) for each in found] == [(name, (1.5,)) for name in names]


def test_work_is_no_speed_and_is_shown_only_where_it_differs() -> None:
    found = compare("path", [({"orders": 7.0, "fills": 7.0}, {"orders": 7.0, "fills": 6.0})])

    assert found == [Compared("path", "fills", 7.0, 6.0, ())]


def test_a_figure_that_only_one_commit_has_is_left_out() -> None:
    assert compare("hop", [({"us": 1.0, "new": 1.0}, {"us": 1.0, "old": 1.0})]) == [
        Compared("hop", "us", 1.0, 1.0, (1.0,))
    ]


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_says_what_of_ours_it_measures_and_how_often(section: str) -> None:
    module = importlib.import_module(f"bench.{section}")
    ours = [c.system for c in module.contestants() if c.system not in OTHERS]

    assert ours or not FILES
    assert module.ROUNDS > 1


def test_a_commit_that_is_not_in_the_clone_is_said(repository: Path) -> None:
    with pytest.raises(NoSuchCommitError, match="no commit 'spine' in this clone: `git fetch"):
        resolve(repository, "spine")


def test_a_commit_is_checked_out_beside_the_tree_and_stays(repository: Path) -> None:
    other = repository / "out" / "other"
    commit = resolve(repository, "first")

    add_worktree(repository, other, commit)
    add_worktree(repository, other, commit)

    assert (other / "file").read_text() == "one"
    assert (repository / "file").read_text() == "two"
    assert resolve(other, "HEAD") == commit


def test_a_worktree_that_was_deleted_is_made_again(repository: Path) -> None:
    other = repository / "out" / "other"
    commit = resolve(repository, "first")
    add_worktree(repository, other, commit)
    other.rename(repository / "elsewhere")

    add_worktree(repository, other, commit)

    assert (other / "file").read_text() == "one"
