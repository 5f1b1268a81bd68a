"""The token that a venue asks of its clients: from a file or the environment, never in a topology.

It says who may trade, and hides nothing: whoever can read the traffic can read it.
"""

from __future__ import annotations

import hmac
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import Field

from actors.runtime.errors import ExitCode, KaijuError
from actors.runtime.settings import Settings, TopologyPath
from gateways.sockets import is_local

MIN_LENGTH: Final = 16
MAX_LENGTH: Final = 256
"""Characters of a token."""
SECRETS: Final = Path("/run/secrets")
"""Folder of secrets in a container, where file modes do not matter: nobody else is in it."""


class TokenError(KaijuError):
    """A token is missing, malformed or not kept secret; the text never shows one."""

    exit_code = ExitCode.MISUSED


class TokenSettings(Settings):
    """Where the token of a venue is; both empty for none, as only venues of this host may have."""

    token_file: TopologyPath | None = None
    """File with the token in its only line; mode 0600."""
    token_env: str = Field(default="", pattern=r"^([A-Za-z_]\w*)?$")
    """Environment variable with the token."""

    def read_token(self) -> str:
        """Return the token; empty where none is named.

        Raises:
            TokenError: it is not there, malformed, or others may read it.
        """
        if self.token_file is not None:
            return _checked(_of_file(self.token_file), str(self.token_file))
        if not self.token_env:
            return ""
        return _checked(os.environ.get(self.token_env, ""), f"variable {self.token_env}")

    def token_mistakes(self, endpoint: str) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield what is wrong with these settings for a venue at `endpoint`, as (key, message)."""
        if self.token_file is not None and self.token_env:
            yield ("token_env",), "token_file names the token already: give one of the two"
        if self.token_file is None and not self.token_env and not is_local(endpoint):
            message = (
                f"was {endpoint}, which others than this host can reach: say in `token_file` or"
                " `token_env` where the venue's token is"
            )
            yield ("endpoint",), message


def is_token(found: str, expected: str) -> bool:
    """Tell whether a client may trade; everybody may where nothing is expected."""
    return not expected or hmac.compare_digest(found.encode(), expected.encode())


def _of_file(path: Path) -> str:
    try:
        mode, text = path.stat().st_mode, path.read_text("ascii")
    except OSError as error:
        raise TokenError(f"{path}: the token cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise TokenError(f"{path}: allowed are characters of ASCII") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and SECRETS not in path.parents:
        raise TokenError(
            f"{path}: mode was {stat.S_IMODE(mode):04o}, allowed is 0600: others may read this"
            f" secret; chmod 600 {path}"
        )
    return text.strip()


def _checked(token: str, place: str) -> str:
    if not token:
        raise TokenError(f"{place}: there is no token; `kaiju keys FILE --token` makes one")
    if not MIN_LENGTH <= len(token) <= MAX_LENGTH or not token.isascii() or " " in token:
        raise TokenError(
            f"{place}: {len(token)} characters, allowed is a token of {MIN_LENGTH} to {MAX_LENGTH}"
            " characters without spaces"
        )
    return token
