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
from opendmux.runtime.vigil import note, vigil

WALL = 1_700_000_000.0
PLAINTEXT = "fc_secret"


async def test_keys_are_looked_at(autojump_clock: MockClock) -> None:
    key = Key("bot", frozenset(), expires_at=WALL + 3600)
    house = House(Access(Keyring.of([(key, digest_of(PLAINTEXT), None)])))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(vigil, house, WatchConfig, lambda: WALL)
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
        nursery.start_soon(vigil, house, WatchConfig)
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
    book.on_change.append(note)
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
