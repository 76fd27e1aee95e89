"""`opendmux top`: its frames at many sizes, and when it refuses to run. The terminal itself: tests/e2e/test_top.py."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.cells import cell_len

from opendmux import cli
from opendmux.cli import top
from opendmux.cli._top_frame import SORTS, View, frame
from opendmux.errors import CommandError

from .test_status import CLIENT, EVIL, OPEND, SNAPSHOT, SUBSCRIPTION

HERE = View("127.0.0.1:33333")


def client(number: int, **changed: Any) -> dict[str, Any]:
    return {**CLIENT, "id": str(number), "client_id": f"program-{number}", **changed}


(PROTOCOL,) = OPEND["protocols"]
CROWD: dict[str, Any] = {
    **SNAPSHOT,
    "clients": [client(n, requests_per_s=float(n % 7), outbox_bytes=(n * 37) % 101) for n in range(200)],
    "subscriptions": [{**SUBSCRIPTION, "security": f"HK.{n:05}", "holders": n} for n in range(300)],
    "opends": [{**OPEND, "protocols": [PROTOCOL] * 40}],
    "rejects": SNAPSHOT["rejects"] * 50,
    "limits": SNAPSHOT["limits"] * 60,
}


def texts(found: dict[str, Any], view: View = HERE, columns: int = 80, lines: int = 24) -> list[str]:
    return [line.text for line in frame(found, view, columns, lines)]


@pytest.mark.parametrize("found", [CROWD, {**CROWD, "clients": [client(1, client_id="\u6e2f" * 60, peer="p" * 90)]}])
@pytest.mark.parametrize("columns", [20, 40, 80, 81, 132, 300])
@pytest.mark.parametrize("lines", [4, 10, 24, 25, 60, 500])
def test_a_frame_fits(found: dict[str, Any], columns: int, lines: int) -> None:
    shown = texts(found, columns=columns, lines=lines)
    assert len(shown) == lines
    assert max(map(cell_len, shown)) <= columns
    assert shown[-1].startswith("q quit")


def test_a_small_terminal_shows_some_of_everything() -> None:
    shown = "\n".join(texts(CROWD))
    for word in ("127.0.0.1:33333", "ready", "OPEND", "CLIENTS ", "/200", "REQUESTS ", "/40", "SUBSCRIPTIONS ", "/300"):
        assert word in shown
    for word in ("TURNED AWAY", "too many", "LIMITS OF KEYS", "3014 Qot_GetBroker"):
        assert word in shown
    assert all(text == text.rstrip() for text in texts(CROWD))


def test_a_wide_terminal_shows_more_columns() -> None:
    assert "PEER" not in "\n".join(texts(CROWD))
    assert "PEER" in "\n".join(texts(CROWD, columns=200))


@pytest.mark.parametrize("order", SORTS)
def test_clients_are_sorted(order: str) -> None:
    shown = texts(CROWD, HERE._replace(sort=order), lines=60)
    start = next(place for place, line in enumerate(shown) if line.startswith("CLIENTS"))
    ids = [line.split()[0] for line in shown[start + 1 : start + 9]]
    expected = sorted(CROWD["clients"], key=SORTS[order], reverse=True)[:8]
    assert ids == [one["id"] for one in expected]
    assert f"s sort: {order}" in shown[-1]


def condition(text: str, *, active: bool = True, blocks: bool = False, kind: str = "quota") -> dict[str, Any]:
    about = {"active": active, "blocks": blocks, "since": "2026-11-21T09:57:00.000000Z"}
    return {"kind": kind, "conclusion": text, "figures": "3 left.", **about}


def test_what_is_wrong_stands_first() -> None:
    conditions = [condition("An old story.", active=False), condition("Nearly full."), condition("Code!", blocks=True)]
    frozen = {"text": "everybody is frozen"}
    changed = {"ready": False, "reasons": ["OpenD is away"], "audit": {"healthy": False}, "freezes": [frozen]}
    shown = texts({**SNAPSHOT, **changed, "conditions": conditions})
    assert "NOT READY" in shown[0]
    assert shown[1:6] == [
        "! Code! 3 left.",
        "! Nearly full. 3 left.",
        "! everybody is frozen",
        "! the audit log can't be written: orders are refused",
        "! 3m ago: An old story. 3 left.",
    ]
    shown = texts({**SNAPSHOT, **changed})
    assert shown[1:3] == ["! OpenD is away", "! everybody is frozen"]


def test_what_a_condition_says_already_is_not_said_again() -> None:
    changed = {"audit": {"healthy": False}, "freezes": [{"text": "everybody is frozen"}]}
    conditions = [condition("All is frozen.", kind="frozen"), condition("No audit.", kind="audit")]
    shown = texts({**SNAPSHOT, **changed, "conditions": conditions})
    assert [line for line in shown if line.startswith("!")] == ["! All is frozen. 3 left.", "! No audit. 3 left."]


def test_long_and_many_sentences() -> None:
    shown = texts({**SNAPSHOT, "conditions": [condition("so it goes on " * 50) for _ in range(9)]})
    assert shown[1].startswith("! so it")
    assert shown[2].endswith(" ...")
    assert shown[7] == "! and 6 more: see `opendmux status`"


def test_a_lost_connection_and_a_pause_are_said() -> None:
    shown = texts(SNAPSHOT, View("h:1", paused=True, lost="no news for 3 s"))
    assert "PAUSED" in shown[0]
    assert "NO CONNECTION" in shown[0]
    assert shown[1] == "! no news for 3 s"
    assert "p go on" in shown[-1]


def test_names_of_peers_move_no_cursor() -> None:
    shown = "\n".join(texts(SNAPSHOT, columns=300))
    assert "?]0;mine?<script>?" in shown
    assert not any(character in shown for character in EVIL if not character.isprintable())


def test_nobody_there_and_nothing_subscribed() -> None:
    empty: dict[str, Any] = {"clients": [], "subscriptions": [], "rejects": [], "limits": [], "opends": []}
    shown = texts({**SNAPSHOT, **empty})
    assert not any(shown[2:-1])


# -- the command


def test_once_and_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(top, "status", lambda _args: SNAPSHOT)
    assert cli.main(["top", "--once"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("opendmux 1.2.3 on 127.0.0.1:33333  ready")
    assert "HK.00700" in out
    assert "\x1b" not in out
    assert max(map(cell_len, out.splitlines())) <= 80
    assert cli.main(["top", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == SNAPSHOT


def test_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["top"]) == 2
    assert "--once" in capsys.readouterr().err


@pytest.mark.parametrize("term", ["dumb", ""])
def test_with_a_terminal_that_only_prints(
    term: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", term)
    assert cli.main(["top"]) == 2
    assert "TERM" in capsys.readouterr().err


def test_nobody_answers_at_the_start(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def status(_args: object) -> dict[str, Any]:
        raise CommandError("nothing listens")

    monkeypatch.setattr(top, "status", status)
    assert cli.main(["top", "--once"]) == 1
    assert capsys.readouterr().err == "opendmux: nothing listens\n"
