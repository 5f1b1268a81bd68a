"""Three nodes trade at a venue while all four processes are killed, stopped and misunderstood."""

from __future__ import annotations

import os
from functools import partial

import pytest

from tests.kit.linked_trading import NODES, desk
from tests.kit.network_faults import mistreat_frames

pytestmark = pytest.mark.xdist_group("live")

TIMES = int(os.environ.get("FAULTS", "5"))
"""How often each fault befalls a run; `make faults` has it twenty times."""


@pytest.mark.parametrize("tcp", [False, True], ids=["ipc", "tcp"])
def test_whoever_is_killed_or_stands_still_ledger_orders_and_positions_agree(tcp: bool) -> None:
    with desk(tcp=tcp, prelude=partial(mistreat_frames, 1) if tcp else None) as trading:
        trading.start()
        for _ in range(TIMES):
            for name in (*NODES, "venue"):
                trading.kill(name)
                trading.await_orders(1)
            trading.disturb(*NODES, "venue")
            trading.await_orders(1)
        trading.stop()

        assert trading.disagreements() == {}
        assert trading.defects() == []
        assert trading.nodes.resets() == 0
