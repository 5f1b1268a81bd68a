"""What two nodes' sockets bring each other, encrypted over tcp and over paths of one host."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread

import pytest
import zmq

from actors.events.durations import MILLISECOND
from tests.kit.descriptors import no_descriptors_left
from tests.kit.simulated_network import TAIL
from tests.kit.socket_kit import GIVEN, Keys, Publishing, Reading, until
from tests.kit.waiting import PATIENCE
from topology.config.keys import NodeKeys
from topology.links import sockets
from topology.links.frame import read_frame, topic_of
from topology.links.messages import (
    More,
    Ping,
    Pong,
    Refused,
    Replay,
    Resume,
    Resumed,
    Welcome,
    encode_message,
)
from topology.links.sockets import LinkClient, LinkSockets

pytestmark = pytest.mark.xdist_group("live")

MANY = 1_000
FEW = 5
KeysOf = Callable[[str], NodeKeys | None]


@pytest.fixture(params=["tcp", "ipc"])
def keys(request: pytest.FixtureRequest) -> KeysOf:
    """Return the keys of a node over tcp, and none over ipc."""
    return Keys().of if request.param == "tcp" else lambda _node: None


@pytest.fixture
def publishing(keys: KeysOf) -> Iterator[Publishing]:
    with closing(Publishing(keys("md"))) as found:
        yield found


@pytest.fixture
def reading(keys: KeysOf, publishing: Publishing) -> Iterator[Reading]:
    with closing(Reading(keys("core"), publishing, GIVEN)) as found:
        yield found


def test_live_frames_come_in_order_and_none_is_missing(
    publishing: Publishing, reading: Reading
) -> None:
    until(lambda: len(reading.frames) >= MANY, publishing, reading)

    first = reading.frames[0]
    assert reading.frames == list(range(first, first + len(reading.frames)))
    assert not any(publishing.sockets.statistics())


def test_what_is_asked_is_answered_to_who_asked(publishing: Publishing, reading: Reading) -> None:
    for _ in range(2 * TAIL):
        publishing.turn()
    until(lambda: bool(reading.answers), publishing, reading)
    assert isinstance(reading.answers.pop(), Welcome)

    reading.say(Ping())
    reading.say(Resume(GIVEN, 1, 1, 7))
    until(lambda: Pong() in reading.answers and len(reading.answers) > 1, publishing, reading)
    resumed = go_on(publishing, reading)

    replayed = [read_frame(a.frame) for a in reading.answers if isinstance(a, Replay)]
    assert replayed[0].first == 1
    assert all(one.end == other.first for one, other in pairwise(replayed))
    assert replayed[-1].end == resumed.position


def test_without_descriptors_a_node_is_connected_to_later(
    publishing: Publishing, reading: Reading
) -> None:
    def dial_until_it_fails() -> None:
        while True:  # what the sockets of before had is taken once ZeroMQ has closed them
            reading.dial(publishing)

    with no_descriptors_left(), pytest.raises(OSError, match="Too many open files"):
        dial_until_it_fails()

    reading.dial(publishing)
    before = len(reading.frames)
    until(lambda: len(reading.frames) > before, publishing, reading)


def go_on(publishing: Publishing, reading: Reading) -> Resumed:
    """Take what is replayed until there is no more."""
    while True:
        before = len(reading.answers)
        if isinstance(last := reading.answers[-1], Resumed):
            return last
        reading.say(More(GIVEN, 7))
        until(partial(came, reading, before), publishing, reading)


def came(reading: Reading, before: int) -> bool:
    return len(reading.answers) > before


@pytest.fixture
def short_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all sockets made from now on, and the kernel, keep few messages."""
    make = LinkSockets._socket

    def small(own: LinkSockets, kind: int) -> zmq.Socket[bytes]:
        made = make(own, kind)
        made.setsockopt(zmq.SNDBUF, 1)  # the smallest there is
        made.setsockopt(zmq.RCVBUF, 1)
        return made

    monkeypatch.setattr(sockets, "QUEUED_FRAMES", FEW)
    monkeypatch.setattr(sockets, "QUEUED_MESSAGES", FEW)
    monkeypatch.setattr(LinkSockets, "_socket", small)


@pytest.mark.usefixtures("short_queues")
def test_a_reader_that_takes_nothing_costs_the_other_one_nothing(keys: KeysOf) -> None:
    with ExitStack() as stack:
        publishing = stack.enter_context(closing(Publishing(keys("md"))))
        stopped, other = (
            stack.enter_context(closing(Reading(keys("core"), publishing, GIVEN))) for _ in range(2)
        )
        until(lambda: bool(stopped.frames and other.frames), publishing, stopped, other)
        log, before = publishing.logs[GIVEN], len(stopped.frames)
        for _ in range(MANY):
            log.emit(9, 0)
            publishing.turn()
            until(lambda: other.frames[-1] + 10 == log.next_seq, other)
        assert other.frames[-MANY:] == list(range(log.next_seq - 10 * MANY, log.next_seq, 10))

        end = log.next_seq
        until(lambda: stopped.frames[-1] >= end, stopped, publishing)
        assert len(stopped.frames) - before < MANY


