"""The house is looked after while it runs; what begins and what is over is put down once."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio
from trio.testing import MockClock

from opendmux.config import WatchConfig
from opendmux.core.access import Access
from opendmux.core.conditions import Conditions, Kind
from opendmux.core.keys import Key, Keyring, digest_of
from opendmux.runtime.house import House
from opendmux.runtime.vigil import Notes, vigil

WALL = 1_700_000_000.0
PLAINTEXT = "fc_secret"


async def test_keys_are_looked_at(autojump_clock: MockClock) -> None:
    key = Key("bot", frozenset(), expires_at=WALL + 3600)
    house = House(Access(Keyring.of([(key, digest_of(PLAINTEXT), None)])))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vigil, house, WatchConfig, Notes(), lambda: WALL)
        await trio.sleep(0.5)
        assert [(one.kind, one.subject) for one in house.conditions.active()] == [(Kind.KEY_EXPIRING, "bot")]
        house.access.keyring = None
        await trio.sleep(30)
        assert house.conditions.active() == []
        nursery.cancel_scope.cancel()


async def test_the_audit_log_is_looked_at(autojump_clock: MockClock) -> None:
    house = House()
    log = SimpleNamespace(path=Path("/var/log/audit.jsonl"), trusted=False)
    house.audit = log  # type: ignore[assignment]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vigil, house, WatchConfig, Notes())
        await trio.sleep(0.5)
        (one,) = house.conditions.active()
        assert (one.kind, one.subject, one.blocks) == (Kind.AUDIT, "/var/log/audit.jsonl", True)
        log.trusted = True
        await trio.sleep(2)
        assert house.conditions.active() == []
        nursery.cancel_scope.cancel()


def test_one_line_at_the_begin_and_one_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    book = Conditions()
    book.on_change.append(Notes().heard)
    for now in (1.0, 2.0):
        book.begin(Kind.KICKED, "A", now, opend="A")
        book.begin(Kind.UPSTREAM_DOWN, "A", now, opend="A")
    book.over(Kind.KICKED, "A", 31.0, opend="A")
    book.over(Kind.UPSTREAM_DOWN, "A", 31.0, opend="A")
    said = "OpenD at A was logged out: its account logged in at another place, or was logged out from there"
    assert [(one.levelname, one.getMessage().split(".")[0]) for one in caplog.records] == [
        ("WARNING", f"kicked: {said}"),
        ("INFO", f"over after 30 s: {said}"),
    ]
    assert "Next step: Find the other terminal" in caplog.text


def test_a_crowd_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    book, notes = Conditions(), Notes()
    book.on_change.append(notes.heard)
    markets = [f"market {number}" for number in range(20)]
    for market in markets:
        book.begin(Kind.RIGHT_LOST, market, 1.0, "LV2 before, BMP now.", opend="A")
    assert not caplog.records
    notes.flush(1.5)
    (line,) = caplog.messages
    assert line.startswith("right_lost: OpenD at A has lost its quote right for market 0, market 1, ")
    assert " market 9 and 10 more: " in line
    assert line.count("LV2 before, BMP now.") == 1
    for market in markets:
        book.over(Kind.RIGHT_LOST, market, 31.0, opend="A")
    book.begin(Kind.RIGHT_LOST, markets[0], 31.5, "LV2 before, LV1 now.", opend="A")
    notes.flush(32.0)
    assert [message.split(":")[0] for message in caplog.messages] == ["right_lost", "over after 30 s", "right_lost"]
    notes.flush(33.0)
    assert len(caplog.messages) == 3
