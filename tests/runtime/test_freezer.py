"""Freezing while it runs: at once, over a restart, never open by accident, whatever the disk does and whoever else is
at it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from opendmux.core.audit import timestamp_of
from opendmux.core.freezes import Freeze, FrozenMode
from opendmux.core.keys import ALL_SCOPES
from opendmux.runtime.audit import AuditLog
from opendmux.runtime.freezer import FREEZES, FreezeError, Freezer, Frozen, ModeName, kept_freezes
from opendmux.runtime.house import House
from opendmux.runtime.state import StateDir, StateError
from opendmux.wire.messages import decode_untrusted
from opendmux.wire.pb import opend
from tests.core.key_kit import key, ring
from tests.core.trade_kit import place

from .audit_kit import said
from .http_kit import Browser
from .test_admin import ask, proxy
from .world import MemoryListener, world

BOT = key(*ALL_SCOPES, key_id="bot")
PLACE = 2202


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDir]:
    held = StateDir(tmp_path / "state")
    yield held
    held.close()


def freezer(house: House) -> Freezer:
    return Freezer(house, tuple, wall=lambda: 1_767_225_600.0)


def house_with(state: StateDir) -> House:
    house = House(state=state)
    house.access.keyring = ring(BOT)
    return house


async def change(of: Freezer, mode: ModeName, key_id: str | None = None) -> Frozen:
    return await of.change(key_id, mode, by="ops", peer="p", asker="ops")


def after_restart(state: StateDir) -> list[tuple[str | None, str]]:
    state.close()
    kept = kept_freezes(state, 0.0)
    state.close()
    return [(freeze.key, freeze.mode.value) for freeze in kept.active()]


def in_force(of: Freezer) -> list[tuple[str | None, str]]:
    return [(freeze.key, freeze.mode.value) for freeze in of.show().freezes]


async def test_it_survives_a_restart_until_it_is_lifted(state: StateDir) -> None:
    here = freezer(house_with(state))
    assert after_restart(state) == []
    await change(here, "read-only")
    await change(here, "cancel-only", "bot")
    assert in_force(here) == after_restart(state) == [(None, "read-only"), ("bot", "cancel-only")]
    await change(here, "off")
    assert in_force(here) == after_restart(state) == [("bot", "cancel-only")]
    await change(here, "read-only", "bot")
    await change(here, "cancel-only", "bot")
    assert in_force(here) == after_restart(state) == [("bot", "cancel-only")]
    await change(here, "off", "bot")
    assert in_force(here) == after_restart(state) == []


async def test_who_froze_first_stays_on_record(state: StateDir) -> None:
    here = freezer(house_with(state))
    await change(here, "read-only")
    (first,) = here.show().freezes
    await here.change(None, "read-only", by="another", peer="p", asker="another")
    assert here.show().freezes == [first]
    assert first.by == "ops"


async def test_a_key_that_is_not_there_can_not_be_frozen_and_one_that_vanished_can_be_thawed(state: StateDir) -> None:
    house = house_with(state)
    here = freezer(house)
    for mode in ("read-only", "off"):
        with pytest.raises(FreezeError, match="there is no key with the id 'bto'"):
            await change(here, mode, "bto")
    await change(here, "read-only", "bot")
    house.access.keyring = ring()
    assert in_force(here) == [("bot", "read-only")]
    await change(here, "off", "bot")
    house.access.keyring = None
    with pytest.raises(FreezeError, match="no keys are configured"):
        await change(here, "read-only", "bot")
    assert in_force(here) == after_restart(state) == []


async def test_a_freeze_that_holds_for_nobody_is_told_as_that(state: StateDir, autojump_clock: MockClock) -> None:
    house = house_with(state)
    of = freezer(house)
    await change(of, "cancel-only")
    await change(of, "read-only", "bot")
    assert [one.stray for one in of.show().freezes] == [False, False]
    for keyring in (ring(key(*ALL_SCOPES, key_id="bot2")), None):
        house.access.keyring = keyring
        of.apply()
        everybody, bot = of.show().freezes
        assert (everybody.stray, bot.stray) == (False, True)
        assert "NO KEY IS CALLED SO" in bot.text()
        assert "`opendmux freeze --key bot --mode off` takes this away" in bot.text()
        told = {one.subject: one.cause for one in house.conditions.active()}
        assert told == {"everybody": "", "the key bot": "stray"}
    house.access.keyring = ring(BOT)
    of.apply()
    assert [one.cause for one in house.conditions.active()] == ["", ""], "it holds again"
    await change(of, "off", "bot")
    assert in_force(of) == [(None, "cancel-only")]


async def test_a_renamed_key_is_told_after_a_reload(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    house = House()
    house.access.keyring = ring(BOT)
    house.access.freezes.put(Freeze("bot", FrozenMode.READ_ONLY, 0.0, "ops"))
    house.read_keys = lambda: ring(key(*ALL_SCOPES, key_id="bot2"))
    async with proxy(house, MemoryListener()) as running:
        assert "holds for nobody" not in caplog.text
        await running.reload()
        assert "frozen for the key bot, but no key is called so: the freeze holds for nobody" in caplog.text


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version":1,"freezes":"none"}'])
async def test_a_damaged_file_freezes_everybody_and_says_so(
    state: StateDir, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    state.write(FREEZES, damage)
    house = house_with(state)
    house.access.freezes = kept_freezes(state, 1_767_225_600.0)
    here = freezer(house)
    assert in_force(here) == [(None, "read-only")]
    assert "FROZEN" in caplog.text
    assert "is damaged" in caplog.text
    await change(here, "cancel-only", "bot")
    assert after_restart(state) == [(None, "read-only"), ("bot", "cancel-only")], "another change does not open it"
    await change(here, "off")
    assert after_restart(state) == [("bot", "cancel-only")]


async def test_a_file_that_can_not_be_read_freezes_everybody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FREEZES).mkdir()
    state = StateDir(tmp_path)
    (freeze,) = kept_freezes(state, 0.0).active()
    assert (freeze.key, freeze.mode) == (None, FrozenMode.READ_ONLY)
    assert "can't be read, the log says why; `opendmux freeze --mode off`" in freeze.text()
    assert "Is a directory" in caplog.text
    state.close()


def failing(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: StateDir, _name: str, _data: bytes) -> None:
        raise StateError("the disk is full")

    monkeypatch.setattr(StateDir, "write", fail)


async def test_a_disk_that_fails_never_opens_anything(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    here = freezer(house_with(state))
    await change(here, "read-only")
    with monkeypatch.context() as patched:
        failing(state, patched)
        for mode in ("cancel-only", "off"):
            with pytest.raises(FreezeError, match="nothing has been changed: the disk is full"):
                await change(here, mode)
        assert in_force(here) == after_restart(state) == [(None, "read-only")]
        with pytest.raises(FreezeError, match="frozen now, but would not be after a restart of opendmux: the disk"):
            await change(here, "read-only", "bot")
        assert in_force(here) == [(None, "read-only"), ("bot", "read-only")], "a kill switch works on a full disk"
        assert after_restart(state) == [(None, "read-only")]
    await change(here, "read-only", "bot")
    assert after_restart(state) == [(None, "read-only"), ("bot", "read-only")]


class SlowDisk:
    """`StateDir.write` waits, in its thread, until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = trio.Semaphore(0)
        self.go = threading.Semaphore(0)
        write = StateDir.write

        def slow(state: StateDir, name: str, data: bytes) -> None:
            trio.from_thread.run_sync(self.begun.release)
            self.go.acquire()
            write(state, name, data)

        monkeypatch.setattr(StateDir, "write", slow)


