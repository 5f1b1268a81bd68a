"""What nodes say of themselves, for tests that need no node."""

from __future__ import annotations

from typing import Any, Literal

from kaiju.monitor.status import LIVE, LinkStatus, NodeStatus


def node_status(node: str = "one", **changed: Any) -> NodeStatus:
    """Return the status of a node that is well and has nothing to do, but for what is given."""
    status: dict[str, Any] = {
        "topology": "t",
        "clock": 0,
        "steps": 1,
        "halted": "",
        "ending": "",
        "busy": False,
        "has_data": False,
        "queued": 0,
        "orders": {},
        "actors": (),
        "streams": (),
        "links": (),
        "link_counts": None,
    }
    return NodeStatus(node=node, **{**status, **changed})


def link_status(
    kind: Literal["input", "output"], node: str, stream: str, behind: int = 0
) -> LinkStatus:
    """Return the status of a link on which nothing was ever lost."""
    return LinkStatus(
        kind=kind,
        node=node,
        stream=stream,
        state=LIVE,
        epoch=1,
        position=1,
        behind=behind,
        gaps=0,
        repeated=0,
        resumes=0,
        resets=0,
        malformed=0,
        durable=False,
        delay_p50=0,
        delay_p99=0,
    )
