"""The root of every error that a command line shows, and the exit codes."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Self


class ExitCode(IntEnum):
    """What the exit code of a command says; docs/exit_codes.md has the same table."""

    meaning: str

    OK = 0, "all went well"
    FAILED = (
        1,
        (
            "the audit failed, something was lost, a venue was never reached, or a recording was"
            " discarded beyond its share"
        ),
    )
    MISUSED = 2, "the topology or the command is wrong; nothing was begun"
    HALTED = 3, "all trading or a venue is halted, or orders are open or of unknown fate at the end"
    JOURNAL = 4, "a journal could not be synced; the process ended at once"
    KILLED = 5, "KILL is in force"

    def __new__(cls, code: int, meaning: str) -> Self:
        """Make a member that is its code and has a meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


class KaijuError(Exception):
    """What a user can mend: a command line shows its text and ends with its exit code."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    @property
    def console_text(self) -> str:
        """The text as a command line shows it."""
        return f"error: {self}"
