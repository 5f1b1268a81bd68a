"""The venue's door: sessions, their requests and their reports, whoever connects and how often."""

from __future__ import annotations

import msgspec
import pytest

from actors.events.event import Event
from actors.events.market import DepthDiff, Quote, RequestSnapshot
from actors.events.order_words import ExecType, OrdStatus
from actors.events.system import MessageDiscarded
from actors.events.venue import (
    ExecutionReport,
    OrderCancelRequest,
    OrderMassCancelRequest,
    OrderMassStatus,
    OrderMassStatusRequest,
    OrderStatus,
    OrderStatusRequest,
    TradeCaptureReport,
    TradeCaptureReportRequest,
)
from actors.testing import ActorTest
from gateways.simulated.engine.venue_orders import VenueRequest
from gateways.simulated.session.messages import (
    Logon,
    LogonAccepted,
    LogonRefused,
    NumberedReport,
    ReportsHandled,
    SessionEnded,
    SessionRequest,
    mark_of,
)
from gateways.simulated.session.server import VenueServer
from gateways.simulated.session.server_socket import LogonRequested
from tests.kit.builders import buy, report_fill, report_new
from tests.kit.venue_client import resting_order

HERE, THERE = b"\0here", b"\0there"
LEDGER = "0"
"""A session of virtual time."""


def logon(
    after: int = -1,
    *,
    session: str = "s",
    client: str = "one",
    again: bool = False,
    connection: bytes = HERE,
    **past: str,
) -> LogonRequested:
    plain = Logon(session, client, again=again, after=after)
    return LogonRequested(connection, msgspec.structs.replace(plain, **past))


def refused(kit: ActorTest, requested: LogonRequested) -> str:
    """Return why a logon is refused, for good."""
    [refusal] = kit.given(requested)
    assert isinstance(refusal, LogonRefused)
    assert refusal.final
    return refusal.reason


def request(
    seq: int, body: VenueRequest, incarnation: int = 1, session: str = "s"
) -> SessionRequest:
    return SessionRequest(session, incarnation, seq, body)


def accepted_order(client_order_id: str = "A-1") -> ExecutionReport:
    return msgspec.structs.replace(report_new(buy(3)), client_order_id=client_order_id)


def filled_order(client_order_id: str = "A-1") -> ExecutionReport:
    report = report_fill(buy(3), 3)
    return msgspec.structs.replace(report, client_order_id=client_order_id, leaves_qty=0)


@pytest.fixture
def kit() -> ActorTest:
    return ActorTest(VenueServer, name="door")


@pytest.fixture
def trading(kit: ActorTest) -> ActorTest:
    """Return a door at which session "s" has an order and one report of it."""
    kit.given(logon(), request(1, resting_order("A-1")), accepted_order("A-1"))
    return kit


def test_each_logon_has_a_new_incarnation_and_says_how_far_reports_go(kit: ActorTest) -> None:
    assert kit.given(logon(), logon(after=0)) == [
        LogonAccepted(HERE, "s", 1, 0, 0, LEDGER),
        LogonAccepted(HERE, "s", 2, 0, 0, LEDGER),
    ]


def test_requests_pass_in_order_and_once(kit: ActorTest) -> None:
    first, second = resting_order("A-1"), OrderCancelRequest("A-1", "BTCUSDT.SIM")
    kit.given(logon())

    assert kit.given(request(1, first), request(1, first), request(2, second)) == [
        first,
        MessageDiscarded("session s", 1, "repeated", "the request came before"),
        second,
    ]


def test_a_missing_request_ends_the_connection_until_the_next_logon(kit: ActorTest) -> None:
    kit.given(logon())
    missing = "request 1 is missing, 2 came"

    assert kit.given(request(2, resting_order())) == [
        MessageDiscarded("session s", 2, "gap", missing),
        SessionEnded(HERE, "s", 1, missing),
    ]
    kit.given(logon(after=0))
    assert kit.given(request(1, resting_order(), incarnation=2)) == [resting_order()]


def test_requests_of_an_older_incarnation_never_reach_the_exchange(kit: ActorTest) -> None:
    kit.given(logon(), logon(after=0))

    assert kit.given(request(1, resting_order(), incarnation=1)) == [
        MessageDiscarded("session s", 1, "fenced", "the request is of another incarnation")
    ]


def test_without_a_logon_nothing_passes(kit: ActorTest) -> None:
    assert kit.given(request(1, resting_order())) == [
        MessageDiscarded("session s", 1, "fenced", "the request is of another incarnation")
    ]
    assert kit.given(ReportsHandled("s", 1, 1)) == []


