"""Links: events a second, a round trip, and a path of three nodes in three placements."""

from __future__ import annotations

from collections.abc import Callable

from bench.rounds import Contestant, Results, run_rounds, write_raw
from bench.table import Row, our_figure

OURS, BARE = "kaiju", "pyzmq"
ROUNDS = 3
SIZES, LINKS = (50, 500), ("ipc", "tcp")
ROUND_TRIPS = 3_000
LINK_AIM, TRIP_AIM = 5.0, 1.3
REPETITIONS, ORDERS, DROPPED = 30, 1_000, 100
PLACEMENTS = {"one process": "", "three by ipc": "ipc", "three by tcp": "tcp"}
GODZILLA = "godzilla.dev, C++ on pinned cores: 124.9 / 278 / 486 / 821 us"


def contestants() -> list[Contestant]:
    """Return all that is measured; the paths, which repeat themselves, in one round."""
    return [*_links(), *_paths()]


def run(progress: Callable[[str], None]) -> list[Row]:
    """Measure everything and return the rows of the table."""
    results = run_rounds(_links(), ROUNDS, progress)
    write_raw("links", results)
    paths = run_rounds(_paths(), 1, progress)
    write_raw("links_path", paths)
    rows = [_link_row(results, size, link) for size in SIZES for link in LINKS]
    rows += [_trip_row(results, link) for link in LINKS]
    return rows + [_path_row(paths, placement) for placement in PLACEMENTS]


def _links() -> list[Contestant]:
    found = []
    for link in LINKS:
        tcp = link == "tcp"
        for size in SIZES:
            given = {"size": size, "tcp": tcp}
            task = f"{size} bytes, {link}"
            found.append(Contestant(OURS, task, "bench.linked", "measure_link", given))
            found.append(Contestant(BARE, task, "bench.linked", "measure_bare_link", given))
        trips = {"rounds": ROUND_TRIPS}
        task = f"round trip, {link}"
        ours, bare = {"link": link, **trips}, {"tcp": tcp, **trips}
        found.append(Contestant(OURS, task, "bench.linked", "measure_round_trip", ours))
        found.append(Contestant(BARE, task, "bench.linked", "measure_bare_round_trip", bare))
    return found


def _paths() -> list[Contestant]:
    counts = {"repetitions": REPETITIONS, "orders": ORDERS, "dropped": DROPPED}
    return [
        Contestant(OURS, placement, "bench.linked", "measure_path", {"link": link, **counts})
        for placement, link in PLACEMENTS.items()
    ]


def _link_row(results: Results, size: int, link: str) -> Row:
    task = f"{size} bytes, {link}"
    bare = results.median(BARE, task, "per_second")
    ratio = results.ratio((OURS, task), (BARE, task), "per_second")
    return Row(
        f"one link, {task}",
        our_figure(results.median(OURS, task, "per_second"), "/s"),
        aim=f"{LINK_AIM:g}x",
        note=f"{ratio or 0:.2f}x of pyzmq, an event a frame: {bare or 0:,.0f} /s"
        + (", not encrypted" if link == "tcp" else ""),
    )


def _trip_row(results: Results, link: str) -> Row:
    task = f"round trip, {link}"
    ours = [results.median(OURS, task, q) or 0.0 for q in ("p50", "p99")]
    bare = [results.median(BARE, task, q) or 0.0 for q in ("p50", "p99")]
    ratios = [results.ratio((OURS, task), (BARE, task), q) or 0.0 for q in ("p50", "p99")]
    return Row(
        f"{task}, two nodes",
        " / ".join(f"{us:,.0f}" for us in ours) + " us",
        aim=f"within {TRIP_AIM:g}x",
        note=f"p50 / p99; bare PUB and SUB {bare[0]:,.0f} / {bare[1]:,.0f} us:"
        f" {ratios[0]:.2f}x / {ratios[1]:.2f}x",
    )


def _path_row(results: Results, placement: str) -> Row:
    def stage(name: str) -> str:
        found = [results.median(OURS, placement, f"{name}{q}") or 0.0 for q in QUANTILES]
        return " / ".join(f"{us:,.0f}" for us in found)

    return Row(
        f"tick, order, report: {placement}",
        f"{stage('')} us",
        note=f"p50 / p90 / p99 / p99.9; tick to order {stage('tick to order ')}, order to report"
        f" {stage('order to report ')}; {GODZILLA}",
    )


QUANTILES = ("p50", "p90", "p99", "p99.9")
