r"""Print a stream of a running node, written from docs/wire.md alone: ZeroMQ, MessagePack, CRC-32C.

    python docs/read_stream.py runs/paper-20240101-120000/endpoints.json md book.top \
        --topology paper

Over `tcp` it needs the key pair of a node that may read the stream: --node core --secret FILE.
"""

from __future__ import annotations

import argparse
import json
import struct
import time
from pathlib import Path
from typing import Any

import msgpack
import zmq

HEAD = struct.Struct("<BBIQHQ")  # version, 0, epoch, first, count, sent
BETWEEN_PINGS, LOST, PATIENCE = 0.5, 3.0, 1.0


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of data; slow, and the same as everybody's."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def wide(_code: int, data: bytes) -> int:
    """Return a whole number that MessagePack's own integers do not hold."""
    return int.from_bytes(data, "big", signed=True)


def unpack(data: bytes) -> Any:
    """Return what MessagePack says."""
    return msgpack.unpackb(data, strict_map_key=False, ext_hook=wide)


def read_frame(data: bytes) -> tuple[int, int, list[Any]] | None:
    """Return (epoch, first sequence number, events) of a frame; None of one that is not whole."""
    start = data.find(b"\0") + 1
    body = start + HEAD.size
    if not start or len(data) < body + 4:
        return None
    version, _, epoch, first, count, _ = HEAD.unpack_from(data, start)
    if version != 1 or struct.unpack("<I", data[-4:])[0] != crc32c(data[:-4]):
        return None
    events = unpack(data[body:-4])
    return (epoch, first, events) if len(events) == count else None


class Reader:
    """Follows one stream from its first event on, or from a snapshot."""

    def __init__(self, node: str, topology: str, stream: str, limit: int) -> None:
        self.node, self.topology, self.stream, self.limit = node, topology, stream, limit
        self.epoch, self.position, self.request = 0, 1, 0
        self.aside: list[tuple[int, int, list[Any]]] = []
        self.resuming, self.asked = True, 0.0

    def run(self, live: str, recovery: str, curve: tuple[bytes, bytes, bytes] | None) -> None:
        """Read until `limit` events were printed, over new sockets as often as it takes."""
        context = zmq.Context()
        while self.limit > 0:
            sub, dealer = context.socket(zmq.SUB), context.socket(zmq.DEALER)
            for socket, endpoint in ((sub, live), (dealer, recovery)):
                if curve:
                    socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = curve
                socket.connect(endpoint)
            sub.setsockopt(zmq.SUBSCRIBE, self.stream.encode() + b"\0")
            self.follow(sub, dealer)
            sub.close(0)
            dealer.close(0)
        context.destroy(0)

    def follow(self, sub: Any, dealer: Any) -> None:
        """Read until the node does not answer any more."""
        heard = pinged = time.monotonic()
        welcome = False
        poller = zmq.Poller()
        poller.register(sub, zmq.POLLIN)
        poller.register(dealer, zmq.POLLIN)
        hello = ["Hello", self.node, self.topology, {self.stream: {}}, True]
        self.say(dealer, hello)
        while self.limit > 0 and time.monotonic() - heard < LOST:
            ready = dict(poller.poll(100))
            now = time.monotonic()
            if dealer in ready:
                heard = now
                tag, *fields = unpack(dealer.recv()[1:])
                if tag == "Welcome":
                    welcome = True
                    self.resume(dealer)
                elif tag == "Stranger":
                    self.say(dealer, hello)
                elif tag == "Refused":
                    raise SystemExit(f"refused: {fields[1]}")
                else:
                    self.answered(dealer, tag, fields)
            if sub in ready:
                self.took(dealer, read_frame(sub.recv()))
            if now - pinged > BETWEEN_PINGS:
                pinged = now
                self.say(dealer, ["Ping"] if welcome else hello)
            if welcome and self.resuming and now - self.asked > PATIENCE:
                self.resume(dealer)

    def say(self, dealer: Any, message: list[Any]) -> None:
        dealer.send(b"\2" + msgpack.packb(message))

    def resume(self, dealer: Any) -> None:
        self.resuming, self.asked = True, time.monotonic()
        self.request += 1
        self.say(dealer, ["Resume", self.stream, self.epoch, self.position, self.request])

    def answered(self, dealer: Any, tag: str, fields: list[Any]) -> None:
        """Take an answer to the newest question."""
        if tag == "Replay" and fields[0] == self.request:
            frame = read_frame(fields[1])
            if frame is not None:
                self.epoch = self.epoch or frame[0]
                self.asked = time.monotonic()
                self.print_from(*frame)
            self.say(dealer, ["More", self.stream, self.request])
        elif tag == "Resumed" and fields[3] == self.request:
            self.epoch = fields[1]
            self.go_on(dealer)
        elif tag == "Reset" and fields[5] == self.request:
            _, self.epoch, self.position, reason, snapshot, _ = fields
            print(f"reset to {self.epoch}/{self.position}: {reason}", *snapshot, flush=True)
            self.go_on(dealer)

    def go_on(self, dealer: Any) -> None:
        """Take what was kept aside; where something is still missing, ask again."""
        self.resuming, aside = False, self.aside
        self.aside = []
        for frame in aside:
            self.took(dealer, frame)

    def took(self, dealer: Any, frame: tuple[int, int, list[Any]] | None) -> None:
        """Take a live frame, or keep it aside."""
        if frame is None or self.limit <= 0:
            return
        epoch, first, _ = frame
        if self.resuming:
            self.aside.append(frame)
        elif epoch > self.epoch or (epoch == self.epoch and first > self.position):
            self.aside.append(frame)
            self.resume(dealer)
        elif epoch == self.epoch:
            self.print_from(*frame)

    def print_from(self, epoch: int, first: int, events: list[Any]) -> None:
        """Print the events from the position on."""
        for seq, (_, _, _, event) in enumerate(events, first):
            if epoch == self.epoch and seq == self.position and self.limit > 0:
                print(f"{epoch}/{seq}", *event, flush=True)
                self.position += 1
                self.limit -= 1


def main() -> None:
    """Read what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("endpoints", type=Path, help="endpoints.json of a run")
    parser.add_argument("publisher", help="node whose stream it is")
    parser.add_argument("stream")
    parser.add_argument("--topology", required=True, help="name of the topology")
    parser.add_argument("--node", default="looker", help="who asks; over tcp a node's name")
    parser.add_argument("--secret", type=Path, help="its secret key")
    parser.add_argument("--count", type=int, default=1 << 60, help="events to print")
    asked = parser.parse_args()
    nodes = json.loads(asked.endpoints.read_text())["nodes"]
    there, curve = nodes[asked.publisher], None
    if there["key"]:
        own, secret = nodes[asked.node]["key"].encode(), asked.secret.read_bytes().strip()
        curve = (own, secret, there["key"].encode())
    reader = Reader(asked.node, asked.topology, asked.stream, asked.count)
    reader.run(there["live"], there["recovery"], curve)


if __name__ == "__main__":
    main()
