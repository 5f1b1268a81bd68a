"""The gateway and the feed of a venue in another process, apart from any socket."""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec
import pytest

from actors.events.event import Event
from actors.events.market import Quote, RequestSnapshot, Side
from actors.events.order_words import ExecType, OrdStatus
from actors.events.system import (
    ActorRecovered,
    ConnectionEstablished,
    ConnectionLost,
    ConnectionRestored,
    MessageDiscarded,
)
from actors.events.venue import (
    ExecutionReport,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderMassStatusRequest,
)
from actors.runtime.clock import FOREVER
from actors.runtime.envelope import Envelope
from actors.testing import START, ActorTest
from gateways.ages import LeaveBy
from gateways.simulated.engine.venue_orders import VenueReport, VenueRequest
from gateways.simulated.session.client import SessionBegan, SessionPort, VenueFeed, VenueGateway
from gateways.simulated.session.client_session import (
    DatedRequest,
    LogonNeeded,
    MarketDataSession,
    OrderSession,
    RequestUnsent,
)
from gateways.simulated.session.client_socket import Connection, ConnectionEndedError
from gateways.simulated.session.messages import (
    Logon,
    LogonRefused,
    NumberedReport,
    ReportsHandled,
    SessionEnded,
    SessionRequest,
    Subscribe,
    Subscribed,
)
from tests.kit.builders import BTCUSDT, ETHUSDT, buy, pending_cancel, report_new
from tests.kit.venue_client import UP, accepted, resting_order

CANCEL = OrderCancelRequest("A-1", "BTCUSDT.SIM")


def numbered(number: int, report: VenueReport | None = None) -> NumberedReport:
    return NumberedReport("kaiju", number, report or report_new(buy(3), f"E-{number}"))


def report_of(event: Event) -> VenueReport:
    assert isinstance(event, NumberedReport)
    return event.report


@pytest.fixture
def kit() -> ActorTest:
    return ActorTest(VenueGateway, name="gateway")


@pytest.fixture
def on(kit: ActorTest) -> ActorTest:
    """Return a gateway in its first session."""
    kit.given(accepted(1, after=4), UP)
    return kit


def test_a_logon_begins_the_session_and_fixes_which_reports_are_new(kit: ActorTest) -> None:
    assert kit.given(accepted(7, after=4)) == [SessionBegan(7)]
    assert (kit.state.incarnation, kit.state.handled) == (7, 4)


def test_reports_are_passed_on_once_whatever_comes_again(on: ActorTest) -> None:
    five, six = numbered(5), numbered(6)

    assert on.given(five, six) == [report_of(five), report_of(six)]
    assert on.given(five, six, accepted(2, after=4), five, six) == [SessionBegan(2)]
    assert (on.state.handled, on.state.repeated) == (6, 4)


def test_a_report_that_was_skipped_is_a_reason_to_log_on_again(on: ActorTest) -> None:
    assert on.given(numbered(7)) == [
        LogonNeeded("report 5 was not handled"),
        report_of(numbered(7)),
    ]
    assert on.given(numbered(8)) == [report_of(numbered(8))]


def test_the_venue_is_told_now_and_then_what_it_need_not_keep(on: ActorTest) -> None:
    emitted = on.given(*(numbered(n) for n in range(5, 40)))

    assert [event for event in emitted if isinstance(event, ReportsHandled)] == [
        ReportsHandled("kaiju", 1, 16),
        ReportsHandled("kaiju", 1, 32),
    ]


def test_an_order_that_was_not_sent_is_rejected(on: ActorTest) -> None:
    order = resting_order("A-1")

    assert on.given(RequestUnsent(1, order)) == [
        ExecutionReport(
            "A-1", "", "0-gateway-1", ExecType.REJECTED, OrdStatus.REJECTED, order.instrument,
            Side.BUY, 0, 0, 0, 0, text="the order was not sent: no session", transact_time=START,
        )
    ]  # fmt: skip
    assert on.state.unsent == 1


def test_an_order_that_became_too_old_on_its_way_is_rejected_with_that_reason(
    on: ActorTest,
) -> None:
    reason = "the order is more than 1 s old"

    [rejected] = on.given(RequestUnsent(1, resting_order("A-1"), reason))

    assert isinstance(rejected, ExecutionReport)
    assert rejected.text == f"the order was not sent: {reason}"


