"""What an edit of a topology means: what changes, which nodes restart, and what is lost."""

from __future__ import annotations

from typing import NamedTuple

from topology.check.check import CheckedTopology
from topology.config.findings import Finding, Findings, TopologyError
from topology.plan.changes import Change, Kind, changes_between
from topology.plan.losses import losses
from topology.plan.restarts import Reading, forgetful, readings_between, restarts

SIGNS: dict[Kind, str] = {"added": "+", "removed": "-", "changed": "~", "moved": ">"}


class Plan(NamedTuple):
    """Everything that follows from an edit."""

    changes: tuple[Change, ...]
    readings: tuple[Reading, ...]
    """Streams that are read by other nodes than before."""
    restarts: dict[str, tuple[str, ...]]
    """Reasons by node that must be started or restarted."""
    begins_anew: tuple[str, ...]
    """Actors that lose their state: their readers get one reset, and a snapshot."""
    refused: tuple[Finding, ...]
    """Why the edit would lose something."""
    warnings: tuple[Finding, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing changes."""
        return not (self.changes or self.readings or self.refused)


def plan(old: CheckedTopology, new: CheckedTopology) -> Plan:
    """Return the plan of an edit from one topology to another.

    Raises:
        TopologyError: a file has mistakes; the text lists all of both.
    """
    if mistakes := [*old.findings.errors, *new.findings.errors]:
        raise TopologyError(Findings.of(mistakes))
    changes, readings = tuple(changes_between(old, new)), tuple(readings_between(old, new))
    restarting = restarts(old, new, changes, readings)
    found = Findings.of(losses(old, new, changes))
    return Plan(
        changes,
        readings,
        restarting,
        tuple(forgetful(old, new, restarting)),
        found.errors,
        found.warnings,
    )
