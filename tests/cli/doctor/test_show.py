"""The report, for a person and for programs."""

from __future__ import annotations

import io
import sys

import pytest

from opendmux.cli.doctor._finding import Section, State, summary_of, tree_of, worst_of
from opendmux.cli.doctor._show import print_report, text_of


def sections() -> list[Section]:
    first, second = Section("OpenD at x"), Section("this machine")
    first.say(State.OK, "port", "It answers.", "1 ms")
    first.say(State.PROBLEM, "program", "It waits\x1b[31m.", "status 4", "Enter the code.")
    second.say(State.SKIPPED, "disk", "Nobody looked.")
    return [first, second]


def test_text() -> None:
    assert text_of(sections()) == (
        "3 checks: 1 problem, 0 warnings\n"
        "\n"
        "OpenD at x\n"
        "  ok       port: It answers.\n"
        "           1 ms\n"
        "  PROBLEM  program: It waits?[31m.\n"
        "           status 4\n"
        "           -> Enter the code.\n"
        "\n"
        "this machine\n"
        "  skipped  disk: Nobody looked."
    )


def test_colours_are_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    print_report(sections())
    assert "\x1b[1;31mPROBLEM" in terminal.getvalue()
    assert "\x1b[31m." not in terminal.getvalue(), "what a peer wrote"
    monkeypatch.setattr(sys, "stdout", pipe := io.StringIO())
    print_report(sections())
    assert pipe.getvalue() == text_of(sections()) + "\n"


def test_summary_and_tree() -> None:
    assert worst_of(sections()) is State.PROBLEM
    assert worst_of([]) is State.OK
    calm = Section("x")
    calm.say(State.OK, "a", "Fine.")
    assert summary_of([calm]) == "1 checks: 0 problems, 0 warnings; all is well"
    calm.say(State.WARNING, "b", "Hm.")
    assert summary_of([calm]) == "2 checks: 0 problems, 1 warning; nothing is in the way"
    tree = tree_of(sections())
    assert (tree["state"], len(tree["findings"])) == ("problem", 3)
    assert tree["findings"][1]["about"] == "OpenD at x"
    assert set(tree["findings"][1]) == {"about", "check", "state", "conclusion", "figures", "next_step"}
