"""What an actor is in the order path, which bounds what it may emit."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """A place in the order path; the classes of events say in `emitted_by` who may emit them."""

    FEED = "feed"
    """Brings market data."""
    STRATEGY = "strategy"
    """Decides what to trade."""
    EXECUTION = "execution"
    """Turns what strategies want into orders, in their names."""
    APPROVER = "approver"
    """Approves orders or denies them: risk."""
    OMS = "oms"
    """Keeps the state of every order."""
    GATEWAY = "gateway"
    """Sends orders to a venue, and passes on what it reports."""
    VENUE = "venue"
    """Executes orders."""
    NONE = ""
    """Has no place in it; may ask for orders in its own name."""


FROM_VENUES = (Role.GATEWAY, Role.VENUE)
"""Who may say what a venue says: the venue, and the gateway that passes it on."""
