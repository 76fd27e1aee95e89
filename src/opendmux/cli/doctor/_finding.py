"""What a check finds, and what all of them come to."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["Finding", "Section", "State", "all_of", "summary_of", "tree_of", "worst_of"]


class State(enum.StrEnum):
    """How it is with one thing."""

    OK = "ok"
    SKIPPED = "skipped"
    """Not looked at, for the reason that the conclusion gives."""
    UNKNOWN = "unknown"
    """It was looked at, and can't be told."""
    WARNING = "warning"
    PROBLEM = "problem"


RANKS: Final = tuple(State)
"""From good to bad."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Of one check: three texts for a person."""

    check: str
    """Its name: the same in every run."""
    state: State
    conclusion: str
    """One sentence."""
    figures: str = ""
    """What was seen."""
    next_step: str = ""
    """What to do; empty where nothing is to be done."""


@dataclass(frozen=True, slots=True)
class Section:
    """What was found about one thing: an OpenD, opendmux, this machine."""

    heading: str
    findings: list[Finding] = field(default_factory=list)

    def say(self, state: State, check: str, conclusion: str, figures: str = "", next_step: str = "") -> None:
        """Add a finding."""
        self.findings.append(Finding(check, state, conclusion, figures, next_step))


def all_of(sections: Iterable[Section]) -> list[Finding]:
    return [finding for section in sections for finding in section.findings]


def worst_of(sections: Iterable[Section]) -> State:
    """Of everything; OK when nothing was found at all."""
    return max((finding.state for finding in all_of(sections)), key=RANKS.index, default=State.OK)


def summary_of(sections: Sequence[Section]) -> str:
    """One line: what is wrong, or that nothing is."""
    states = [finding.state for finding in all_of(sections)]
    problems, warnings = states.count(State.PROBLEM), states.count(State.WARNING)
    counted = f"{len(states)} checks: {problems} {_many(problems, 'problem')}, {warnings} {_many(warnings, 'warning')}"
    if problems:
        return counted
    return f"{counted}; nothing is in the way" if warnings else f"{counted}; all is well"


def _many(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


def tree_of(sections: Sequence[Section]) -> dict[str, Any]:
    """For JSON."""
    return {
        "state": str(worst_of(sections)),
        "summary": summary_of(sections),
        "findings": [
            {
                "about": section.heading,
                "check": finding.check,
                "state": str(finding.state),
                "conclusion": finding.conclusion,
                "figures": finding.figures,
                "next_step": finding.next_step,
            }
            for section in sections
            for finding in section.findings
        ],
    }
