"""Writes the dashboard that Grafana is provisioned with: ``python -m grafana.dashboard``.

Prometheus gives all that it reads of a node the label ``node``. What nodes share is added up over
them, what each has for itself is shown node by node.
"""

from __future__ import annotations

import json
from pathlib import Path

from grafana.link_rows import link_row, link_trouble_row
from grafana.panels import Json, Query, Row, Words, bands, dashboard, figure, lines, table, verdict
from grafana.promql import (
    FILLS,
    FINISHED,
    MID,
    PER,
    POSITION,
    POSITION_VALUE,
    SUBMITTED,
    counted,
    numbered,
    quantile,
)

FILE = Path(__file__).parent / "dashboards" / "trading.json"

UP_OR_DOWN: Words = {0: ("DOWN", "red"), 1: ("UP", "green")}
ON_OR_HALTED: Words = {0: ("ON", "green"), 1: ("HALTED", "red")}
BOOK_STATES: Words = {
    0: ("EMPTY", "text"),
    1: ("BUFFERING", "blue"),
    2: ("LIVE", "green"),
    3: ("STALE", "orange"),
    4: ("GAP", "red"),
}
WHY_NOT_HANDLED = (
    "Unhandled: the reader has no handler for the class. Conflated: a newer value came before its "
    "turn. Dropped: lost, with a reason."
)


def build() -> Json:
    """Return the dashboard."""
    rows = [
        _well(),
        _money(),
        _orders(),
        _market_data(),
        _speed(),
        link_row(),
        link_trouble_row(),
        _load(),
        _durability(),
        _losses(),
    ]
    return dashboard("kaiju-trading", "kaiju: trading", rows)


def _well() -> Row:
    tiles = [*_what_is_wrong(), *_what_is_done()]
    return Row("", 4, list(zip((4, 4, 2, 2, 2, 3, 2, 2, 3), tiles, strict=True)))


def _what_is_wrong() -> list[Json]:
    return [
        verdict(
            "Node",
            "Whether the node answered the last scrape.",
            Query('up{job="kaiju"}', "{{node}}"),
            UP_OR_DOWN,
        ),
        verdict(
            "Trading",
            "HALTED: no new orders until an operator resumes, or a full disk has room.",
            Query("kaiju_trading_halted", "{{node}}"),
            ON_OR_HALTED,
        ),
        figure(
            "Alerts",
            "short",
            "How many of Prometheus's alerts fire; it shows them on its page /alerts.",
            Query('sum(ALERTS{alertstate="firing"}) or vector(0)'),
            red_from=1,
        ),
        figure(
            "Handlers that raised",
            "short",
            "Since the start. Each is a bug; on the order path it halts trading.",
            Query(counted("kaiju_actor_failures_total")),
            red_from=1,
        ),
        figure(
            "Dead letters",
            "short",
            "Since the start: events that no handler finished.",
            Query(counted("kaiju_dead_letters_total")),
            red_from=1,
        ),
    ]


def _what_is_done() -> list[Json]:
    order_p99 = quantile(0.99, "kaiju_tick_to_order_seconds", "actor")
    return [
        figure(
            "Events",
            "eps",
            "Events handled by all actors of a node together, a second.",
            Query(f"sum by (node) (rate(kaiju_steps_total{PER}))", "{{node}}"),
        ),
        figure(
            "Fills",
            "short",
            "Executions since the start, whole and partial.",
            Query(counted(FILLS)),
        ),
        figure(
            "Net PnL",
            "locale",
            "All strategies: realized + unrealized - fees, in each settlement currency.",
            Query('sum by (currency) (kaiju_pnl{part="net"})', "{{currency}}"),
        ),
        figure(
            "Tick to order, p99",
            "s",
            "From an outside event's arrival to the gateway's turn on the order that it led to.",
            Query(order_p99, "{{actor}}"),
        ),
    ]


