"""What stands for the outside where a run is done again without it, and which order is which.

The venue's answers are those of the recorded run and bear the ids of its orders. Ids count, so one
order more or less gives all later ones other ids: an answer is given to the order that is the same
but for its id, and never to another one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from pydantic import ConfigDict

from actors.events.event import Event
from actors.events.orders import NewOrderSingle, SubmitOrder
from actors.events.system import TimerFired
from actors.model.rejection import rejection
from actors.runtime.actor import Actor, handles
from kaiju.record.record import Record

STRANGER = "recorded: "
"""Before the id of an order that was made in the recorded run only."""
NO_ANSWER = "the recorded run did not make this order, so nobody knows what the venue would answer"
ANSWER_AFTER = 1_000_000
"""Nanoseconds after which that is said: who tries again at once must not stop time."""


class RecordedOrders(NamedTuple):
    """Ids of the orders of the recorded run."""

    made: Collection[str]
    sent: Collection[str]
    """Those that its venue was sent."""
    prefix: bytes
    """What all of them begin with."""


class OrderPairing:
    """Finds for each order of a run done again which of the recorded run it is.

    Args:
        recorded: what the recorded run made.
        ids: of those orders that are paired, by what was wanted or, if `timed`, also when.
        timed: whether only an order of the same moment is the same.
    """

    def __init__(
        self, recorded: RecordedOrders, ids: Mapping[Hashable, Iterable[str]], *, timed: bool
    ) -> None:
        self.made: dict[Hashable, list[str]] = defaultdict(list)
        """Ids of the recorded orders by time and content of the orders made; "" for none."""
        self._recorded = recorded
        self._waiting = {key: deque(orders) for key, orders in ids.items()}
        self._timed = timed
        self._here: dict[str, str] = {}
        self._answered: set[str] = set()

    @classmethod
    def in_record(cls, record: Record) -> OrderPairing:
        """Pair with the orders of the recorded run: the first of a kind with the first.

        Moments play no part, because a live run does everything a little later.

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
        """Return the same for another run that is measured by this one, moment by moment."""
        return OrderPairing(self._recorded, self.made, timed=True)

    def note(self, order: SubmitOrder, time: int) -> None:
        """Take an order that was made here at `time`, UTC nanoseconds."""
        content = _content(order)
        waiting = self._waiting.get((time, content) if self._timed else content)
        recorded = waiting.popleft() if waiting else ""
        self.made[time, content].append(recorded)
        if recorded:
            self._here[recorded] = order.client_order_id
        if recorded in self._recorded.sent:
            self._answered.add(order.client_order_id)

    def has_answers(self, client_order_id: str) -> bool:
        """Tell whether the venue was sent this order in the recorded run."""
        return client_order_id in self._answered

    def translated(self, encoded: bytes) -> bytes:
        """Return an event from outside with the ids that the orders in it have here."""
        if not self._recorded.made or self._recorded.prefix not in encoded:
            return encoded
        return msgspec.msgpack.encode(self._renamed(msgspec.msgpack.decode(encoded)))

    def _renamed(self, value: Any) -> Any:
        if isinstance(value, str) and value in self._recorded.made:
            return self._here.get(value, STRANGER + value)
        if isinstance(value, list):
            return [self._renamed(item) for item in value]
        if isinstance(value, dict):
            return {key: self._renamed(item) for key, item in value.items()}
        return value


class Moment(Event):
    """Something comes from outside now."""


class RecordedOutside(Actor):
    """Brings what came from outside, and refuses the orders to which there is no answer."""

    class Settings(Actor.Settings):
        """What the run that is done again gives it; no topology file can."""

        model_config = ConfigDict(arbitrary_types_allowed=True)

        pairing: OrderPairing
        """Is told of each order."""
        arrivals: Callable[[], Iterator[tuple[int, Event]]]
        """Returns the moments at which something came; acts on the node when it is asked for what
        follows."""
        post: Callable[[str, Event], object]
        """Puts an event into the inbox of an actor, by its name."""

    class State(msgspec.Struct):
        """Orders that are about to be refused, by id, with the gateway that sent them."""

        unanswered: dict[str, tuple[str, NewOrderSingle]] = {}

    settings: Settings
    state: State

    def source(self) -> Iterator[tuple[int, Event]]:
        """Return the moments at which something came."""
        return self.settings.arrivals()

    @handles(Moment)
    def on_moment(self, _moment: Moment) -> None:
        """Do nothing: what came is where it belongs."""

    @handles(SubmitOrder)
    def on_submit_order(self, order: SubmitOrder) -> None:
        """Find out which order of the recorded run this is."""
        self.settings.pairing.note(order, self.envelope.time)

    @handles(NewOrderSingle)
    def on_new_order(self, order: NewOrderSingle) -> None:
        """Refuse in a moment what the venue never saw."""
        if not self.settings.pairing.has_answers(order.client_order_id):
            gateway = self.envelope.id[0].partition(".")[0]
            self.state.unanswered[order.client_order_id] = (gateway, order)
            self.set_timer(order.client_order_id, ANSWER_AFTER)

    @handles(TimerFired)
    def on_timer(self, timer: TimerFired) -> None:
        """Let the gateway hear the refusal as if the venue had said it."""
        gateway, order = self.state.unanswered.pop(timer.name)
        exec_id = STRANGER + order.client_order_id
        self.settings.post(gateway, rejection(order, NO_ANSWER, exec_id=exec_id, now=self.now))


def _common_prefix(texts: Collection[str]) -> str:
    first, last = min(texts, default=""), max(texts, default="")
    pairs = zip(first, last, strict=False)
    return first[: next((n for n, (a, b) in enumerate(pairs) if a != b), len(first))]


def _content(order: SubmitOrder) -> Hashable:
    return msgspec.structs.astuple(order)[1:]
