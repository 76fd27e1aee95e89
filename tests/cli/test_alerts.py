"""`opendmux alerts test`: what it asks, what it prints, how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from opendmux import cli
from opendmux.cli._control import CommandError

FINE = {"alert": "ops", "delivered": True, "problem": ""}
LOST = {"alert": "chat", "delivered": False, "problem": "https://c.example:443/... answers with status 404\x1b[2J"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    questions: list[tuple[str, str, Any]] = []

    def ask(_args: object, method: str, path: str, body: Any = None, **_more: object) -> Any:
        questions.append((method, path, body))
        return (
            {"other": 1} if body["alert"] == "old" else {"alerts": [FINE] if body["alert"] == "ops" else [FINE, LOST]}
        )

    monkeypatch.setattr(cli.alerts, "ask", ask)
    return questions


def test_all_and_one(asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["alerts", "test"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ops: delivered",
        "chat: not delivered: https://c.example:443/... answers with status 404?[2J",
    ]
    assert cli.main(["alerts", "test", "ops", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"alerts": [FINE]}
    assert asked == [("POST", "/v1/alerts/test", {"alert": None}), ("POST", "/v1/alerts/test", {"alert": "ops"})]


def test_who_is_asked_must_be_an_opendmux(
    asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["alerts", "test", "old"]) == 1
    assert "is not an opendmux" in capsys.readouterr().err
    assert issubclass(CommandError, Exception)