def _money() -> Row:
    net = lines(
        "Net PnL",
        "locale",
        "Realized + unrealized - fees, marked at the middle of the book.",
        Query('sum by (strategy, currency) (kaiju_pnl{part="net"})', "{{strategy}} {{currency}}"),
    )
    parts = lines(
        "Parts of the PnL",
        "locale",
        "All strategies; net = realized + unrealized - fees.",
        Query("sum by (part, currency) (kaiju_pnl)", "{{part}} {{currency}}"),
    )
    value = lines(
        "Position at the middle price",
        "locale",
        "Quantity times mid, in the quote currency, so that instruments can be compared.",
        Query(POSITION_VALUE, "{{strategy}} {{instrument}}"),
    )
    position = table(
        "Position",
        "Whole quantity, now.",
        "quantity",
        Query(POSITION),
    )
    return Row("Money", 9, [(6, net), (6, parts), (7, value), (5, position)])


def _orders() -> Row:
    working = lines(
        "Working orders",
        "short",
        "Submitted and not yet filled, canceled, rejected or expired.",
        Query(f"{SUBMITTED} - ({FINISHED} or 0 * {SUBMITTED})", "{{strategy}}"),
    )
    states = lines(
        "Orders by state",
        "suffix:/s",
        "What happened to orders, a second. Denied: by our own risk; rejected: by the venue;"
        " unknown: the venue is asked what became of them.",
        Query(f"sum by (state) (rate(kaiju_orders_total{PER}))", "{{state}}"),
    )
    fills = lines(
        "Fills",
        "suffix:/s",
        "Executions a second, whole and partial.",
        Query(f"sum by (strategy) (rate({FILLS}{PER}))", "{{strategy}}"),
    )
    return Row("Orders", 8, [(8, working), (8, states), (8, fills)])


def _market_data() -> Row:
    state = bands(
        "Book state",
        "Only a LIVE book is used for decisions.",
        Query(
            f"sum by (instrument, node) ({numbered('kaiju_book_state', BOOK_STATES)})",
            "{{instrument}} at {{node}}",
        ),
        BOOK_STATES,
    )
    age = lines(
        "Age of market data",
        "s",
        "Since the best bid or offer changed, and since the newest event of a feed.",
        Query("max by (instrument) (kaiju_book_age_seconds)", "{{instrument}}"),
        Query("max by (stream) (kaiju_feed_age_seconds)", "{{stream}}"),
        reach=1,
    )
    width = 'avg by (instrument) (kaiju_book_top{side="ask"})'
    width += ' - avg by (instrument) (kaiju_book_top{side="bid"})'
    spread = lines(
        "Spread",
        "percentunit",
        "Best offer less best bid, as a part of the middle price.",
        Query(f"({width}) / {MID}", "{{instrument}}"),
    )
    return Row("Market data", 8, [(8, state), (8, age), (8, spread)])


def _speed() -> Row:
    sampled = "Buckets double in width: a quantile is right within a factor of two."
    order = lines(
        "Tick to order",
        "s",
        "From an outside event's arrival to the gateway's turn on the order that it led to. "
        f"{sampled}",
        *(
            Query(
                quantile(q, "kaiju_tick_to_order_seconds", "actor"), f"{{{{actor}}}} p{100 * q:g}"
            )
            for q in (0.5, 0.99, 0.999)
        ),
        log=True,
    )
    arrival = lines(
        "Arrival to an actor's turn, p99",
        "s",
        f"From an outside event's arrival until the actor took what it led to. {sampled}",
        Query(quantile(0.99, "kaiju_since_arrival_seconds", "actor"), "{{actor}}"),
        log=True,
    )
    handle = lines(
        "Handle time, p99",
        "s",
        "How long handlers ran. Every event is timed on the order path and at sources, one in "
        f"sixteen elsewhere. {sampled}",
        Query(quantile(0.99, "kaiju_handle_seconds", "actor"), "{{actor}}"),
        log=True,
    )
    return Row("Speed", 9, [(8, order), (8, arrival), (8, handle)])