def test_reports_are_numbered_without_gaps_and_go_to_the_session_of_the_order(
    kit: ActorTest,
) -> None:
    kit.given(logon(), logon(session="t", connection=THERE))
    kit.given(request(1, resting_order("A-1")), request(1, resting_order("B-1"), session="t"))

    reports = [accepted_order("A-1"), accepted_order("B-1"), filled_order("A-1")]
    assert kit.given(*reports) == [
        NumberedReport("s", 1, reports[0]),
        NumberedReport("t", 1, reports[1]),
        NumberedReport("s", 2, reports[2]),
    ]


def test_a_logon_gets_every_report_after_the_one_that_it_names(trading: ActorTest) -> None:
    fill = filled_order()
    trading.given(fill)

    assert trading.given(logon(after=0)) == [
        LogonAccepted(HERE, "s", 2, 0, 2, LEDGER),
        NumberedReport("s", 1, accepted_order()),
        NumberedReport("s", 2, fill),
    ]
    assert trading.given(logon(after=1)) == [
        LogonAccepted(HERE, "s", 3, 1, 2, LEDGER),
        NumberedReport("s", 2, fill),
    ]
    assert trading.given(logon(after=2)) == [LogonAccepted(HERE, "s", 4, 2, 2, LEDGER)]


def test_a_logon_without_a_past_begins_behind_all_reports(trading: ActorTest) -> None:
    assert trading.given(logon(after=-1)) == [LogonAccepted(HERE, "s", 2, 1, 1, LEDGER)]
    assert trading.given(filled_order()) == [NumberedReport("s", 2, filled_order())]


def test_what_a_gateway_has_handled_is_not_kept(trading: ActorTest) -> None:
    trading.given(filled_order())
    assert trading.given(ReportsHandled("s", 1, 1)) == []

    assert trading.state.sessions["s"].reports == [NumberedReport("s", 2, filled_order())]
    assert trading.given(logon(after=0)) == [
        LogonRefused(
            HERE,
            "s",
            "the gateway wants the reports after 0 and said before that it had 1: its own journal"
            " is an older copy",
            final=True,
        )
    ]


def test_a_process_that_lost_the_session_cannot_say_what_was_handled(trading: ActorTest) -> None:
    trading.given(logon(after=0, client="two"))

    assert trading.given(ReportsHandled("s", 1, 1)) == []
    assert trading.state.sessions["s"].reports == [NumberedReport("s", 1, accepted_order())]


def test_a_gateway_that_knows_more_than_the_ledger_is_refused(trading: ActorTest) -> None:
    assert trading.given(logon(after=2)) == [
        LogonRefused(
            HERE,
            "s",
            "the gateway has report 2 and this ledger ends at 1: it is another venue's, or an"
            " older copy",
            final=True,
        )
    ]


def test_a_gateway_that_traded_in_another_ledger_is_refused(trading: ActorTest) -> None:
    assert trading.given(logon(after=1, ledger=LEDGER))[0] == LogonAccepted(
        HERE, "s", 2, 1, 1, LEDGER
    )
    assert refused(trading, logon(after=-1, ledger="q7xk2b9d")) == (
        "the gateway has traded in the ledger q7xk2b9d, this one is 0"
    )


@pytest.mark.parametrize("handled", [0, 1])
def test_a_ledger_that_was_restored_and_went_on_is_known_by_what_a_report_said(
    trading: ActorTest, handled: int
) -> None:
    newest = mark_of(accepted_order())
    trading.given(ReportsHandled("s", 1, handled))
    assert trading.given(logon(after=1, newest=newest)) == [
        LogonAccepted(HERE, "s", 2, 1, 1, LEDGER)
    ]

    assert refused(trading, logon(after=1, newest="A-9 E-9 9")) == (
        f"report 1 was 'A-9 E-9 9' to the gateway and is {newest!r} here: the ledger or the"
        " gateway's journal is an older copy that went on"
    )


def test_a_journal_that_another_one_has_followed_is_refused(kit: ActorTest) -> None:
    kit.given(logon(journal="first"), logon(after=-1, client="two", journal="second"))

    assert refused(kit, logon(after=0, journal="first")) == (
        "the session goes on in the journal second, and this gateway's is first"
    )


