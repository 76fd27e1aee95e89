"""`freeze`, `pause` and `resume`: what they ask, what they print, and what they do not take."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

from opendmux import cli
from opendmux.cli.pause import seconds_in
from opendmux.errors import ConfigError

PAUSED = {
    "opend": 1,
    "name": "a:1",
    "since": "2026-01-01T00:00:00.000000Z",
    "until": None,
    "by": "ops",
    "unanswered": 2,
    "text": "OpenD at a:1 is paused\x1b[2J",
}
FROZEN = {"key": None, "mode": "read-only", "text": "trading is frozen\x1b[2J"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    """What was asked; the answers are those above."""
    questions: list[tuple[str, str, Any]] = []

    def ask(_args: object, method: str, path: str, body: object = None) -> Any:
        questions.append((method, path, body))
        if path == "/v1/freeze":
            return {"freezes": [FROZEN] if method == "GET" or body["mode"] != "off" else [], "in_flight": 3}  # type: ignore[index]
        return {"paused": [] if path == "/v1/resume" else [PAUSED]}

    for module in (cli.freeze, cli.pause, cli.resume):
        monkeypatch.setattr(module, "ask", ask)
    return questions


def test_freeze(asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["freeze"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "trading is frozen?[2J",
        "3 trade writes were sent to OpenD before and have no answer yet",
    ]
    assert cli.main(["freeze", "--key", "bot", "--mode", "off"]) == 0
    assert capsys.readouterr().out.startswith("nothing is frozen any more\n")
    assert cli.main(["freeze", "--show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["freezes"] == [FROZEN]
    assert asked == [
        ("POST", "/v1/freeze", {"key": None, "mode": "read-only"}),
        ("POST", "/v1/freeze", {"key": "bot", "mode": "off"}),
        ("GET", "/v1/freeze", None),
    ]


def test_pause_and_resume(asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["pause", "--opend", "2", "--for", "10m"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "OpenD at a:1 is paused?[2J",
        "2 requests had no answer when the connections were closed",
    ]
    assert cli.main(["pause", "--show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"paused": [PAUSED]}
    assert cli.main(["resume", "--opend", "hk"]) == 0
    assert cli.main(["resume", "--opend", ""]) == 0
    capsys.readouterr()
    assert cli.main(["resume"]) == 0
    assert capsys.readouterr().out == "nothing is paused any more\n"
    assert asked == [
        ("POST", "/v1/pause", {"opend": 2, "for_s": 600.0}),
        ("GET", "/v1/pause", None),
        ("POST", "/v1/resume", {"opend": "hk"}),
        ("POST", "/v1/resume", {"opend": ""}),  # the proxy knows none of that name: not all of them
        ("POST", "/v1/resume", {"opend": None}),
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["freeze", "--show", "--mode", "off"],
        ["freeze", "--show", "--key", "bot"],
        ["freeze", "--key", ""],
        ["pause", "--show", "--for", "10m"],
        ["pause", "--show", "--opend", "1"],
        ["pause", "--for", "soon"],
        ["pause", "--for", "0"],
        ["pause", "--for", "-5"],
    ],
)
def test_what_makes_no_sense_changes_nothing(
    asked: list[tuple[str, str, Any]], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with contextlib.suppress(SystemExit):
        assert cli.main(words) == 2
    assert asked == []
    assert capsys.readouterr().err


def test_times() -> None:
    assert [seconds_in(text) for text in ("90", "1.5s", "10m", "2h", "1d")] == [90, 1.5, 600, 7200, 86400]
    with pytest.raises(ConfigError, match="'10 m' is no time"):
        seconds_in("10 m")