def _load() -> Row:
    events = lines(
        "Events by actor",
        "eps",
        "Events handled a second.",
        Query(f"sum by (reader) (rate(kaiju_edge_handled_total{PER}))", "{{reader}}"),
        stacked=True,
    )
    depth = lines(
        "Mailbox depth",
        "short",
        "Events waiting for an actor between two turns of the loop, at the moment of the scrape.",
        Query("kaiju_mailbox_depth", "{{actor}}"),
        reach=1,
    )
    process = lines(
        "Processor",
        "percentunit",
        "Share of one core that the node's process uses.",
        Query(f'rate(process_cpu_seconds_total{{job="kaiju"}}{PER})', "{{node}}"),
    )
    memory = lines(
        "Memory",
        "bytes",
        "Resident memory of the node's process.",
        Query('process_resident_memory_bytes{job="kaiju"}', "{{node}}"),
    )
    return Row("Load", 9, [(8, events), (8, depth), (4, process), (4, memory)])


def _durability() -> Row:
    written = lines(
        "Journals",
        "Bps",
        "Bytes of steps written a second, by actor.",
        Query(f"sum by (actor) (rate(kaiju_journal_bytes_total{PER}))", "{{actor}}"),
        stacked=True,
    )
    sync = lines(
        "Sync time",
        "s",
        "How long all journals took to sync together: what an order waits for at least where an "
        "actor is fsync. Buckets double in width.",
        *(
            Query(quantile(q, "kaiju_journal_sync_seconds", "node"), f"{{{{node}}}} p{100 * q:g}")
            for q in (0.5, 0.99)
        ),
        log=True,
    )
    group = lines(
        "Steps a sync",
        "short",
        "How many steps share one sync.",
        Query(
            f"rate(kaiju_journal_synced_steps_total{PER})"
            f" / rate(kaiju_journal_sync_seconds_count{PER})",
            "{{node}}",
        ),
    )
    held = figure(
        "Held steps",
        "short",
        "Steps that wait in memory for a disk that is full or fails; trading is halted meanwhile.",
        Query("kaiju_journal_held_steps", "{{node}}"),
        red_from=1,
    )
    recovered = figure(
        "Recovery",
        "s",
        "How long it took at the start to do again what the journals hold.",
        Query("kaiju_recovery_seconds", "{{node}}"),
    )
    return Row("Durability", 8, [(8, written), (6, sync), (4, group), (3, held), (3, recovered)])


def _losses() -> Row:
    def rate(why: str) -> Query:
        promql = f"rate(kaiju_edge_{why}_total{PER}) or 0 * rate(kaiju_steps_total{PER})"
        return Query(f"sum({promql})", why)

    over_time = lines(
        "Events not handled",
        "eps",
        f"A second, on all edges. {WHY_NOT_HANDLED}",
        *(rate(why) for why in ("unhandled", "conflated", "dropped")),
        reach=1,
    )
    failures = lines(
        "Failures",
        "short",
        "Since the start.",
        Query(counted("kaiju_actor_failures_total"), "handlers that raised"),
        Query(counted("kaiju_dead_letters_total"), "dead letters"),
        Query(counted("kaiju_messages_discarded_total"), "messages discarded"),
        Query("max(kaiju_trading_halted)", "trading halted"),
        Query("max(kaiju_trading_state)", "strictest trading state (2 reducing, 3 halted, 4 kill)"),
        reach=1,
    )
    reasons = (
        'label_replace(kaiju_edge_unhandled_total, "why", "unhandled", "", "") or '
        'label_replace(kaiju_edge_conflated_total, "why", "conflated", "", "") or '
        'label_join(kaiju_edge_dropped_total, "why", "", "reason")'
    )
    edges = table(
        "Events not handled, by edge",
        f"Since the start; an edge that is not here handled everything. {WHY_NOT_HANDLED}",
        "events",
        Query(f"sort_desc(sum by (stream, reader, why) ({reasons}) > 0)"),
    )
    return Row("Losses", 10, [(8, over_time), (6, failures), (10, edges)])


if __name__ == "__main__":
    FILE.write_text(json.dumps(build(), indent=2) + "\n", encoding="utf-8")
