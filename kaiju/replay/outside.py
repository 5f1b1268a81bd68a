"""The recorded outside of a repeated run, and the pairing of its orders with the recorded ones.

The venue's answers are those of the recorded run, with the ids of its orders. Ids are counters, so
one order more or less shifts all later ids: an answer goes to the order that is equal but for its
id and the time at which it was decided, and never to another one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from pydantic import ConfigDict

from actors.events.event import Event, tag_of
from actors.events.order_words import ExecType
from actors.events.orders import SubmitOrder
from actors.events.system import TimerFired
from actors.events.venue import ExecutionReport, NewOrderSingle
from actors.model.rejection import rejection
from actors.runtime import codec
from actors.runtime.actor import Actor, handles
from actors.runtime.stream_name import owner_of
from kaiju.record.record import Record

UNPAIRED = "recorded: "
"""Prefix of the ids of orders that only the recorded run made."""
NO_ANSWER = "the recorded run did not make this order, so nobody knows what the venue would answer"
REPORT = tag_of(ExecutionReport)
EXEC_TYPE = 1 + ExecutionReport.__struct_fields__.index("exec_type")
ANSWER_AFTER = 1_000_000
"""Nanoseconds until that answer: a strategy that retries at once must not stop time."""


class RecordedOrders(NamedTuple):
    """Ids of the recorded run's orders."""

    made: Collection[str]
    sent: Collection[str]
    """Orders that were sent to the venue."""
    prefix: bytes
    """Common prefix of all ids."""


class OrderPairing:
    """Pairs each order of a repeated run with its counterpart in the recorded run.

    Args:
        recorded: the orders of the recorded run.
        ids: their ids by content or, if `timed`, by time and content.
        timed: whether only orders of the same time are paired.
    """

    def __init__(
        self, recorded: RecordedOrders, ids: Mapping[Hashable, Iterable[str]], *, timed: bool
    ) -> None:
        self.made: dict[Hashable, list[str]] = defaultdict(list)
        """Ids of the recorded orders, "" for none, by time and content of the orders made."""
        self._recorded = recorded
        self._waiting = {key: deque(orders) for key, orders in ids.items()}
        self._timed = timed
        self._here: dict[str, str] = {}
        self._answered: set[str] = set()
        self._sent: set[str] = set()

    @classmethod
    def in_record(cls, record: Record) -> OrderPairing:
        """Pair with the orders of a record, equal ones in order.

        Times do not count, because a live run does everything a little later.

        Raises:
            DamagedFileError: the record is damaged.
        """
        made: set[str] = set()
        sent: set[str] = set()
        ids: dict[Hashable, list[str]] = defaultdict(list)
        for _, event in record.events(SubmitOrder, NewOrderSingle):
            if isinstance(event, SubmitOrder):
                made.add(event.client_order_id)
                ids[_content(event)].append(event.client_order_id)
            elif isinstance(event, NewOrderSingle):
                sent.add(event.client_order_id)
        return cls(RecordedOrders(made, sent, _common_prefix(made).encode()), ids, timed=False)

    def again(self) -> OrderPairing:
        """Return a pairing by time for another run, which is compared with this one."""
        return OrderPairing(self._recorded, self.made, timed=True)

    def note(self, order: SubmitOrder, time: int) -> None:
        """Pair an order that was made here at `time`, UTC nanoseconds."""
        content = _content(order)
        waiting = self._waiting.get((time, content) if self._timed else content)
        recorded = waiting.popleft() if waiting else ""
        self.made[time, content].append(recorded)
        if recorded:
            self._here[recorded] = order.client_order_id
        if recorded in self._recorded.sent:
            self._answered.add(order.client_order_id)

    def note_sent(self, client_order_id: str) -> None:
        """Take an order that a gateway sent here: reports of it are its own."""
        self._sent.add(client_order_id)

    def has_answers(self, client_order_id: str) -> bool:
        """Tell whether the recorded run sent this order to the venue."""
        return client_order_id in self._answered

    def translated(self, encoded: bytes) -> bytes:
        """Return an outside event with the ids that its orders have here."""
        if not self._recorded.made or self._recorded.prefix not in encoded:
            return encoded
        return codec.encode(self._renamed(codec.decode(encoded)))

    def _renamed(self, value: Any) -> Any:
        if isinstance(value, str) and value in self._recorded.made:
            return self._here.get(value, UNPAIRED + value)
        if isinstance(value, list):
            renamed = [self._renamed(item) for item in value]
            return self._without_trade(renamed) if value[:1] == [REPORT] else renamed
        if isinstance(value, dict):
            return {key: self._renamed(item) for key, item in value.items()}
        return value

    def _without_trade(self, report: list[Any]) -> list[Any]:
        """Let an order that was not sent here neither work nor trade: reports say that it ended."""
        sent = report[1] in self._sent
        if not sent and report[EXEC_TYPE] in (ExecType.NEW, ExecType.TRADE):
            report[EXEC_TYPE] = ExecType.CANCELED
        return report


class Moment(Event):
    """An outside input is due now."""


class RecordedOutside(Actor):
    """Replays the outside inputs, and rejects orders to which there is no answer."""

    class Settings(Actor.Settings):
        """Given by the repeated run, not by a topology file."""

        model_config = ConfigDict(arbitrary_types_allowed=True)

        pairing: OrderPairing
        """Pairs each order."""
        arrivals: Callable[[], Iterator[tuple[int, Event]]]
        """Returns the moments of the inputs; posts an input when asked for the item after it."""
        post: Callable[[str, Event], object]
        """Posts an event to the inbox of the actor with this name."""

    class State(msgspec.Struct):
        """(gateway, order) of the orders about to be rejected, by id."""

        unanswered: dict[str, tuple[str, NewOrderSingle]] = {}

    settings: Settings
    state: State

    def source(self) -> Iterator[tuple[int, Event]]:
        """Return the moments of the outside inputs."""
        return self.settings.arrivals()

    @handles(Moment)
    def on_moment(self, _moment: Moment) -> None:
        """Do nothing: the input was posted already."""

    @handles(SubmitOrder)
    def on_submit_order(self, order: SubmitOrder) -> None:
        """Pair the order with one of the recorded run."""
        self.settings.pairing.note(order, self.envelope.time)

    @handles(NewOrderSingle)
    def on_new_order(self, order: NewOrderSingle) -> None:
        """Reject, after a moment, an order that the recorded run did not send."""
        self.settings.pairing.note_sent(order.client_order_id)
        if not self.settings.pairing.has_answers(order.client_order_id):
            gateway = owner_of(self.envelope.id[0])
            self.state.unanswered[order.client_order_id] = (gateway, order)
            self.set_timer(order.client_order_id, ANSWER_AFTER)

    @handles(TimerFired)
    def on_timer(self, timer: TimerFired) -> None:
        """Send the rejection to the gateway as if it came from the venue."""
        gateway, order = self.state.unanswered.pop(timer.name)
        exec_id = UNPAIRED + order.client_order_id
        self.settings.post(gateway, rejection(order, NO_ANSWER, exec_id=exec_id, now=self.now))


def _common_prefix(texts: Collection[str]) -> str:
    first, last = min(texts, default=""), max(texts, default="")
    pairs = zip(first, last, strict=False)
    return first[: next((n for n, (a, b) in enumerate(pairs) if a != b), len(first))]


def _content(order: SubmitOrder) -> Hashable:
    return msgspec.structs.astuple(msgspec.structs.replace(order, client_order_id="", decided_at=0))
