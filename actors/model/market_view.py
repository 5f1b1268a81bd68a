"""What a decision may know of the market: tops of LIVE books, and nothing of any other."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from actors.events.event import Event
from actors.events.market import BookState, BookStateChanged, TopOfBook


class MarketView(msgspec.Struct):
    """The newest usable top of every book.

    Tops and states come on two streams, so a top from before a gap may arrive after it. While a
    book is known not to be LIVE its tops are therefore ignored, and leaving LIVE forgets the one
    that was there: the first top after LIVE makes the book usable again. A topology that wires
    only tops is served too, because a top is published by a LIVE book alone.
    """

    tops: dict[str, TopOfBook] = {}
    """Newest top by instrument; missing while its book must not be used."""
    marks: dict[str, int] = {}
    """Last mid of a two-sided LIVE book by instrument, in half price units."""
    down: dict[str, BookState] = {}
    """Books that are known not to be LIVE."""

    def take(self, top: TopOfBook) -> bool:
        """Keep a top unless its book is down; return whether it was kept."""
        instrument = top.instrument
        if instrument in self.down:
            return False
        self.tops[instrument] = top
        bid_px, ask_px = top.bid_px, top.ask_px
        if bid_px and ask_px:
            self.marks[instrument] = bid_px + ask_px
        return True

    def forget(self, missed: Iterable[type[Event]]) -> bool:
        """Let no book be used before its next top, where tops or states may have been missed.

        States are kept: one that is not true any more makes a book usable later than it might
        be, never sooner, because tops come from LIVE books alone.

        Args:
            missed: classes that a stream carried which was reset.

        Returns:
            Whether books were forgotten.
        """
        concerned = any(event_class in (TopOfBook, BookStateChanged) for event_class in missed)
        if concerned:
            self.tops.clear()
        return concerned

    def note(self, change: BookStateChanged) -> bool:
        """Keep the state of a book; return whether the book is LIVE."""
        if change.state is BookState.LIVE:
            self.down.pop(change.instrument, None)
            return True
        self.down[change.instrument] = change.state
        self.tops.pop(change.instrument, None)
        return False
