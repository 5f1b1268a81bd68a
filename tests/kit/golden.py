"""What stands in the golden files of the first version, and where they are."""

from __future__ import annotations

from typing import Any

from tests.kit.paths import ROOT

GOLDEN = ROOT / "tests/runtime/journal/golden/1"
START = 1_704_067_200_000_000_000
INSTRUMENT = ["Instrument", "BTCUSDT.SIM", "SIM", "BTCUSDT", "BTC", "USDT", "USDT", 2, 5, 8]
CURRENCIES = [["Currency", "USDT", 8], ["Currency", "BTC", 8]]
QUOTE = ["Quote", "BTCUSDT.SIM", 7, 5_000_000, 100_000, 5_000_050, 200_000, START]
FILLED = [
    *("OrderFilled", "0-taker-1", "taker", "BTCUSDT.SIM", 1, 2_000, 5_000_050, 2_000, 0),
    *("e1", -150_000, "USDT", "TAKER"),
]
FIELDS = {
    "Quote": [
        ["instrument", "str"],
        ["update_id", "int"],
        ["bid_px", "int"],
        ["bid_qty", "int"],
        ["ask_px", "int"],
        ["ask_qty", "int"],
        ["venue_time", "int", 0],
    ],
    "OrderFilled": [
        ["client_order_id", "str"],
        ["strategy", "str"],
        ["instrument", "str"],
        ["side", ["enum", "Side"]],
        ["last_qty", "int"],
        ["last_px", "int"],
        ["cum_qty", "int"],
        ["leaves_qty", "int"],
        ["exec_id", "str"],
        ["fee", "int"],
        ["fee_currency", "str"],
        ["liquidity", ["enum", "Liquidity"]],
    ],
}
ENUMS = {
    "Side": {"BUY": 1, "SELL": -1},
    "Liquidity": {"MAKER": "MAKER", "TAKER": "TAKER", "NONE": "NONE"},
}
ABOUT: dict[str, Any] = {
    "schema": {"events": FIELDS, "enums": ENUMS},
    "instruments": [INSTRUMENT],
    "currencies": CURRENCIES,
}
SEGMENT: dict[str, Any] = {
    "journal": 1,
    "node": "main",
    "actor": "positions",
    "class": "actors.positions:Positions",
    "settings": {"limit": "0.5"},
    "session": "0",
    "seed": 7,
    "epoch": 1,
    "outputs": {"positions": ["PositionUpdated"]},
    **ABOUT,
}
CAUSE = ["market.trades", 1, 1, 5]
STEPS: list[list[Any]] = [
    [
        1,
        10,
        START,
        ["positions.inbox", 1, 1],
        None,
        CAUSE,
        START,
        0,
        ["ActorStarted"],
        [[], []],
    ],
    [
        *(
            2,
            12,
            START + 1,
            ["market.quotes", 1, 7],
            ["market.inbox", 1, 3],
            CAUSE,
            START + 1,
            5,
        ),
        *(QUOTE, [[], [["positions", 1, "mark", START + 1_000]]]),
    ],
    [3, 15, START + 2, ["oms.fills", 1, 1], None, CAUSE, START + 2, 0, FILLED, [[QUOTE], []]],
    [4, 16, START + 3, ["oms.fills", 1, 2], None, CAUSE, START + 3, 0, FILLED, None],
]
SNAPSHOT = [2, 12, START + 1, {"qty": -(2**63), "name": "é"}, None, [], 0, {"positions": 1}]
EVENTS: list[list[Any]] = [
    ["market.quotes", 1, 7, None, ["market.quotes", 1, 7], START, QUOTE],
    ["oms.fills", 1, 1, ["market.quotes", 1, 7], ["market.quotes", 1, 7], START + 2, FILLED],
]
