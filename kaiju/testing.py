"""The test kit: one actor on virtual time, or a whole system of them, without files or threads."""

from __future__ import annotations

from actors.testing import SECOND, START, ActorTest, SystemTest

__all__ = ["SECOND", "START", "ActorTest", "SystemTest"]
