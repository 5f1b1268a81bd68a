"""Answers to ZeroMQ's authentication requests, ZAP (https://rfc.zeromq.org/spec/27/).

A node is known by its public key. Without an answer from here nobody can connect.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from hashlib import sha256

log = logging.getLogger("kaiju")
VERSION, MECHANISM = b"1.0", b"CURVE"
MAX_LOGGED = 100
"""Refusals that are logged; all are counted."""
PARTS = 7
"""Parts of a request: version, request id, domain, address, identity, mechanism, key."""


class ZapAuthenticator:
    """Accepts the keys of nodes, and refuses all others.

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
            log.warning("an unknown key was refused, its fingerprint is %s", fingerprint)
        return [VERSION, request, b"400", b"unknown key", b"", b""]
