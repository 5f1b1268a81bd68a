"""Frames between the venue and those who reach it: whatever comes is understood or refused."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.events.event import Event
from actors.events.market import DepthSnapshot, RequestSnapshot
from actors.events.venue import (
    OrderMassStatus,
    OrderMassStatusRequest,
    TradeCaptureReport,
    TradeCaptureReportRequest,
)
from actors.runtime import codec
from gateways.simulated.session.messages import (
    BEFORE,
    LARGEST_BODY,
    VERSION,
    ClientAlive,
    Codec,
    FrameError,
    FromVenue,
    Logon,
    LogonAccepted,
    LogonRefused,
    NotConnected,
    NumberedReport,
    ReportsHandled,
    SessionEnded,
    SessionRequest,
    Subscribe,
    Subscribed,
    ToVenue,
    VenueAlive,
    encode,
    encode_before,
    refusal_of_before,
)
from tests.kit.builders import buy, report_new
from tests.kit.venue_client import market_order, resting_order

TO_VENUE: list[Event] = [
    Logon("s", "c", again=True, after=-1),
    SessionRequest("s", 1, 1, resting_order()),
    SessionRequest("s", 1, 2, OrderMassStatusRequest("r")),
    SessionRequest("s", 1, 3, TradeCaptureReportRequest("r", "BTCUSDT.SIM", after="T-1")),
    Logon("s", "c", True, 9, False, "token", "journal", "ledger", "A-1 T-1 7"),
    ReportsHandled("s", 1, 16),
    Subscribe(),
    RequestSnapshot("BTCUSDT.SIM"),
    ClientAlive(),
]
FROM_VENUE: list[Event] = [
    LogonAccepted(b"\0\1", "s", 1, 0, 0, "ledger"),
    LogonRefused(b"\0\1", "s", "why", final=True),
    SessionEnded(b"\0\1", "s", 1, "why"),
    NumberedReport("s", 1, report_new(buy(1))),
    NumberedReport("s", 2, OrderMassStatus("r", ())),
    NumberedReport("s", 3, TradeCaptureReport("r", "BTCUSDT.SIM", (report_new(buy(1)),))),
    Subscribed(),
    DepthSnapshot("BTCUSDT.SIM", 7, ((10, 1),), ((11, 2),)),
    VenueAlive(),
    NotConnected(),
]


def reason(codec: Codec, frame: bytes) -> str:
    with pytest.raises(FrameError) as caught:
        codec.decode(frame)
    return caught.value.reason


def is_event_or_refused(frame: bytes) -> bool:
    try:
        return isinstance(Codec(ToVenue).decode(frame), Event)
    except FrameError as error:
        return error.reason in ("version", "malformed")


@pytest.mark.parametrize("event", TO_VENUE, ids=repr)
def test_what_is_said_to_the_venue_arrives_as_it_was(event: Event) -> None:
    assert Codec(ToVenue).decode(encode(event)) == event


@pytest.mark.parametrize("event", FROM_VENUE, ids=repr)
def test_what_the_venue_says_arrives_as_it_was(event: Event) -> None:
    assert Codec(FromVenue).decode(encode(event)) == event


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (b"", "version"),
        (bytes((VERSION + 1,)) + encode(ClientAlive())[1:], "version"),
        (bytes((VERSION,)), "malformed"),
        (bytes((VERSION,)) + b"\0" * LARGEST_BODY, "oversized"),
        (bytes((VERSION,)) + b"\x91" * 100_000, "malformed"),
        (bytes((VERSION,)) + b"\xdd\xff\xff\xff\xff", "malformed"),
        (encode(ClientAlive()) + b"\0", "malformed"),
        (encode(VenueAlive()), "malformed"),
        (encode(Logon("", "c", again=False, after=0)), "malformed"),
        (encode(Logon("s" * 65, "c", again=False, after=0)), "malformed"),
    ],
    ids=[
        "nothing",
        "another version",
        "no event",
        "too large",
        "a hundred thousand arrays in each other",
        "an array of four billion",
        "something behind the event",
        "an event of the other direction",
        "a session without a name",
        "a session with too long a name",
    ],
)
def test_a_frame_that_nobody_can_mean_is_refused_with_a_reason(frame: bytes, expected: str) -> None:
    assert reason(Codec(ToVenue), frame) == expected


def test_a_logon_of_the_version_before_is_refused_in_words_that_it_understands() -> None:
    logon = ["gateways.Logon", "s", "c", False, 3]  # all that version 1 has
    answer = refusal_of_before(bytes((BEFORE,)) + codec.encode(logon))

    assert answer is not None
    assert answer[0] == BEFORE
    assert codec.decode(answer[1:]) == [
        "gateways.LogonRefused",
        b"",
        "s",
        "this venue speaks version 2 of the wire, the client version 1",
        True,
    ]
    assert refusal_of_before(encode(Logon("s", "c", again=False, after=3))) is None
    assert refusal_of_before(encode_before(ClientAlive())) is None
    assert refusal_of_before(b"") is None


def test_a_number_beyond_64_bits_arrives() -> None:
    order = msgspec.structs.replace(market_order(), qty=10**30)
    request = SessionRequest("s", 1, 1, order)

    assert Codec(ToVenue).decode(encode(request)) == request


def test_a_number_in_another_form_than_ours_is_refused() -> None:
    order = msgspec.structs.replace(market_order(), qty=10**30)
    frame = encode(SessionRequest("s", 1, 1, order))
    wide = codec.encode(10**30)
    longer = frame.replace(wide, bytes([wide[0], wide[1] + 1, wide[2], 0]) + wide[3:])

    assert reason(Codec(ToVenue), longer) == "malformed"


def test_a_number_of_more_than_38_digits_is_refused() -> None:
    order = msgspec.structs.replace(market_order(), qty=10**38)

    assert reason(Codec(ToVenue), encode(SessionRequest("s", 1, 1, order))) == "malformed"


def test_what_would_not_be_taken_is_not_sent() -> None:
    bids = tuple((px, 2**40) for px in range(LARGEST_BODY // 8))

    with pytest.raises(ValueError, match=r"DepthSnapshot has \d+ bytes, allowed are"):
        encode(DepthSnapshot("BTCUSDT.SIM", 7, bids, ()))


@given(st.binary(max_size=200))
def test_no_bytes_whatever_do_more_than_be_refused(body: bytes) -> None:
    assert is_event_or_refused(body)
    assert is_event_or_refused(bytes((VERSION,)) + body)


@given(st.sampled_from(TO_VENUE), st.data())
def test_a_changed_byte_gives_an_event_or_a_refusal(event: Event, data: st.DataObject) -> None:
    frame = bytearray(encode(event))
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] = data.draw(st.integers(0, 255))

    assert is_event_or_refused(bytes(frame))
