"""Key pairs of nodes: public keys are known to all nodes, a secret key to its own node only.

Keys are CURVE keys of ZeroMQ (https://rfc.zeromq.org/spec/26/), written as 40 characters of Z85 in
files of one line: ``<node>.public`` and ``<node>.secret``.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from actors.runtime.errors import ExitCode, KaijuError

KEY = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
PUBLIC, SECRET = ".public", ".secret"
"""Suffixes of the two files of a pair."""
TOKEN = "venue.token"  # noqa: S105 - the name of its file
"""What says to a venue who may trade there."""
SECRETS = Path("/run/secrets")
"""Folder of secrets in a container, where file modes do not matter: nobody else is in it."""
SECRET_FILE = "KAIJU_SECRET_FILE"  # noqa: S105 - its name, no secret
"""Environment variable with the path of the node's secret key."""


class KeysError(KaijuError):
    """A key is missing, malformed or not kept secret; the text never shows one."""

    exit_code = ExitCode.MISUSED


class NodeKeys:
    """The keys that a node needs to talk to others over a network.

    Args:
        node: its name.
        public: keys of all nodes, by name.
        secret: its own secret key.
    """

    def __init__(self, node: str, public: Mapping[str, bytes], secret: bytes) -> None:
        self.node, self.public, self.secret = node, dict(public), secret

    def __repr__(self) -> str:
        return f"NodeKeys({self.node!r})"

    @property
    def own(self) -> bytes:
        """The node's own public key."""
        return self.public[self.node]

    @classmethod
    def load(cls, node: str, public: Mapping[str, bytes], secret: Path | None) -> NodeKeys:
        """Return the keys of a node.

        Args:
            node: its name.
            public: keys of all nodes, by name.
            secret: file of its secret key; None to look in the environment or the container.

        Raises:
            KeysError: a key is missing, malformed or readable by others.
        """
        if node not in public:
            raise KeysError(
                f"node '{node}' has no public key, and links between hosts need one:"
                f" `kaiju keys FILE --dir keys` makes a pair, `public_key: keys/{node}{PUBLIC}`"
                " under the node names it"
            )
        return cls(node, public, read_secret_key(secret or _usual_secret(node)))


def read_public_key(path: Path) -> str:
    """Return a public key.

    Raises:
        KeysError: the file does not exist or holds no key.
    """
    return _read(path, "public key")


def read_secret_key(path: Path) -> bytes:
    """Return a secret key from a file that only its owner may read.

    Raises:
        KeysError: the file does not exist, others may read it, or it holds no key.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise KeysError(f"{path}: the secret key cannot be read: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and SECRETS not in path.parents:
        raise KeysError(
            f"{path}: mode was {stat.S_IMODE(mode):04o}, allowed is 0600: others may read this"
            f" secret; chmod 600 {path}"
        )
    return _read(path, "secret key").encode("ascii")


def _read(path: Path, what: str) -> str:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeysError(f"{path}: the {what} cannot be read: {error}") from error
    if KEY.fullmatch(text) is None:
        raise KeysError(f"{path}: {len(text)} characters, allowed is a {what}: 40 of Z85")
    return text


def _usual_secret(node: str) -> Path:
    named = os.environ.get(SECRET_FILE)
    return Path(named) if named else SECRETS / f"kaiju_{node}"
