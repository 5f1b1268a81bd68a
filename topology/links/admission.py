"""Who may connect: the handler of ZeroMQ's authentication, ZAP (https://rfc.zeromq.org/spec/27/).

It is served by the loop's thread, and knows nodes by their public keys. Without an answer from it
nobody gets in.
"""

from __future__ import annotations

import logging
from binascii import hexlify
from collections.abc import Mapping
from hashlib import sha256

import zmq
from zmq.utils import z85

log = logging.getLogger("kaiju")
ENDPOINT = "inproc://zeromq.zap.01"
VERSION = b"1.0"
AT_ONCE = 64


class Admission:
    """Answers which node a key is of, and refuses whatever is no node's key.

    Args:
        context: whose sockets ask; it has one handler.
        public: keys of the nodes, by name.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], public: Mapping[str, bytes]
    ) -> None:
        self._nodes = {z85.decode(key): node for node, key in public.items()}
        self.refused = 0
        self.socket: zmq.Socket[bytes] = context.socket(zmq.REP)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(ENDPOINT)

    def serve(self) -> None:
        """Answer everybody who has asked."""
        for _ in range(AT_ONCE):
            try:
                asked = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self.socket.send_multipart(self._answer(asked))

    def _answer(self, asked: list[bytes]) -> list[bytes]:
        """Return the reply of RFC 27: version, request, status code and text, user, metadata."""
        request = asked[1] if len(asked) > 1 else b""
        node = None
        if len(asked) == 7 and asked[0] == VERSION and asked[5] == b"CURVE":  # noqa: PLR2004
            node = self._nodes.get(asked[6])
        if node is not None:
            return [VERSION, request, b"200", b"OK", node.encode("ascii"), b""]
        self.refused += 1
        print_of = hexlify(sha256(asked[-1]).digest()[:4]).decode()
        log.warning("a stranger was refused (fingerprint of its key %s)", print_of)
        return [VERSION, request, b"400", b"unknown key", b"", b""]
