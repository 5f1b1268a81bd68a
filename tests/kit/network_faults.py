"""What may befall frames and networks: an injector in a node's way, and hosts in a box."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest
import zmq

from topology.links import sockets
from topology.links.sockets import LinkSockets

SMALLEST_BUFFER = 4096
HELD = 5
"""Frames behind which one that is late comes."""
NEW_NETWORK = 0x40000000
"""CLONE_NEWNET, of <linux/sched.h>."""


def mistreat_frames(seed: int, likelihood: float = 0.05) -> None:
    """Lose, double, damage, cut short and delay live frames that this process sends.

    Args:
        seed: of what happens.
        likelihood: of each of these.
    """
    chance, publish = Random(seed), LinkSockets.publish  # noqa: S311 - the seed tells the story
    late: deque[tuple[int, bytes]] = deque()
    count = 0

    def unkind(own: LinkSockets, frame: bytes) -> None:
        nonlocal count
        count += 1
        while late and late[0][0] <= count:
            publish(own, late.popleft()[1])
        fate = int(chance.random() / likelihood)
        if fate == 0:
            return
        if fate == 1:
            publish(own, frame)
        elif fate == 2:
            place = chance.randrange(len(frame))
            flipped = bytes([frame[place] ^ 1 << chance.randrange(8)])
            frame = frame[:place] + flipped + frame[place + 1 :]
        elif fate == 3:
            frame = frame[: chance.randrange(len(frame))]
        elif fate == 4:
            late.append((count + HELD, frame))
            return
        publish(own, frame)

    pytest.MonkeyPatch().setattr(LinkSockets, "publish", unkind)


def queue_frames(count: int) -> None:
    """Let the sockets of this process, and the kernel, keep few live frames for each other node."""
    patch, make = pytest.MonkeyPatch(), LinkSockets._socket

    def small(own: LinkSockets, kind: int) -> zmq.Socket[bytes]:
        socket = make(own, kind)
        socket.setsockopt(zmq.SNDBUF, SMALLEST_BUFFER)
        socket.setsockopt(zmq.RCVBUF, SMALLEST_BUFFER)
        return socket

    patch.setattr(sockets, "QUEUED_FRAMES", count)
    patch.setattr(LinkSockets, "_socket", small)


def enter(namespace: str) -> None:
    """Let this process be on the host `namespace`."""
    libc = ctypes.CDLL(None, use_errno=True)
    file = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if libc.setns(file, NEW_NETWORK):
        raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    os.close(file)


def why_no_hosts() -> str:
    """Return why there can be no hosts in a box here; empty where there can."""
    if os.geteuid():
        return "no network namespaces: only root may make them"
    if shutil.which("ip") is None:
        return "no network namespaces: there is no `ip`, of iproute2"
    probe = f"kaijuprobe{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False)
    if tried.returncode:
        return f"no network namespaces: {tried.stderr.decode().strip()}"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return ""


class Hosts:
    """Two hosts, each in a network namespace: a cable between them, and one from each to here.

    Args:
        number: tells apart what belongs to several of these, 0 to 2, in one process.
    """

    def __init__(self, number: int) -> None:
        number = (3 * os.getpid() + number) % 250  # another run of these tests may have its own
        self.names = (f"kaiju{number}a", f"kaiju{number}b")
        self.addresses = (f"10.77.{number}.1", f"10.77.{number}.2")
        """At which they find each other."""
        self.seen_from_here = (f"10.78.{number}.1", f"10.78.{number}.5")
        """At which this machine finds them, even while they are cut off from each other."""
        self._here = (f"10.78.{number}.2", f"10.78.{number}.6")

    def make(self) -> None:
        for name in self.names:
            run("netns", "add", name)
        one, two = self.names
        run("-n", one, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", two)
        for place, name in enumerate(self.names):
            outside = f"{name}1"
            run("link", "add", outside, "type", "veth", "peer", "name", "eth1", "netns", name)
            run("addr", "add", f"{self._here[place]}/30", "dev", outside)
            run("link", "set", outside, "up")
            run("-n", name, "addr", "add", f"{self.seen_from_here[place]}/30", "dev", "eth1")
            run("-n", name, "addr", "add", f"{self.addresses[place]}/24", "dev", "eth0")
            for device in ("lo", "eth0", "eth1"):
                run("-n", name, "link", "set", device, "up")

    def cut(self, *ways: int) -> None:
        """Let nothing of host 0, or 1, reach the other one."""
        for way in ways:
            run("-n", self.names[way], "route", "add", "blackhole", f"{self.addresses[1 - way]}/32")

    def mend(self, *ways: int) -> None:
        for way in ways:
            run("-n", self.names[way], "route", "del", "blackhole", f"{self.addresses[1 - way]}/32")

    def remove(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@contextmanager
def two_hosts(number: int) -> Iterator[Hosts]:
    """Give two hosts, and leave nothing of them behind."""
    hosts = Hosts(number)
    hosts.remove()
    try:
        hosts.make()
        yield hosts
    finally:
        hosts.remove()


def run(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
