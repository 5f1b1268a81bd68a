"""What is wrong with a topology file, where, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from actors.runtime.errors import ExitCode, KaijuError

Level = Literal["error", "warning"]

MAX_LISTED = 12
LONG_WORD = 12
"""Longer words share much anyway, such as a package, and must be more similar to match."""


@dataclass(frozen=True, order=True)
class Finding:
    """One mistake or warning.

    Lines and columns count from 1; both are 0 if `file` names an option of a command instead.
    """

    file: str
    line: int
    column: int
    message: str
    level: Level = "error"

    def __str__(self) -> str:
        mark = "warning: " if self.level == "warning" else ""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {mark}{self.message}"


@dataclass(frozen=True)
class Findings:
    """Everything that a check found, in the order of the file."""

    all: tuple[Finding, ...]

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Findings:
        """Return `findings` sorted by position, each once."""
        return cls(tuple(sorted(set(findings))))

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Mistakes that keep the topology from being run."""
        return tuple(f for f in self.all if f.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What a person should know, and may accept."""
        return tuple(f for f in self.all if f.level == "warning")

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.all)


class TopologyError(KaijuError):
    """A topology file has mistakes; the text lists all of them."""

    exit_code = ExitCode.MISUSED

    def __init__(self, findings: Findings) -> None:
        super().__init__(str(findings))
        self.findings = findings

    @property
    def console_text(self) -> str:
        """The findings, each of which says whether it is an error."""
        return str(self)


def nearest(word: str, allowed: Iterable[str], *, else_list: bool = True) -> str:
    """Return the end of a message: the word probably meant, or the words allowed.

    Args:
        word: what was found.
        allowed: what could have been meant.
        else_list: whether to list `allowed` if nothing in it is similar.
    """
    words = list(allowed)
    lowered = {w.lower(): w for w in reversed(words)}
    cutoff = 0.8 if len(word) > LONG_WORD else 0.6
    if close := get_close_matches(word.lower(), lowered, n=1, cutoff=cutoff):
        return f"; did you mean '{lowered[close[0]]}'?"
    return f"; {one_of(words)}" if words and else_list else ""


def one_of(words: Sequence[str]) -> str:
    """Return 'allowed is ...', or 'allowed are ...' with the first dozen of `words`."""
    shown = ", ".join(f"'{word}'" for word in words[:MAX_LISTED])
    rest = len(words) - MAX_LISTED
    more = f" and {rest} more" if rest > 0 else ""
    return f"allowed {'is' if len(words) == 1 else 'are'} {shown}{more}"