@pytest.mark.usefixtures("short_queues")
def test_a_reader_that_takes_no_answers_is_told_no_more_and_the_other_one_all(
    keys: KeysOf,
) -> None:
    with ExitStack() as stack:
        publishing = stack.enter_context(closing(Publishing(keys("md"))))
        one, two = (
            stack.enter_context(closing(Reading(keys("core"), publishing, GIVEN))) for _ in range(2)
        )
        until(lambda: bool(one.answers and two.answers), publishing, one, two)
        full, awake = publishing.publisher._peers
        much = encode_message(Refused("", "much" * 1_000))
        taken = sum(publishing.sockets.answer(full, much) for _ in range(MANY))
        assert MANY - taken == publishing.sockets.statistics().unsent > 0

        assert publishing.sockets.answer(awake, encode_message(Pong()))
        until(lambda: Pong() in one.answers + two.answers, one, two)


def test_a_frame_beyond_the_largest_costs_its_connection_until_it_is_dialed_anew(
    publishing: Publishing, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "LARGEST_FRAME", 10_000)
    reading.dial(publishing)  # with a smaller bound than the publisher's
    until(lambda: bool(reading.frames), publishing, reading)

    publishing.sockets.publish(topic_of(GIVEN) + bytes(20_000))
    end = publishing.logs[GIVEN].next_seq
    reading.say(Ping())
    until(lambda: Pong() in reading.answers, publishing, reading)
    assert all(first < end for first in reading.frames)  # ZeroMQ never connects again by itself

    reading.dial(publishing)
    until(lambda: reading.frames[-1] >= end, publishing, reading)


def test_a_path_that_somebody_left_behind_is_no_obstacle(publishing: Publishing) -> None:
    if publishing.folder is None:
        pytest.skip("a port is not left behind")
    left = publishing.folder.name + "/left"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(left)
    with closing(LinkSockets(f"ipc://{left}", f"{publishing.recovery}2", topics={})):
        pass


def test_another_thread_ends_a_wait(publishing: Publishing) -> None:
    waker = Thread(target=publishing.sockets.wake)
    waker.start()
    publishing.sockets.wait(None)  # until it is woken
    waker.join()


def test_nothing_is_said_to_a_node_that_was_not_dialed(reading: Reading) -> None:
    assert not reading.sockets.send("nobody", b"?")


def test_closing_twice_closes_once(publishing: Publishing) -> None:
    publishing.sockets.close()
    publishing.sockets.close()


def read_while_being_stopped(publishing: tuple[str, str], told: Connection) -> None:
    """Read a frame, say so, be stopped, and read what a publisher left that is gone by now."""
    sockets.QUEUED_FRAMES = FEW
    with closing(LinkClient()) as reader:
        reader.connect("md", *publishing, [GIVEN], None)
        reader.wait(None)
        told.send("reads")
        told.recv()
        frames = 0
        while frames < 2 * FEW:
            reader.wait(None)
            reader.ready()
            frames += len(list(reader.frames()))


def test_a_reader_stopped_with_a_full_queue_survives_the_loss_of_its_publisher() -> None:
    """libzmq aborts a process that finds a ping behind a full queue of a lost connection."""
    ours, theirs = (context := get_context("spawn")).Pipe()
    with closing(Publishing(None)) as publishing:
        process = context.Process(
            target=read_while_being_stopped, args=(publishing.places, theirs), daemon=True
        )
        process.start()
        while not ours.poll(0.1):
            publishing.turn()
        os.kill(process.pid or 0, signal.SIGSTOP)
        for _ in range(4 * FEW):  # longer than the second after which heartbeats once began
            publishing.turn()
            publishing.sockets.wait(time.monotonic_ns() + 100 * MILLISECOND)
    ours.send("go on")
    os.kill(process.pid or 0, signal.SIGCONT)
    process.join(PATIENCE)

    assert process.exitcode == 0


def silence_allowed(port: int) -> tuple[int, int]:
    """Return after how many seconds the kernel gives up a peer that connected to a port of ours.

    Returns:
        While it owes us answers, and while it does not.
    """
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(path.name))) as found:
            if found.family != socket.AF_INET or found.getsockname()[1] != port:
                continue
            found.getpeername()  # which a socket that listens has not
            option = partial(found.getsockopt, socket.IPPROTO_TCP)
            idle = option(socket.TCP_KEEPIDLE)
            idle += option(socket.TCP_KEEPINTVL) * option(socket.TCP_KEEPCNT)
            keeps_alive = found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            return option(socket.TCP_USER_TIMEOUT) // 1_000, idle if keeps_alive else 0
    raise AssertionError(f"nobody is connected to port {port}")


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells of open sockets")
def test_the_kernel_gives_up_a_reader_of_another_host_that_vanished() -> None:
    keys = Keys().of
    with (
        closing(Publishing(keys("md"))) as publishing,
        closing(Reading(keys("core"), publishing, GIVEN)) as reading,
    ):
        until(lambda: bool(reading.frames and reading.answers), publishing, reading)
        for place in publishing.places:
            assert silence_allowed(int(place.rpartition(":")[2])) == (3, 3)


def test_zeromq_sends_no_pings_of_its_own(publishing: Publishing, reading: Reading) -> None:
    """The process of whoever has one to send on a lost connection may be aborted too."""
    ours = publishing.sockets._live, publishing.sockets._recovery
    theirs = *reading.sockets._subscribers.values(), *reading.sockets._dealers.values()
    assert len(theirs) == len(ours)
    assert not any(each.getsockopt(zmq.HEARTBEAT_IVL) for each in (*ours, *theirs))
