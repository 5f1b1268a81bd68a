"""What the dashboard asks Prometheus, and words for its numbers."""

from __future__ import annotations

from grafana.panels import Words

PER = "[$__rate_interval]"
MID = "avg by (instrument) (kaiju_book_top)"
POSITION = "sum by (strategy, instrument) (kaiju_position)"
POSITION_VALUE = f"{POSITION} * on (instrument) group_left () ({MID})"
FILLS = 'kaiju_orders_total{state=~"filled|partly_filled"}'
SUBMITTED = 'sum by (strategy) (kaiju_orders_total{state="submitted"})'
FINISHED = 'sum by (strategy) (kaiju_orders_total{state=~"filled|canceled|rejected|expired"})'


def quantile(q: float, histogram: str, by: str) -> str:
    """Return the PromQL of one quantile of a histogram, per `by`."""
    return f"histogram_quantile({q}, sum by (le, {by}) (rate({histogram}_bucket{PER})))"


def counted(counter: str) -> str:
    """Return the PromQL of a counter's sum that is 0, not absent, while nothing was counted.

    Only while the node answers: a node that is down has no figures.
    """
    return f"sum({counter} or 0 * kaiju_steps_total)"


def numbered(gauge: str, states: Words, labels: str = "") -> str:
    """Return the PromQL of the number of the state for which `gauge` is 1, for each node.

    Args:
        gauge: has a label ``state``.
        states: names by number.
        labels: that are selected, such as ``kind="input",``.
    """
    return " or ".join(
        f'{number} * {gauge}{{{labels}state="{word}"}}' for number, (word, _) in states.items()
    )
