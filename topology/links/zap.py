"""Who may connect: the answers of ZeroMQ's authentication, ZAP (https://rfc.zeromq.org/spec/27/).

A node is known by its public key. Without an answer from here nobody gets in.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from hashlib import sha256

log = logging.getLogger("kaiju")
VERSION, MECHANISM = b"1.0", b"CURVE"
MAX_LOGGED = 100
"""Refusals that are told; all are counted."""
PARTS = 7
"""Of a request: version, request id, domain, address, identity, mechanism, key."""


class ZapAuthenticator:
    """Tells which node a key is of, and refuses whatever is no node's key.

    Args:
        nodes: names by public key, 32 bytes.
    """

    def __init__(self, nodes: Mapping[bytes, str]) -> None:
        self._nodes = dict(nodes)
        self.refused = 0

    def answer(self, asked: Sequence[bytes]) -> list[bytes]:
        """Return the reply: version, request id, status code and text, user, metadata."""
        request = asked[1] if len(asked) > 1 else b""
        node = None
        if len(asked) == PARTS and (asked[0], asked[5]) == (VERSION, MECHANISM):
            node = self._nodes.get(asked[6])
        if node is not None:
            return [VERSION, request, b"200", b"OK", node.encode("ascii"), b""]
        self.refused += 1
        fingerprint = sha256(asked[-1] if asked else b"").hexdigest()[:8]
        if self.refused <= MAX_LOGGED:
            log.warning("a stranger was refused, its key's fingerprint is %s", fingerprint)
        return [VERSION, request, b"400", b"unknown key", b"", b""]