def test_a_cancel_that_was_not_sent_is_sent_after_the_next_logon(on: ActorTest) -> None:
    everything = OrderMassCancelRequest()
    unsent = [RequestUnsent(1, CANCEL), RequestUnsent(1, everything), RequestUnsent(1, CANCEL)]
    assert on.given(*unsent) == []

    assert on.given(accepted(2, after=4)) == [SessionBegan(2), CANCEL, everything]
    assert on.given(accepted(3, after=4)) == [SessionBegan(3)]


def test_a_cancel_that_missed_a_logon_on_its_way_is_emitted_again(on: ActorTest) -> None:
    on.given(accepted(2, after=4))

    assert on.given(RequestUnsent(1, CANCEL)) == [CANCEL]
    assert on.given(RequestUnsent(2, CANCEL)) == []


def test_a_question_that_was_not_sent_is_asked_anew_by_the_next_reconciliation(
    on: ActorTest,
) -> None:
    assert on.given(RequestUnsent(1, OrderMassStatusRequest("r"))) == []
    assert on.state.unsent == 1


def test_after_a_recovery_the_connection_is_lost_until_the_next_logon(on: ActorTest) -> None:
    lost = ConnectionLost("gateway", "the gateway's process began again")
    assert on.given(ActorRecovered("gateway")) == [lost]
    assert on.given(pending_cancel(buy(1))) != []

    on.given(accepted(2, after=4))
    restored = ConnectionRestored("gateway")
    assert on.given(restored)[0] == restored
    assert ActorTest(VenueGateway).given(ActorRecovered("gateway")) == []


def test_a_gateways_memory_survives_as_bytes(on: ActorTest) -> None:
    on.given(numbered(5), RequestUnsent(1, CANCEL))

    encoded = msgspec.msgpack.encode(on.state)
    assert msgspec.msgpack.decode(encoded, type=VenueGateway.State) == on.state


class SentConnection(Connection):
    """A connection that only remembers what it was to send."""

    def __init__(self) -> None:
        self.sent: list[Event] = []

    def send(self, events: Iterable[Event]) -> None:
        self.sent += events


def envelopes(*events: Event) -> list[Envelope]:
    place = ("gateway.venue", 1, 1)
    return [Envelope(place, None, (*place, 0), 0, event) for event in events]


def test_each_request_is_meant_for_the_logon_after_which_it_was_emitted() -> None:
    connection = SentConnection()
    port = SessionPort(connection, "kaiju", 4)

    order, handled = resting_order(), ReportsHandled("kaiju", 5, 16)
    port.perform(envelopes(order, SessionBegan(5), CANCEL))
    port.perform(envelopes(order, handled))

    assert connection.sent == [
        SessionRequest("kaiju", 4, 0, order),
        SessionRequest("kaiju", 5, 0, CANCEL),
        SessionRequest("kaiju", 5, 0, order),
        handled,
    ]


def test_an_order_alone_may_leave_only_until_a_moment() -> None:
    connection = SentConnection()
    port = SessionPort(connection, "kaiju", 4, lambda _order, _root: LeaveBy(7, "too old"))

    order = resting_order()
    port.perform(envelopes(order, CANCEL))

    assert connection.sent == [
        DatedRequest(SessionRequest("kaiju", 4, 0, order), 7, "too old"),
        SessionRequest("kaiju", 4, 0, CANCEL),
    ]


def test_what_is_too_old_when_it_is_its_turn_is_not_sent_and_takes_no_number() -> None:
    talk, order = OrderSession("kaiju", -1), resting_order()
    talk.hear(accepted(1))
    late = DatedRequest(meant(order, 1), time.monotonic_ns() - 1, "too old")
    early = DatedRequest(meant(order, 1), FOREVER, "too old")

    assert talk.say(late) is None
    assert talk.unsent(late) == RequestUnsent(1, order, "too old")
    assert talk.say(early) == SessionRequest("kaiju", 1, 1, order)
    assert talk.unsent(early) == RequestUnsent(1, order)


def meant(body: VenueRequest, incarnation: int) -> SessionRequest:
    return SessionRequest("kaiju", incarnation, 0, body)


def logon(talk: OrderSession) -> tuple[bool, int]:
    greeting = talk.greeting()
    assert isinstance(greeting, Logon)
    return greeting.again, greeting.after


