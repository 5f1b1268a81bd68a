"""Makes the key pair of a node, or the token of a venue, once."""

from __future__ import annotations

import os
import secrets as random
from pathlib import Path

from topology.config.keys import PUBLIC, SECRET, TOKEN, KeysError
from topology.files import atomic_write
from topology.links.sockets import make_pair

TOKEN_BYTES = 32


def make_keys(directory: Path, node: str, secrets: Path | None = None) -> tuple[Path, bool]:
    """Make the key pair of a node, unless there is one.

    Args:
        directory: of the keys; created if missing.
        node: name of the node.
        secrets: directory of the secret key; None for the same.

    Returns:
        (file of the public key, whether it was made now).

    Raises:
        KeysError: only one file of the pair exists.
        OSError: they cannot be written.
    """
    folder = secrets or directory
    public, secret = directory / f"{node}{PUBLIC}", folder / f"{node}{SECRET}"
    if public.exists() and secret.exists():
        return public, False
    if public.exists() or secret.exists():
        there, gone = (public, secret) if public.exists() else (secret, public)
        raise KeysError(f"{there} is there and {gone} is not: put it back, or remove both")
    for one in (directory, folder):
        one.mkdir(parents=True, exist_ok=True)
    keys = make_pair()
    _write(secret, keys[1], 0o600)
    _write(public, keys[0], 0o644)
    return public, True


def make_token(directory: Path) -> tuple[Path, bool]:
    """Make the token of a venue, unless there is one.

    Args:
        directory: of its file; created if missing.

    Returns:
        (its file, whether it was made now).

    Raises:
        OSError: it cannot be written.
    """
    path = directory / TOKEN
    if path.exists():
        return path, False
    directory.mkdir(parents=True, exist_ok=True)
    _write(path, random.token_hex(TOKEN_BYTES).encode(), 0o600)
    return path, True


def _write(path: Path, key: bytes, mode: int) -> None:
    with atomic_write(path) as unfinished:
        created = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        with os.fdopen(created, "wb") as file:
            file.write(key + b"\n")
            os.fsync(file.fileno())
