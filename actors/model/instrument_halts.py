"""Instruments in which nothing new is sent, and why, until somebody lifts it."""

from __future__ import annotations

import msgspec

from actors.events.system import HaltTrading, ResumeTrading


class InstrumentHalts(msgspec.Struct):
    """Halts of single instruments that are in force."""

    entries: dict[str, HaltTrading] = {}
    """By halt_id, oldest first."""

    def take(self, halt: HaltTrading) -> bool:
        """Keep a halt; return whether it is new."""
        new = halt.halt_id not in self.entries
        self.entries.setdefault(halt.halt_id, halt)
        return new

    def lift(self, resume: ResumeTrading) -> None:
        """Forget the halt that is named; where none is, all those of the instrument, or all."""
        if resume.halt_id:
            self.entries.pop(resume.halt_id, None)
        else:
            self.entries = {
                halt_id: halt
                for halt_id, halt in self.entries.items()
                if resume.instrument not in ("", halt.instrument)
            }

    def reason(self, instrument: str) -> str:
        """Return why nothing is sent in an instrument; empty where something may be."""
        return next((h.reason for h in self.entries.values() if h.instrument == instrument), "")