def test_a_session_says_what_it_has_and_is_ready_once_it_has_what_it_missed() -> None:
    talk = OrderSession("kaiju", 4)
    assert logon(talk) == (False, 4)

    assert talk.hear(accepted(1, after=4, last=6)) == accepted(1, after=4, last=6)
    assert not talk.ready
    assert talk.hear(numbered(5)) == numbered(5)
    assert not talk.ready
    talk.hear(numbered(6))
    assert talk.ready
    assert logon(talk) == (True, 6)
    assert not talk.ready


def test_a_missing_report_ends_the_connection() -> None:
    talk = OrderSession("kaiju", 4)
    talk.hear(accepted(1, after=4, last=4))

    with pytest.raises(ConnectionEndedError, match="report 5 is missing, 6 came"):
        talk.hear(numbered(6))
    assert logon(talk) == (True, 4)


def test_requests_are_numbered_and_never_sent_in_another_logon() -> None:
    talk = OrderSession("kaiju", -1)
    order = resting_order()
    talk.greeting()
    assert talk.say(meant(order, 1)) is None

    talk.hear(accepted(1))
    assert talk.say(meant(order, 1)) == SessionRequest("kaiju", 1, 1, order)
    assert talk.say(meant(CANCEL, 1)) == SessionRequest("kaiju", 1, 2, CANCEL)

    talk.greeting()
    assert talk.say(meant(order, 1)) is None
    talk.hear(accepted(2))
    assert talk.say(meant(order, 1)) is None
    assert talk.say(meant(order, 2)) == SessionRequest("kaiju", 2, 1, order)
    assert talk.unsent(meant(order, 1)) == RequestUnsent(1, order)
    assert talk.unsent(ReportsHandled("kaiju", 1, 16)) is None


@pytest.mark.parametrize(
    ("event", "final"),
    [
        (LogonRefused(b"", "kaiju", "why", final=False), False),
        (LogonRefused(b"", "kaiju", "why", final=True), True),
        (SessionEnded(b"", "kaiju", 1, "why"), False),
    ],
)
def test_a_refusal_ends_the_connection_and_a_final_one_for_good(event: Event, final: bool) -> None:
    with pytest.raises(ConnectionEndedError, match="why") as caught:
        OrderSession("kaiju", 4).hear(event)
    assert caught.value.final is final


def test_a_gateway_that_lacks_a_report_logs_on_again() -> None:
    talk = OrderSession("kaiju", 0)
    assert talk.say(LogonNeeded("why")) is None

    talk.hear(accepted())
    with pytest.raises(ConnectionEndedError, match="why"):
        talk.say(LogonNeeded("why"))


def test_a_subscription_asks_for_books_only_while_it_is_welcome() -> None:
    talk, book = MarketDataSession(), RequestSnapshot("BTCUSDT.SIM")
    assert talk.greeting() == Subscribe()
    assert talk.say(book) is None

    assert talk.hear(Subscribed()) is None
    assert talk.ready
    assert talk.say(book) == book
    talk.greeting()
    assert talk.say(book) is None


def test_a_feed_passes_on_what_comes_and_asks_for_books_of_each_new_connection() -> None:
    kit = ActorTest(VenueFeed, name="feed", instruments=[BTCUSDT, ETHUSDT])
    books = [RequestSnapshot("BTCUSDT.SIM"), RequestSnapshot("ETHUSDT.SIM")]
    up, down = ConnectionEstablished("feed"), ConnectionLost("feed", "silence")
    quote = Quote("BTCUSDT.SIM", 1, 10, 1, 11, 1)
    damaged = MessageDiscarded("tcp://127.0.0.1:7100", 1, "malformed", "what it was")

    assert kit.started == books
    assert kit.given(up) == [up, *books]
    assert kit.given(quote, damaged, down) == [quote, damaged, down]
    assert [*kit.actor.snapshot("connection")] == [down]
    assert kit.given(ConnectionRestored("feed")) == [ConnectionRestored("feed"), *books]
    assert kit.given(books[0]) == [books[0]]


def test_after_a_recovery_a_feed_says_that_its_connection_is_gone() -> None:
    kit = ActorTest(VenueFeed, name="feed")
    assert kit.given(ActorRecovered("feed")) == []

    kit.given(ConnectionEstablished("feed"))
    assert kit.given(ActorRecovered("feed"), ActorRecovered("feed")) == [
        ConnectionLost("feed", "the feed's process began again")
    ]
