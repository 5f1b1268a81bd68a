"""What a command refuses, and the exit codes of the command line."""

from __future__ import annotations

OK, FAILED, MISUSED, HALTED = 0, 1, 2, 3
"""Exit codes: all went well; the run failed or lost something; the topology or the command was
wrong; trading was halted by a failure. A process that could not sync its journals ends at once with
`actors.runtime.journal.commits.SYNC_FAILED`."""


class RefusedError(Exception):
    """The command asks for what cannot be done; nothing was begun."""
