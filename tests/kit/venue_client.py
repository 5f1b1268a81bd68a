"""A venue as a process, and clients that speak its wire by hand, for tests over real sockets."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any, Self, TypeVar

from actors.events.event import Event
from actors.events.market import Side
from actors.events.order_words import OrderType, TimeInForce
from actors.events.system import ConnectionEstablished
from actors.events.venue import NewOrderSingle
from gateways.simulated.engine.venue_orders import VenueRequest
from gateways.simulated.session.messages import (
    HEARTBEAT,
    ClientAlive,
    Codec,
    FromVenue,
    Logon,
    LogonAccepted,
    NumberedReport,
    SessionRequest,
    encode,
)
from gateways.sockets import ClientSocket, Wake
from tests.kit.commands import KAIJU
from tests.kit.paths import ROOT
from tests.kit.waiting import PATIENCE

VENUE = ROOT / "topology" / "venue.yaml"
UP = ConnectionEstablished("gateway")

T = TypeVar("T")
E = TypeVar("E", bound=Event)


def accepted(incarnation: int = 1, after: int = 0, last: int = 0) -> LogonAccepted:
    return LogonAccepted(b"\0here", "kaiju", incarnation, after, last)


class VenueProcess:
    """`kaiju venue`, which may be killed and started again.

    Args:
        folder: of its socket; its name must be short.
        data: of its ledger.
        topology: what it is.
        token: file with the token that it asks for; None for none.
    """

    def __init__(
        self, folder: Path, data: Path, topology: Path = VENUE, token: Path | None = None
    ) -> None:
        self.endpoint = f"ipc://{folder}/v"
        self._token: list[str | Path] = [] if token is None else ["--token", token]
        self.data = data
        self.log = folder / "venue.log"
        self._topology = topology
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *KAIJU,
                    "venue",
                    self._topology,
                    "--data",
                    self.data,
                    "--bind",
                    self.endpoint,
                    *self._token,
                ],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        return self

    def kill(self) -> None:
        """Kill it at once, as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()


class RawClient:
    """One connection to a venue; a test says every frame itself."""

    def __init__(self, endpoint: str) -> None:
        self._wake = Wake()
        self._socket = ClientSocket(endpoint, self._wake)
        self._codec = Codec(FromVenue)
        self._heard: list[Any] = []
        self.incarnation = 0
        self.session = ""
        self._seq = 0

    def say(self, event: Event) -> None:
        self.say_frame(encode(event))

    def say_frame(self, frame: bytes) -> None:
        assert self._socket.send(frame)

    def request(self, body: VenueRequest) -> None:
        """Send the next request of the session."""
        self._seq += 1
        self.say(SessionRequest(self.session, self.incarnation, self._seq, body))

    def hear(self, event_class: type[E], patience: float = PATIENCE) -> E:
        """Return the next event of a class; what came before it is forgotten."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            while self._heard:
                event = self._heard.pop(0)
                if isinstance(event, event_class):
                    return event
            self._socket.wait(HEARTBEAT / 2)
            self.say(ClientAlive())
            self._heard += [self._codec.decode(frame) for frame in self._socket.receive()]
        raise AssertionError(f"no {event_class.__name__} within {patience:g} s")

    def log_on(
        self, after: int = -1, session: str = "test", client: str = "one", token: str = ""
    ) -> LogonAccepted:
        self.say(Logon(session, client, again=False, after=after, token=token))
        accepted = self.hear(LogonAccepted)
        self.session, self.incarnation, self._seq = session, accepted.incarnation, 0
        return accepted

    def report(self) -> NumberedReport:
        return self.hear(NumberedReport)

    def close(self) -> None:
        self._socket.close(linger=PATIENCE)
        self._wake.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def resting_order(client_order_id: str = "A-1") -> NewOrderSingle:
    """Return an order far from the market of topology/venue.yaml, so that it stays."""
    return NewOrderSingle(
        client_order_id,
        "BTCUSDT.SIM",
        Side.BUY,
        1_000,
        OrderType.LIMIT,
        TimeInForce.GTC,
        3_000_000,
    )


def market_order(client_order_id: str = "A-1") -> NewOrderSingle:
    """Return an order that fills at once."""
    return NewOrderSingle(
        client_order_id, "BTCUSDT.SIM", Side.BUY, 1_000, OrderType.MARKET, TimeInForce.IOC
    )
