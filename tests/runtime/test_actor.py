"""What the author of a strategy sees on an actor, and nothing else."""

from __future__ import annotations

from actors.runtime.actor import Actor
from actors.runtime.node.node import Node
from actors.runtime.ref import AddressedActor

DECLARED = {
    *("Settings", "State", "outputs", "handlers", "order_path", "durable"),
    *("venue_endpoint", "orders_are_approved", "writes_record", "role"),
}
GIVEN = {
    *("name", "settings", "state", "session", "directory", "instruments", "currencies"),
    *("accepts", "heard", "roles", "node_name", "leaves_orders", "stale"),
}
DONE_IN_HANDLERS = {"emit", "now", "virtual_time", "rng", "envelope", "set_timer", "cancel_timer"}
OVERRIDDEN = {
    *(
        "check_settings",
        "on_start",
        "on_stop",
        "snapshot",
        "busy",
        "left_open",
        "source",
        "progress",
        "ports",
    ),
    *("read_before", "lost_power", "emergency", "open_orders"),
}


def test_all_that_only_the_runtime_needs_is_in_the_context() -> None:
    actor = Node().add("actor", Actor)

    public = {name for name in dir(actor) if not name.startswith("_")} - {*dir(AddressedActor)}
    pykkas = {"actor_inbox", "actor_ref", "actor_stopped", "actor_urn", "ingress"}
    seen = (public | {"on_start", "on_stop"}) - pykkas
    assert seen == DECLARED | GIVEN | DONE_IN_HANDLERS | OVERRIDDEN | {"context"}
