"""Pass: does every name exist, and do scales, filters and ports fit together?"""

from __future__ import annotations

from collections.abc import Iterator

from actors.events.reference import Contract
from topology.check.schema import PartialTopology
from topology.config.document import Document
from topology.config.findings import nearest
from topology.config.spec import MAX_SCALE, PORTS_OF_A_NODE, InstrumentSpec


def check_names(document: Document, partial: PartialTopology) -> None:
    """Report names that do not exist, and values that do not fit together."""
    _check_nodes(document, partial)
    _check_ports(document, partial)
    for name, instrument in partial.instruments.items():
        _check_currencies(document, partial, name, instrument)
        _check_units(document, partial, name, instrument)
    _check_accepts(document, partial)


def _check_nodes(document: Document, partial: PartialTopology) -> None:
    known = partial.named.get("nodes", ())
    for name, actor in partial.actors.items():
        if actor.node and actor.node not in known:
            place = ("actors", name, "node")
            document.report(place, f"there is no node '{actor.node}'{nearest(actor.node, known)}")
    used = {actor.node for actor in partial.actors.values()}
    all_actors_fit = len(partial.actors) == len(partial.named.get("actors", ()))
    for node in known:
        if node not in used and all_actors_fit and used <= {*known}:
            message = f"no actor lives on node '{node}'"
            document.report(("nodes", node), message, at_key=True, level="warning")


def _check_ports(document: Document, partial: PartialTopology) -> None:
    taken: dict[tuple[str, int], tuple[str, str]] = {}
    for name, node in partial.nodes.items():
        ports = {node.port + i: use for i, use in enumerate(PORTS_OF_A_NODE)}
        for port, use in ports.items():
            if holder := taken.get((node.host, port)):
                other, its_use = holder
                highest = max(p for host, p in taken if host == node.host)
                document.report(
                    ("nodes", name, "port"),
                    f"port {port} ({use}) on host '{node.host}' is the {its_use} port of node"
                    f" '{other}' already; free is {highest + 1}",
                )
                break
        taken |= {(node.host, port): (name, use) for port, use in ports.items()}


def _check_currencies(
    document: Document, partial: PartialTopology, name: str, instrument: InstrumentSpec
) -> None:
    known = partial.named.get("currencies", ())
    for key, currency in (("base", instrument.base), ("quote", instrument.quote)):
        if currency not in known:
            place = ("instruments", name, key)
            document.report(place, f"there is no currency '{currency}'{nearest(currency, known)}")


def _check_units(
    document: Document, partial: PartialTopology, name: str, instrument: InstrumentSpec
) -> None:
    settle = partial.currencies.get(instrument.settle)
    scale = settle.scale if settle else None
    for key, message in instrument.misfits(scale):
        document.report(("instruments", name, key), message)
    needed = min(instrument.price_scale + instrument.qty_scale, MAX_SCALE)
    if instrument.contract is Contract.LINEAR and scale is not None and scale < needed:
        document.report(
            ("instruments", name),
            f"'{name}' has price_scale {instrument.price_scale} + qty_scale"
            f" {instrument.qty_scale} = {instrument.price_scale + instrument.qty_scale} decimals"
            f" of notional, '{instrument.settle}' has only {scale}: every fill is rounded half-even"
            f" to them; give '{instrument.settle}' scale {needed} unless its venue rounds so too",
            at_key=True,
            level="warning",
        )


def _check_accepts(document: Document, partial: PartialTopology) -> None:
    instruments = partial.named.get("instruments", ())
    venues = tuple(dict.fromkeys(name.partition(".")[2] for name in instruments))
    for actor, entry in partial.actors.items():
        for key, words, known in (
            ("venue", entry.accepts.venue, venues),
            ("instrument", entry.accepts.instrument, instruments),
        ):
            for index, word in _unknown(words, known):
                place = ("actors", actor, "accepts", key, index)
                document.report(place, f"there is no {key} '{word}'{nearest(word, known)}")


def _unknown(words: tuple[str, ...], known: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    return ((i, word) for i, word in enumerate(words) if word not in known)
