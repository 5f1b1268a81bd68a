"""Where things are, for tests at any depth."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""This checkout."""
TOPOLOGIES = ROOT / "topology"
DATA = ROOT.parent / "shared" / "data"
"""Recordings of real markets, beside the checkout; without them their tests are skipped."""
NO_RECORDINGS = "" if DATA.is_dir() else f"no recorded market data: no folder {DATA}"
