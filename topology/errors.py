"""What a command refuses."""

from __future__ import annotations

from actors.runtime.errors import ExitCode, KaijuError


class RefusedError(KaijuError):
    """The command asks for what cannot be done; nothing was begun."""

    exit_code = ExitCode.MISUSED