def test_trades_are_told_to_the_session_that_asked_and_are_its_own(kit: ActorTest) -> None:
    asked = TradeCaptureReportRequest("q", "BTCUSDT.SIM")
    kit.given(logon(), logon(session="t", connection=THERE))
    kit.given(request(1, resting_order("A-1")), request(1, resting_order("B-1"), session="t"))

    assert kit.given(request(2, asked)) == [asked]
    ours, theirs = filled_order("A-1"), filled_order("B-1")
    assert kit.given(TradeCaptureReport("q", "BTCUSDT.SIM", (ours, theirs))) == [
        NumberedReport("s", 1, TradeCaptureReport("q", "BTCUSDT.SIM", (ours,)))
    ]


def test_another_process_takes_the_session_over_and_the_first_cannot_take_it_back(
    kit: ActorTest,
) -> None:
    kit.given(logon(client="one"))

    assert kit.given(logon(after=0, client="two", connection=THERE)) == [
        SessionEnded(HERE, "s", 1, "another process logged on"),
        LogonAccepted(THERE, "s", 2, 0, 0, LEDGER),
    ]
    assert kit.given(logon(after=0, client="one", again=True)) == [
        LogonRefused(HERE, "s", "another process has taken the session over", final=True)
    ]
    assert kit.given(logon(after=0, client="two", again=True, connection=THERE)) == [
        LogonAccepted(THERE, "s", 3, 0, 0, LEDGER)
    ]


def test_a_list_of_open_orders_names_the_askers_alone(kit: ActorTest) -> None:
    def status(client_order_id: str) -> OrderStatus:
        order = buy(3)
        return OrderStatus(
            client_order_id, "1", order.instrument, order.side, 3, OrdStatus.NEW, 0, 3
        )

    kit.given(logon(), logon(session="t"))
    kit.given(request(1, resting_order("A-1")), request(1, resting_order("B-1"), session="t"))
    kit.given(request(2, OrderMassStatusRequest("q"), session="t"))
    kit.given(request(2, OrderMassStatusRequest("q")))

    listing = OrderMassStatus("q", (status("A-1"), status("B-1")))
    assert kit.given(listing, listing) == [
        NumberedReport("t", 1, OrderMassStatus("q", (status("B-1"),))),
        NumberedReport("s", 1, OrderMassStatus("q", (status("A-1"),))),
    ]
    assert kit.state.askers == []


def test_the_answer_to_a_question_goes_to_whoever_asked(kit: ActorTest) -> None:
    answer = msgspec.structs.replace(accepted_order("C-1"), exec_type=ExecType.ORDER_STATUS)
    kit.given(logon(), request(1, OrderStatusRequest("C-1", "BTCUSDT.SIM")))

    assert kit.given(answer) == [NumberedReport("s", 1, answer)]


def test_a_report_of_nobodys_order_is_counted(kit: ActorTest) -> None:
    assert kit.given(accepted_order("X-1")) == []
    assert kit.state.unowned == 1


def test_memory_of_orders_is_bounded_and_keeps_every_working_one(kit: ActorTest) -> None:
    kit.given(logon(), request(1, resting_order("first")), accepted_order("first"))
    for n in range(2, 10_002):
        kit.given(request(n, resting_order(f"A-{n}")), accepted_order(f"A-{n}"))
        kit.given(filled_order(f"A-{n}"), ReportsHandled("s", 1, 2 * n - 1))

    assert len(kit.state.owners) <= 2 * 4096 + 2
    assert kit.state.working == {"first": True}
    assert kit.state.sessions["s"].reports == []
    assert kit.given(filled_order("first")) == [NumberedReport("s", 20_002, filled_order("first"))]


def test_market_data_and_requests_for_it_pass(kit: ActorTest) -> None:
    passing: list[Event] = [
        Quote("BTCUSDT.SIM", 1, 10, 1, 11, 1),
        DepthDiff("BTCUSDT.SIM", 2, 3, -1, (), ()),
        RequestSnapshot("BTCUSDT.SIM"),
        MessageDiscarded("tcp://127.0.0.1:7100", 3, "malformed", "what it was"),
    ]

    assert kit.given(*passing) == passing


def test_a_request_for_all_orders_needs_no_owner(kit: ActorTest) -> None:
    kit.given(logon())

    assert kit.given(request(1, OrderMassCancelRequest())) == [OrderMassCancelRequest()]
    assert kit.state.owners == {}


def test_sessions_survive_as_bytes(trading: ActorTest) -> None:
    state = trading.state

    encoded = msgspec.msgpack.encode(state)
    assert msgspec.msgpack.decode(encoded, type=VenueServer.State) == state
