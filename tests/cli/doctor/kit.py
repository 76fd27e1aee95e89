"""Findings of a section by the name of their check."""

from __future__ import annotations

from opendmux.cli.doctor._finding import Finding, Section, State

__all__ = ["only", "states"]


def only(section: Section, check: str) -> Finding:
    """The one finding of this check; a problem or a warning says what to do."""
    (found,) = [finding for finding in section.findings if finding.check == check]
    assert found.next_step or found.state not in (State.PROBLEM, State.WARNING), "what now?"
    assert found.conclusion.endswith("."), "a sentence"
    return found


def states(section: Section) -> dict[str, State]:
    return {finding.check: finding.state for finding in section.findings}
