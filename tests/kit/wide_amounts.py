"""Amounts beyond 64 bits: a topology in which they trade, and an actor that pays them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ruamel.yaml import YAML

from actors.events.durations import MILLISECOND
from actors.events.event import Event
from actors.events.system import TimerFired
from actors.runtime.actor import handles
from tests.kit.nondeterministic_actors import Speaker
from tests.kit.paths import TOPOLOGIES

CURRENCIES = {"USD": 16, "DAI": 18, "SHIB": 8, "PEPE": 8, "TOKEN": 18}
INSTRUMENTS = {
    "SHIBUSD.SIM": {
        "base": "SHIB",
        "quote": "USD",
        "price_scale": 8,
        "qty_scale": 8,
        "tick_size": "0.00000001",
        "lot_size": "1",
        "max_qty": "46116860414",
        "min_notional": "1",
    },
    "PEPEUSD.SIM": {
        "base": "PEPE",
        "quote": "USD",
        "price_scale": 10,
        "qty_scale": 8,
        "tick_size": "0.0000000001",
        "lot_size": "1",
        "max_qty": "92233720368",
        "min_notional": "1",
    },
    "TOKENDAI.SIM": {
        "base": "TOKEN",
        "quote": "DAI",
        "price_scale": 18,
        "qty_scale": 18,
        "tick_size": "0.000000000000000001",
        "lot_size": "0.000000000000000001",
        "min_notional": "1",
    },
}
FLOW = {
    "SHIBUSD.SIM": ("0.00001234", "0.00000004", "0.00000006", "1000000", "400000000"),
    "PEPEUSD.SIM": ("0.0000098765", "0.0000000004", "0.0000000006", "1000000", "400000000"),
    "TOKENDAI.SIM": ("0.000000004", "0.000000000002", "0.00000000001", "1e11", "3e12"),
}
"""(start price, spread, depth, smallest and largest quantity)."""
RATES = {"limit_rate": 1.0, "market_rate": 0.2, "cancel_rate": 0.8, "orders": 10}
"""A quiet market: ten minutes of it take seconds."""


def wide_topology() -> dict[str, Any]:
    """Return a topology in which SHIB, PEPE and a token of 18 decimals trade."""
    keys = ("start_price", "spread", "depth", "min_qty", "max_qty")
    data: dict[str, Any] = YAML(typ="safe").load(TOPOLOGIES / "paper.yaml")
    data["name"] = "wide"
    data["currencies"] = {name: {"scale": scale} for name, scale in CURRENCIES.items()}
    data["instruments"] = INSTRUMENTS
    data["actors"]["market"]["settings"]["flow"] = {
        name: dict(zip(keys, flow, strict=True)) | RATES for name, flow in FLOW.items()
    }
    data["actors"]["maker"]["settings"] = {"interval": "2s"}
    most = {"*": "1e13"}
    data["actors"]["risk"]["settings"] = {
        "max_order_qty": most,
        "max_position": most,
        "max_account_position": most,
        "max_daily_loss": {"*": "20000"},
    }
    return data


def write_wide_topology(folder: Path) -> Path:
    """Write it to a file, as JSON, which is YAML too."""
    path = folder / "wide.yaml"
    path.write_text(json.dumps(wide_topology(), indent=1), encoding="utf-8")
    return path


class Paid(Event):
    """What a `Payer` paid by now."""

    amount: int
    paid_by: dict[str, int] = {}


class Payer(Speaker):
    """Pays 10 ** 30 and one every millisecond."""

    class State(Speaker.State):
        """What was paid."""

        paid: int = 0

    outputs: ClassVar[Mapping[str, tuple[type[Event], ...]]] = {"payments": (Paid,)}

    state: Payer.State

    @handles(TimerFired)
    def on_timer(self, _timer: TimerFired) -> None:
        self.set_timer("tick", MILLISECOND)
        self.state.paid += 10**30 + 1
        self.emit(Paid(self.state.paid, {"payer": -self.state.paid}))
