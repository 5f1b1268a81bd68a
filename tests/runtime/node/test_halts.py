"""Halts of a node: its own, those of its actors and those of other nodes."""

from __future__ import annotations

import logging

import pytest

from actors.events.event import Event
from actors.events.system import HaltTrading, ResumeTrading
from actors.runtime.node.halts import Halts
from actors.runtime.trading_state import HaltEntries

LOSS = HaltTrading("the day's loss", "risk-0-1", owner="risk", since=1)
OVERFILL = HaltTrading("overfill", "oms-0-1", owner="oms", instrument="BTCUSDT.SIM", since=1)


class NodeWithHalts:
    """Halts of one node, its control journal, and the nodes that follow it."""

    def __init__(self, name: str, kept: HaltEntries | None = None) -> None:
        self.name, self.kept = name, kept or HaltEntries()
        self.said: list[Event] = []
        self.halts = Halts(self._announce)
        self.followers: list[NodeWithHalts] = []
        self.halts.on_own_change = self._publish
        if kept is not None:
            self.halts.restore(list(kept.entries.values()))

    def _announce(self, event: Event) -> None:
        self.said.append(event)
        if isinstance(event, HaltTrading):
            self.kept.take(event)
        elif isinstance(event, ResumeTrading):
            self.kept.lift(event)

    def _publish(self, entries: tuple[HaltTrading, ...]) -> None:
        for follower in self.followers:
            follower.halts.follow(self.name, entries)

    def connect(self, other: NodeWithHalts) -> None:
        self.followers, other.followers = [other], [self]
        other.halts.follow(self.name, self.halts.own)
        self.halts.follow(other.name, other.halts.own)


def two_nodes() -> tuple[NodeWithHalts, NodeWithHalts]:
    core, md = NodeWithHalts("core"), NodeWithHalts("md")
    core.connect(md)
    return core, md


def test_a_halt_is_not_echoed_by_a_node_that_was_killed_meanwhile() -> None:
    core, md = two_nodes()
    core.halts.halt("by hand")
    assert md.halts.reason == "node core: by hand"
    md = NodeWithHalts("md", md.kept)
    core.followers = []
    assert (md.halts.reason, md.halts.own) == ("node core: by hand", ())
    core.halts.resume("seen")
    core.connect(md)

    assert (core.halts.reason, md.halts.reason) == ("", "")
    assert core.kept.entries == md.kept.entries == {}


def kept_from_before(reason: str) -> HaltEntries:
    """Return what a control journal holds that was written before entries had owners and ids."""
    kept = HaltEntries()
    kept.take(HaltTrading(reason))
    return kept


def test_a_copy_in_a_journal_of_before_is_not_echoed_and_ends_with_its_halt() -> None:
    core, md = NodeWithHalts("core"), NodeWithHalts("md", kept_from_before("node core: by hand"))
    assert md.halts.own == ()
    assert md.halts.lifted_by == "node core, where it began"
    core.connect(md)

    assert (core.halts.reason, md.halts.reason) == ("", "")
    assert core.said == []
    assert md.kept.entries == {}


def test_a_copy_in_a_journal_of_before_lasts_while_its_halt_does() -> None:
    core = NodeWithHalts("core", kept_from_before("by hand"))
    md = NodeWithHalts("md", kept_from_before("node core: by hand"))
    core.connect(md)
    assert md.halts.resume("seen") != ""
    assert md.halts.reason == "node core: by hand"
    assert md.said == []
    core.halts.resume("seen")

    assert (core.halts.reason, md.halts.reason) == ("", "")
    assert core.kept.entries == md.kept.entries == {}


def test_a_node_publishes_its_own_entries_alone() -> None:
    core, md = two_nodes()
    md.halts.halt("by hand")
    core.halts.hear("risk", LOSS)

    assert [entry.reason for entry in core.halts.own] == ["the day's loss"]
    assert [entry.reason for entry in md.halts.own] == ["by hand"]
    core.halts.resume("seen")
    assert core.halts.reason == "node md: by hand"
    assert [type(event) for event in core.said] == [HaltTrading, HaltTrading, ResumeTrading]
    md.halts.resume("seen")
    assert core.halts.reason == md.halts.reason == ""


def test_a_halt_of_one_instrument_is_one_on_other_nodes_too() -> None:
    core, md = two_nodes()
    core.halts.hear("oms", OVERFILL)

    assert md.kept.reason() == ""
    assert md.kept.reason(instrument="BTCUSDT.SIM") == "node core: overfill"
    core.halts.hear("oms", ResumeTrading("confirmed", "oms-0-1", owner="oms"))
    assert md.kept.entries == core.kept.entries == {}


def test_an_actor_lifts_its_own_entries_and_no_others() -> None:
    core, _ = two_nodes()
    core.halts.halt("by hand")
    core.halts.hear("risk", LOSS)
    core.halts.hear("oms", ResumeTrading("over", "risk-0-1", owner="risk"))
    assert [entry.reason for entry in core.halts.own] == ["by hand", "the day's loss"]
    core.halts.hear("risk", ResumeTrading("over", "risk-0-1", owner="risk"))

    assert core.kept.entries == {"by hand": HaltTrading("by hand")}


def test_a_halt_of_a_node_that_was_not_heard_since_the_start_is_lifted_by_hand() -> None:
    core, md = two_nodes()
    core.halts.halt("by hand")
    alone = NodeWithHalts("md", md.kept)
    alone.halts.resume("core is no more")

    assert alone.halts.reason == ""
    assert alone.kept.entries == {}


def test_each_lift_is_logged_with_who_and_why(caplog: pytest.LogCaptureFixture) -> None:
    core, md = two_nodes()
    core.halts.halt("by hand")
    core.halts.hear("oms", OVERFILL)
    md.halts.wait_for_disk("the journal", OSError("full"))
    with caplog.at_level(logging.WARNING):
        core.halts.hear("oms", ResumeTrading("confirmed", "oms-0-1"))
        md.halts.wait_for_disk("the journal", None)
        core.halts.resume("`kaiju resume`", by="ann", why="looked at it")

    before = "trading resumed: "
    lifted = [t.removeprefix(before) for t in caplog.messages if t.startswith(before)]
    full = "the disk is full or fails: full"
    assert lifted == [
        "node core has resumed; by node core; lifted: node core: overfill (BTCUSDT.SIM)",
        "confirmed; by oms; lifted: overfill (BTCUSDT.SIM)",
        f"node md has resumed; by node md; lifted: node md: {full}",
        f"the disk takes what the journal has again; by the disk; lifted: {full}",
        "node core has resumed; by node core; lifted: node core: by hand",
        "`kaiju resume`; by ann; lifted: by hand; why: looked at it",
    ]


def test_the_log_says_by_what_a_halt_is_lifted_and_who_resumed_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    core, _ = two_nodes()
    with caplog.at_level(logging.WARNING):
        core.halts.hear("risk", LOSS)
        core.halts.resume("an operator asked for it (SIGUSR2)")

    resumed = "trading resumed: an operator asked for it (SIGUSR2); by an operator; lifted: "
    assert caplog.messages == [
        "trading halted: the day's loss; raised by risk; lifted by: an operator who resumes",
        "trading halted: node core: the day's loss; lifted by: node core, where it began",
        "trading resumed: node core has resumed; by node core; lifted: node core: the day's loss",
        resumed + "the day's loss",
    ]
