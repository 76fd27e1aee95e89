"""The report as a person reads it: the summary first, then every check in its order."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from opendmux.wording import printable

from ._finding import Finding, Section, State, summary_of, worst_of

__all__ = ["print_report", "text_of"]

MARKS: Final = {
    State.OK: "ok",
    State.SKIPPED: "skipped",
    State.UNKNOWN: "unknown",
    State.WARNING: "WARNING",
    State.PROBLEM: "PROBLEM",
}
COLOURS: Final = {
    State.OK: "green",
    State.SKIPPED: "dim",
    State.UNKNOWN: "magenta",
    State.WARNING: "yellow",
    State.PROBLEM: "bold red",
}
ARROW: Final = "->"
WIDTH: Final = max(map(len, MARKS.values()))


def text_of(sections: Sequence[Section]) -> str:
    """Plain."""
    lines = [summary_of(sections)]
    for section in sections:
        lines += ["", section.heading]
        for finding in section.findings:
            lines += [f"  {MARKS[finding.state]:<{WIDTH}}  {line}" for line in _lines(finding)[:1]]
            lines += [f"  {'':<{WIDTH}}  {line}" for line in _lines(finding)[1:]]
    return "\n".join(lines)


def _lines(finding: Finding) -> list[str]:
    lines = [f"{finding.check}: {printable(finding.conclusion)}"]
    if finding.figures:
        lines.append(printable(finding.figures))
    if finding.next_step:
        lines.append(f"{ARROW} {printable(finding.next_step)}")
    return lines


def print_report(sections: Sequence[Section]) -> None:
    """Coloured on a terminal, plain for everything else."""
    if not sys.stdout.isatty():
        print(text_of(sections))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(summary_of(sections), COLOURS[worst_of(sections)]))
    for section in sections:
        grid = Table.grid(padding=(0, 2))
        for finding in section.findings:
            head, *more = _lines(finding)
            grid.add_row("", Text(MARKS[finding.state].ljust(WIDTH), COLOURS[finding.state]), Text(head))
            for line in more:
                grid.add_row("", "", Text(line, "" if line.startswith(ARROW) else "dim"))
        console.print("\n", Text(section.heading, "bold"), sep="")
        console.print(grid)
