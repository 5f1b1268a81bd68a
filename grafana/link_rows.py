"""The rows of the dashboard about links between nodes."""

from __future__ import annotations

from grafana.panels import Query, Row, Words, bands, lines
from grafana.promql import (
    numbered,
    quantile,
)

LINK_STATES: Words = {
    0: ("CONNECTING", "red"),
    1: ("REFUSED", "dark-red"),
    2: ("RESUMING", "orange"),
    3: ("CATCHING_UP", "yellow"),
    4: ("LIVE", "green"),
}


def link_row() -> Row:
    """Return the row that says whether links carry events, and how far behind they are."""
    shown = numbered("kaiju_link_state", LINK_STATES, 'kind="input",')
    state = bands(
        "Streams of other nodes",
        "By the node that reads. LIVE: nothing is missing, and what is emitted next comes by"
        " itself.",
        Query(f"sum by (stream, node) ({shown})", "{{stream}} at {{node}}"),
        LINK_STATES,
    )
    behind = lines(
        "Events behind",
        "short",
        "All streams of one node to another: what has not come, and what was not handled there as"
        " far as the reader has said. It says so four times a second, so that is never quite 0.",
        Query(
            'sum by (peer, node) (kaiju_link_behind{kind="input"})', "{{peer}} to {{node}}, to come"
        ),
        Query(
            'sum by (node, peer) (kaiju_link_behind{kind="output"})',
            "{{node}} to {{peer}}, to be handled",
        ),
        reach=1,
    )
    delay = lines(
        "Delay",
        "s",
        "From when a live frame left one node until the other took it in. It compares two clocks:"
        " between machines it is as good as they agree. Buckets double in width.",
        *(
            Query(
                quantile(q, "kaiju_link_delay_seconds", "peer, node"),
                f"{{{{peer}}}} to {{{{node}}}} p{100 * q:g}",
            )
            for q in (0.5, 0.99)
        ),
        log=True,
    )
    return Row("Links", 10, [(8, state), (8, behind), (8, delay)])


def link_trouble_row() -> Row:
    """Return the row of what links lost, refused and began again."""
    again = lines(
        "Begun again",
        "short",
        "Since the start, by the node that reads. Gaps: frames that were missing. Resumes: what"
        " was missing was asked for, once for each stream at the start too. Resets: it will never"
        " come. Redials: connections made anew after silence.",
        *(
            Query(f"sum by (node) (kaiju_link_{what}_total)", f"{what} at {{{{node}}}}")
            for what in ("gaps", "resumes", "resets", "redials")
        ),
        reach=1,
    )
    refused = lines(
        "Refused, malformed and unsent",
        "short",
        "Since the start. Refused: a key of a stranger, a handshake without encryption or whose"
        " connection broke meanwhile, a stream or a request of who may not have it. Malformed: what"
        " could not be read. Unsent: messages that found a full queue or nobody there; live frames"
        " that are lost so are gaps of who reads.",
        Query("sum by (node, what) (kaiju_link_refused_total)", "{{what}} refused by {{node}}"),
        Query("sum by (node) (kaiju_link_malformed_total)", "malformed at {{node}}"),
        Query("sum by (node) (kaiju_link_unsent_total)", "unsent by {{node}}"),
        reach=1,
    )
    return Row("", 8, [(12, again), (12, refused)])
