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

from topology.links import sockets
from topology.links.sockets import LinkSockets

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
    """Let the sockets of this process keep so many live frames for each other node."""
    pytest.MonkeyPatch().setattr(sockets, "QUEUED_FRAMES", count)


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
        return "only root may make network namespaces"
    if shutil.which("ip") is None:
        return "there is no `ip`, of iproute2"
    tried = subprocess.run(["ip", "netns", "add", "kaijuprobe"], capture_output=True, check=False)
    if tried.returncode:
        return f"no network namespace can be made: {tried.stderr.decode().strip()}"
    subprocess.run(["ip", "netns", "del", "kaijuprobe"], check=True)
    return ""


class Hosts:
    """Two hosts, each in a network namespace, on one bridge with this machine.

    Args:
        number: tells apart what belongs to several of these.
    """

    def __init__(self, number: int) -> None:
        self.bridge = f"kaijubr{number}"
        self.names = (f"kaiju{number}a", f"kaiju{number}b")
        self.addresses = (f"10.77.{number}.1", f"10.77.{number}.2")
        self._gate = f"10.77.{number}.254"

    def make(self) -> None:
        run("link", "add", self.bridge, "type", "bridge")
        run("addr", "add", f"{self._gate}/24", "dev", self.bridge)
        run("link", "set", self.bridge, "up")
        for name, address in zip(self.names, self.addresses, strict=True):
            run("netns", "add", name)
            run("link", "add", f"{name}0", "type", "veth", "peer", "name", "eth0", "netns", name)
            run("link", "set", f"{name}0", "master", self.bridge, "up")
            run("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            run("-n", name, "link", "set", "eth0", "up")
            run("-n", name, "link", "set", "lo", "up")

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
        subprocess.run(["ip", "link", "del", self.bridge], check=False, capture_output=True)


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
