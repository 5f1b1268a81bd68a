"""Makes the key pair of a node, once."""

from __future__ import annotations

import os
from pathlib import Path

from topology.config.keys import PUBLIC, SECRET, KeysError
from topology.files import atomic_write
from topology.links.sockets import make_pair


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
    for path, key, mode in ((secret, keys[1], 0o600), (public, keys[0], 0o644)):
        with atomic_write(path) as unfinished:
            created = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
            with os.fdopen(created, "wb") as file:
                file.write(key + b"\n")
                os.fsync(file.fileno())
    return public, True
