"""The audit log at work: batches, promises, a disk that fails, and stops."""

# ruff: noqa: ASYNC240 (small files of a test's own)

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from opendmux.runtime import audit
from opendmux.runtime.audit import PROMISE_S, QUEUE_MAX, RETRY_S, AuditLog

from .audit_kit import Disk, Wall, event, full, judged, said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def disk() -> Disk:
    return Disk()


async def test_what_is_written_is_one_chain(path: Path, disk: Disk, autojump_clock: MockClock) -> None:
    log = AuditLog(str(path), wall=Wall(), in_thread=disk)
    told: list[bool] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        log.write(event(1))
        log.write(event(2), then=told.append)
        assert told == []
        await wait_all_tasks_blocked()
        assert told == [True]
        assert log.queued == 0
        nursery.cancel_scope.cancel()
    assert said(path) == ["audit begins", "proto_id=1", "proto_id=2", "audit ends"]
    assert judged(path).closed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_all_that_came_meanwhile_is_one_batch_with_one_sync(
    path: Path, disk: Disk, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(str(path), wall=Wall(), in_thread=disk)
    syncs: list[int] = []
    monkeypatch.setattr(os, "fdatasync", syncs.append)
    told: list[bool] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        for number in range(50):
            log.write(event(number), then=told.append)
        await wait_all_tasks_blocked()
        assert (disk.runs, len(syncs), told) == (1, 1, [True] * 50)
        log.write(event(60))
        await wait_all_tasks_blocked()
        assert (disk.runs, len(syncs)) == (2, 1), "nobody waits for it, so it is not synced"
        nursery.cancel_scope.cancel()


async def test_a_slow_disk_keeps_nobody_longer_than_promised(
    path: Path, disk: Disk, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    log = AuditLog(str(path), wall=Wall(), in_thread=disk)
    told: list[tuple[bool, float]] = []
    disk.free = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        start = trio.current_time()
        log.write(event(1), then=lambda ok: told.append((ok, trio.current_time() - start)))
        await trio.sleep(1)
        log.write(event(2), then=lambda ok: told.append((ok, trio.current_time() - start)))
        await trio.sleep(PROMISE_S + 0.1)
        assert told == [(False, PROMISE_S), (False, PROMISE_S + 1)]
        assert not log.healthy
        disk.free.set()
        await wait_all_tasks_blocked()
        assert log.healthy
        assert len(told) == 2
        nursery.cancel_scope.cancel()
    assert "proto_id=2" in said(path), "it is written all the same"
    assert "took longer" in caplog.text


@pytest.mark.parametrize("room", [0, 1, 700])
async def test_a_full_disk_is_told_and_nothing_is_lost(
    path: Path, disk: Disk, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    log = AuditLog(str(path), wall=Wall(), in_thread=disk)
    told: list[tuple[int, bool]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        with full(monkeypatch, room):
            for number in range(3):
                log.write(event(number), then=lambda ok, number=number: told.append((number, ok)))  # type: ignore[misc]
            await wait_all_tasks_blocked()
            assert told == [(0, False), (1, False), (2, False)]
            assert not log.healthy
            await trio.sleep(RETRY_S * 1.5)
            log.write(event(3), then=lambda ok: told.append((3, ok)))
            await trio.sleep(RETRY_S)
            assert told[3:] == [(3, False)]
            judged(path)
        await trio.sleep(RETRY_S * 1.5)
        assert log.healthy
        log.write(event(4), then=lambda ok: told.append((4, ok)))
        await wait_all_tasks_blocked()
        assert told[4:] == [(4, True)]
        nursery.cancel_scope.cancel()
    assert said(path) == ["audit begins", *(f"proto_id={number}" for number in range(5)), "audit ends"]
    judged(path)


async def test_when_nothing_can_be_taken_back_the_scrap_is_noted(
    path: Path, disk: Disk, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(str(path), wall=Wall(), in_thread=disk)

    def no_truncate(_fd: int, _size: int) -> None:
        raise OSError(5, "Input/output error")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        with full(monkeypatch, 100), monkeypatch.context() as patched:
            patched.setattr(os, "ftruncate", no_truncate)
            log.write(event(1))
            await wait_all_tasks_blocked()
        await trio.sleep(RETRY_S * 2)
        assert log.healthy
        nursery.cancel_scope.cancel()
    assert judged(path).torn == 1
    assert b"audit torn" in path.read_bytes()
    assert b"proto_id=1" in path.read_bytes()


async def test_a_full_queue_drops_and_says_how_many(
    path: Path, disk: Disk, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "QUEUE_MAX", 3)
    assert QUEUE_MAX > 1000
    log = AuditLog(str(path), wall=Wall(), in_thread=disk)
    told: list[bool] = []
    disk.free = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        log.write(event(0))
        await wait_all_tasks_blocked()
        log.write(event(1))
        assert log.trusted
        log.write(event(2))
        assert not log.trusted, "the outcome of an order sent now might find no room"
        log.write(event(3))
        log.write(event(4), then=told.append)
        log.write(event(5))
        assert told == [], "never from inside the call"
        await wait_all_tasks_blocked()
        assert told == [False]
        assert log.lost == 2
        disk.free.set()
        await wait_all_tasks_blocked()
        assert log.trusted
        nursery.cancel_scope.cancel()
    reasons = dict(zip(said(path), said(path, "reason"), strict=True))
    assert reasons["audit lost"] == "2 events"
    assert [name for name in reasons if "proto" in str(name)] == [f"proto_id={number}" for number in range(4)]


async def test_a_crash_of_the_waiting_does_not_stop_the_log(
    path: Path, disk: Disk, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    log = AuditLog(str(path), wall=Wall(), in_thread=disk)
    told: list[bool] = []

    def crash(_ok: bool) -> None:
        raise RuntimeError("a bug")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        log.write(event(1), then=crash)
        log.write(event(2), then=told.append)
        await wait_all_tasks_blocked()
        assert told == [True]
        nursery.cancel_scope.cancel()
    assert "a crash over an audit record" in caplog.text


async def test_a_stop_writes_what_is_queued(path: Path, disk: Disk, autojump_clock: MockClock) -> None:
    log = AuditLog(str(path), wall=Wall(), in_thread=disk)
    told: list[bool] = []
    disk.free = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        log.write(event(1), then=told.append)
        await wait_all_tasks_blocked()
        log.write(event(2))
        nursery.cancel_scope.cancel()
        disk.free.set()
    assert said(path) == ["audit begins", "proto_id=1", "proto_id=2", "audit ends"]
    assert told == [True]


async def test_a_stop_does_not_wait_for_ever(
    path: Path, disk: Disk, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    log = AuditLog(str(path), wall=Wall(), in_thread=disk)
    told: list[bool] = []
    disk.free = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        log.write(event(1), then=told.append)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert trio.current_time() < 100
    assert told == [False]
    assert "could not be written" in caplog.text
    log.write(event(2))
    assert log.lost == 1


async def test_with_a_real_thread(path: Path) -> None:
    log = AuditLog(str(path))
    synced = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        log.write(event(1), then=lambda _ok: synced.set())
        with trio.fail_after(30):
            await synced.wait()
        log.write(event(2))
        nursery.cancel_scope.cancel()
    assert said(path) == ["audit begins", "proto_id=1", "proto_id=2", "audit ends"]
