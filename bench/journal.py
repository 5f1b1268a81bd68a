"""What durability costs: steps journaled, synced, done again, and what they weigh.

Beside each figure stands what the system takes for the same bytes without an actor, measured in
the same rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.events.durations import SECOND
from bench.kept import describe_file_system
from bench.recorded import ABSENT, FILES
from bench.rounds import Contestant, Results, run_rounds, write_raw
from bench.table import Row, our_figure

ROUNDS = 3
BARE, NONE, OS, FSYNC = "bare", "not durable", "os", "fsync"
LEVELS = {NONE: "none", OS: "os", FSYNC: "fsync"}
GROUPS = (1, 8, 64, 512)
COMMITS, MAX_STEPS = 1_000, 200_000
"""Of a measurement of groups, whichever is fewer."""
HOPS = 200_000
ORDERS = 70_000
QUOTES = 200_000
EVENTS = 2_000
PATHS = {"order path": "orders", "every actor": "all"}
PATH_AIM = 1.5
RECOVERY_AIM = 300_000


def contestants() -> list[Contestant]:
    """Return all that is measured in a round."""
    return [*_steps(), *_paths()]


def run(progress: Callable[[str], None]) -> list[Row]:
    """Measure everything and return the rows of the table."""
    results = run_rounds(contestants(), ROUNDS, progress)
    write_raw("journal", results)
    rows = [_relay_row(results), _order_row(results), _group_row(results), _live_row(results)]
    rows += [_port_row(results), _recovery_row(results)]
    if not FILES:
        return [*rows, Row("whole path, durable", "-", note=ABSENT)]
    return [*rows, *[_path_row(results, what) for what in PATHS], _bytes_row(results)]


def _steps() -> list[Contestant]:
    return [
        Contestant(BARE, "relay", "bench.bare", "measure_step"),
        *[_of("journaled", s, "relay", "measure_relay", hops=HOPS) for s in (NONE, OS)],
        *[_of("orders", s, "orders", "measure_orders", orders=ORDERS) for s in (NONE, OS)],
        *[_group(system, group) for group in GROUPS for system in (BARE, FSYNC)],
        *[_of("journaled", s, "live", "measure_live", duration=SECOND) for s in (OS, FSYNC)],
        *[_of("journaled", s, "port", "measure_port", events=EVENTS) for s in (OS, FSYNC)],
        Contestant(OS, "recovery", "bench.orders", "measure_recovery", {"orders": ORDERS}),
    ]


def _paths() -> list[Contestant]:
    if not FILES:
        return []
    durable = {NONE: "none", **PATHS}
    arguments = [{"durable": kept, "quotes": QUOTES} for kept in durable.values()]
    return [
        Contestant(system, "path", "bench.journaled", "measure_path", given)
        for system, given in zip(durable, arguments, strict=True)
    ]


def _of(module: str, system: str, task: str, function: str, **arguments: Any) -> Contestant:
    given = {"durable": LEVELS[system], **arguments}
    return Contestant(system, task, f"bench.{module}", function, given)


def _group(system: str, group: int) -> Contestant:
    module = "bench.bare" if system == BARE else "bench.journaled"
    arguments = {"group": group, "steps": min(COMMITS * group, MAX_STEPS)}
    return Contestant(system, f"groups of {group}", module, "measure_groups", arguments)


def _relay_row(results: Results) -> Row:
    ours, without, write, whole = (
        results.median(system, "relay", name) or 0.0
        for system, name in ((OS, "us"), (NONE, "us"), (BARE, "write_us"), (BARE, "us"))
    )
    size = results.median(OS, "relay", "bytes") or 0.0
    return Row(
        "journaled at os, a relay",
        our_figure(results.median(OS, "relay", "per_second"), "steps/s"),
        note=f"{ours:.2f} us a step, {without:.2f} us without journal; bare write {write:.2f} us, "
        f"with encoding and CRC {whole:.2f} us; {size:.0f} bytes; {describe_file_system()}",
    )


def _order_row(results: Results) -> Row:
    ours, without = (results.median(system, "orders", "us") or 0.0 for system in (OS, NONE))
    size = results.median(OS, "orders", "bytes") or 0.0
    return Row(
        "journaled at os, an OMS and its desk",
        our_figure(1e6 / ours, "OMS steps/s"),
        note=f"{ours:.2f} us an OMS step, {without:.2f} us without journal; {size:.0f} bytes",
    )


def _group_row(results: Results) -> Row:
    def all_of(system: str) -> str:
        figures = (results.median(system, f"groups of {g}", "per_second") or 0 for g in GROUPS)
        return " / ".join(f"{figure:,.0f}" for figure in figures)

    sync = results.median(BARE, "groups of 1", "sync_ms") or 0.0
    return Row(
        f"journaled at fsync, groups of {'/'.join(map(str, GROUPS))}",
        f"{all_of(FSYNC)} steps/s",
        note=f"bare write and fdatasync {all_of(BARE)}; one of them {sync:.2f} ms",
    )


def _live_row(results: Results) -> Row:
    group = results.median(FSYNC, "live", "group") or 0.0
    commit = results.median(FSYNC, "live", "commit_ms") or 0.0
    at_os = our_figure(results.median(OS, "live", "per_second"), "steps/s")
    return Row(
        "journaled at fsync, live",
        our_figure(results.median(FSYNC, "live", "per_second"), "steps/s"),
        note=f"groups of {group:,.0f} by itself, a commit takes {commit:.2f} ms; at os {at_os}",
    )


def _port_row(results: Results) -> Row:
    def quantiles(system: str) -> str:
        both = (results.median(system, "port", name) or 0.0 for name in ("p50", "p99"))
        return " / ".join(f"{figure:,.0f}" for figure in both)

    return Row(
        "from step to port at fsync",
        f"{quantiles(FSYNC)} us",
        note=f"p50 / p99, live, one event a millisecond; at os {quantiles(OS)} us",
    )


def _recovery_row(results: Results) -> Row:
    steps = results.median(OS, "recovery", "steps") or 0.0
    return Row(
        "recovery",
        our_figure(results.median(OS, "recovery", "per_second"), "OMS steps/s"),
        aim=f"{RECOVERY_AIM:,}",
        note=f"{steps:,.0f} steps read, checked and done again, their outputs compared",
    )


def _path_row(results: Results, what: str) -> Row:
    slower = results.ratio((NONE, "path"), (what, "path"), "per_second") or 0.0
    steps = results.median(what, "path", "steps_a_quote") or 0.0
    without = our_figure(results.median(NONE, "path", "per_second"), "/s")
    return Row(
        f"whole path, {what} durable at os, quotes",
        our_figure(results.median(what, "path", "per_second"), "/s"),
        aim=f"within {PATH_AIM}x" if what == "order path" else "",
        note=f"{slower:.2f}x slower than {without} without journal; {steps:.2f} steps a quote",
    )


def _bytes_row(results: Results) -> Row:
    sizes = {
        name: results.median("every actor", "path", f"bytes_{name}") or 0.0
        for name in ("oms", "risk", "feed")
    }
    text = ", ".join(f"{name} {size:.0f}" for name, size in sizes.items())
    return Row("bytes a step", text, note="on the whole path; most steps of risk are a top of book")