async def test_a_freeze_that_comes_while_another_is_lifted_holds(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = freezer(house_with(state))
    await change(here, "read-only")
    disk = SlowDisk(monkeypatch)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(change, here, "off")
        await disk.begun.acquire()
        nursery.start_soon(change, here, "read-only")
        nursery.start_soon(change, here, "read-only", "bot")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert ("bot", "read-only") in in_force(here), "at once, not when the disk has its turn"
        disk.go.release(3)
    assert in_force(here) == after_restart(state)
    assert ("bot", "read-only") in in_force(here)


async def test_a_thaw_that_was_asked_for_before_a_freeze_does_not_undo_it(
    state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = freezer(house_with(state))
    await change(here, "cancel-only")
    disk = SlowDisk(monkeypatch)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(change, here, "cancel-only", "bot")
        await disk.begun.acquire()
        nursery.start_soon(change, here, "off")
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.start_soon(change, here, "read-only")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert (None, "read-only") in in_force(here)
        disk.go.release(3)
    assert in_force(here) == after_restart(state) == [(None, "read-only"), ("bot", "cancel-only")]


async def test_a_second_process_may_not_change_what_the_first_holds(state: StateDir) -> None:
    here = freezer(house_with(state))
    await change(here, "cancel-only")
    assert state.path is not None
    other = StateDir(state.path)
    house = house_with(other)
    house.access.freezes = kept_freezes(other, 0.0)
    there = freezer(house)
    assert in_force(there) == [(None, "cancel-only")]
    with pytest.raises(FreezeError, match="another opendmux"):
        await change(there, "off")
    assert in_force(there) == after_restart(state) == [(None, "cancel-only")]


def text_of(body: bytes) -> str:
    return decode_untrusted(opend.ResponseHead, body, 0).retMsg


async def test_what_is_connected_is_frozen_from_the_next_frame_on(autojump_clock: MockClock) -> None:
    async with world() as w:
        client, here = await w.client(), w.proxy.freezer
        await client.request(PLACE, place())
        (sent,) = [await w.opend.requests.receive()]
        w.proxy.house.access.freezes.put(Freeze(None, FrozenMode.READ_ONLY, 0.0, "ops"))
        here.apply()
        assert here.show().in_flight == 1
        (told,) = w.proxy.house.conditions.active()
        assert told.sentence == "Trading is frozen for everybody. Mode read-only, set by ops."
        assert "frozen (read-only) for everybody" in text_of((await client.call(PLACE, place())).body)
        newcomer = await w.client()
        assert "is frozen" in text_of((await newcomer.call(PLACE, place())).body)
        await w.opend.reply(sent, b"\x08\x00")
        await client.receive()
        assert here.show().in_flight == 0
        w.proxy.house.access.freezes.lift(here.show().freezes[0])
        here.apply()
        assert w.proxy.house.conditions.active() == []
        assert w.opend.bodies(PLACE) == [sent.body]


async def order(listener: MemoryListener, body: bytes) -> tuple[int, Any]:
    ours, _theirs = await listener.connect()
    answer = await Browser(ours).get("/v1/freeze", method="POST", host="localhost", body=body)
    return answer.status, json.loads(answer.body)


async def test_over_the_admin_socket(tmp_path: Path) -> None:
    listener, house = MemoryListener(), house_with(StateDir(tmp_path / "state"))
    house.use_audit(AuditLog(str(tmp_path / "audit.log")))
    async with proxy(house, listener):
        status, answer = await order(listener, b'{"mode":"read-only"}')
        (freeze,) = house.access.freezes.active()
        assert freeze.by == "<admin-socket>, admin socket"
        assert (status, answer) == (
            200,
            {
                "freezes": [
                    {
                        "key": None,
                        "mode": "read-only",
                        "since": timestamp_of(freeze.since),
                        "by": freeze.by,
                        "why": "",
                        "dead_man": False,
                        "stray": False,
                        "text": freeze.text(),
                    }
                ],
                "in_flight": 0,
            },
        )
        status, body = await ask(listener, "/v1/freeze")
        assert (status, json.loads(body)["freezes"][0]["mode"]) == (200, "read-only")
        for bad in (b"", b"{}", b'{"mode":"offf"}', b'{"mode":"off","kay":"bot"}', b'{"mode":"off","key":""}', b"[]"):
            status, answer = await order(listener, bad)
            assert (status, answer["error"]["reason"]) == (400, "body")
        status, answer = await order(listener, b'{"mode":"off","key":"nobody"}')
        assert (status, answer["error"]["reason"]) == (404, "key")
        assert len(house.access.freezes.active()) == 1
        assert (await order(listener, b'{"mode":"off","key":null}'))[1]["freezes"] == []
        await wait_all_tasks_blocked()
    house.close()
    found = [said(tmp_path / "audit.log", name) for name in ("endpoint", "outcome", "reason", "key_id")]
    assert [line for line in zip(*found, strict=True) if "freeze" in str(line[0])] == [
        ("freeze read-only", "success", "everybody", "<admin-socket>"),
        ("unfreeze", "failure", "key nobody: there is no key with the id 'nobody'", "<admin-socket>"),
        ("unfreeze", "success", "everybody", "<admin-socket>"),
    ]
