"""The audit log at work: batches, promises, a disk that fails, daily files, crashes and stops."""

# ruff: noqa: ASYNC240 (small files of a test's own)

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from opendmux.core.audit import AuditEvent
from opendmux.core.audit_verify import Verdict, verify
from opendmux.errors import ConfigError
from opendmux.runtime import audit, audit_file
from opendmux.runtime.audit import PROMISE_S, QUEUE_MAX, RETRY_S, AuditLog

DAY = 86_400.0
WALL = 20_000 * DAY + 60.0


def event(number: int) -> AuditEvent:
    return AuditEvent("tcp", "peer", "bot", f"proto_id={number}", "success")


class Disk:
    """Stands for the worker thread: runs in Trio's thread, or is stuck."""

    def __init__(self) -> None:
        self.runs = 0
        self.free = trio.Event()
        self.free.set()

    async def __call__(self, blocking: Callable[[], None]) -> None:
        await trio.lowlevel.checkpoint()
        await self.free.wait()
        self.runs += 1
        blocking()


class Wall:
    now = WALL

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def disk() -> Disk:
    return Disk()


def said(path: Path, name: str = "endpoint") -> list[object]:
    return [json.loads(line)[name] for line in path.read_bytes().splitlines()]


def judged(*paths: Path) -> Verdict:
    verdict = verify([(path.name, path.read_bytes().splitlines(keepends=True)) for path in paths])
    assert verdict.broken is None, verdict.broken
    return verdict


@contextmanager
def full(monkeypatch: pytest.MonkeyPatch, after: int = 0) -> Iterator[None]:
    """A disk that takes ``after`` bytes more and then no more."""
    room = [after]

    def write(fd: int, data: memoryview) -> int:
        if room[0] == 0:
            raise OSError(28, "No space left on device")
        taken = os_write(fd, data[: room[0]])
        room[0] -= taken
        return taken

    os_write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        yield


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
        for number in range(1, 4):
            log.write(event(number))
        log.write(event(4), then=told.append)
        log.write(event(5))
        assert told == [], "never from inside the call"
        await wait_all_tasks_blocked()
        assert told == [False]
        assert log.lost == 2
        disk.free.set()
        await wait_all_tasks_blocked()
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


# -- files


async def once(log: AuditLog, *numbers: int) -> None:
    """Write these and stop."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        for number in numbers:
            log.write(event(number))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def test_the_next_process_goes_on_with_the_chain(path: Path, disk: Disk, autojump_clock: MockClock) -> None:
    await once(AuditLog(str(path), wall=Wall(), in_thread=disk), 1)
    await once(AuditLog(str(path), wall=Wall(), in_thread=disk), 2)
    assert said(path) == ["audit begins", "proto_id=1", "audit ends", "audit continues", "proto_id=2", "audit ends"]
    assert judged(path).last_seq == 6


@pytest.mark.parametrize("cut", [1, 30, 200])
async def test_a_torn_line_is_completed_and_noted(path: Path, disk: Disk, autojump_clock: MockClock, cut: int) -> None:
    await once(AuditLog(str(path), wall=Wall(), in_thread=disk), 1)
    whole = path.read_bytes()
    path.write_bytes(whole + whole.splitlines(keepends=True)[1][:cut])
    await once(AuditLog(str(path), wall=Wall(), in_thread=disk), 2)
    verdict = judged(path)
    assert verdict.torn == 1
    assert path.read_bytes().startswith(whole)


async def test_a_line_without_its_line_end_is_a_good_one(path: Path, disk: Disk, autojump_clock: MockClock) -> None:
    await once(AuditLog(str(path), wall=Wall(), in_thread=disk), 1)
    path.write_bytes(path.read_bytes()[:-1])
    await once(AuditLog(str(path), wall=Wall(), in_thread=disk), 2)
    assert judged(path).torn == 0
    assert said(path)[2:4] == ["audit ends", "audit continues"]


async def test_a_crash_over_the_very_first_line(path: Path, disk: Disk, autojump_clock: MockClock) -> None:
    path.write_bytes(b'{"timest')
    await once(AuditLog(str(path), wall=Wall(), in_thread=disk), 1)
    assert judged(path).torn == 1


async def test_a_crash_while_a_torn_line_is_noted(path: Path, disk: Disk, autojump_clock: MockClock) -> None:
    await once(AuditLog(str(path), wall=Wall(), in_thread=disk), 1)
    path.write_bytes(path.read_bytes() + b'{"timestamp":"20\n{"timesta')
    await once(AuditLog(str(path), wall=Wall(), in_thread=disk), 2)
    assert judged(path).torn == 2


def test_another_file_is_left_alone(path: Path) -> None:
    path.write_text("dear diary\n")
    with pytest.raises(ConfigError, match="not an audit log"):
        AuditLog(str(path))
    assert path.read_text() == "dear diary\n"


async def test_an_edited_end_is_not_gone_on_with(path: Path, disk: Disk, autojump_clock: MockClock) -> None:
    await once(AuditLog(str(path), wall=Wall(), in_thread=disk), 1)
    path.write_bytes(path.read_bytes().replace(b"audit ends", b"audit eNds"))
    with pytest.raises(ConfigError, match="edited"):
        AuditLog(str(path))


def test_two_processes_do_not_share_a_file(path: Path) -> None:
    first = AuditLog(str(path))
    with pytest.raises(ConfigError, match="another process"):
        AuditLog(str(path))
    first._file.close()


@pytest.mark.parametrize("name", ["no/such/audit.jsonl", "file.txt/sub", "fifo.jsonl"])
def test_a_path_that_can_not_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").write_text("x")
    os.mkfifo(tmp_path / "fifo.jsonl")
    with pytest.raises(ConfigError, match="audit log"):
        AuditLog(str(tmp_path / name))


@pytest.mark.parametrize("name", ["logs", "logs.d/", "there.is"])
async def test_a_folder_has_daily_files_of_one_chain(
    tmp_path: Path, disk: Disk, autojump_clock: MockClock, name: str
) -> None:
    (tmp_path / "there.is").mkdir()
    wall = Wall()
    folder = tmp_path / name
    log = AuditLog(f"{tmp_path}/{name}", wall=wall, in_thread=disk)
    if name != "there.is":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    told: list[bool] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        log.write(event(1))
        wall.now += DAY
        log.write(event(2), then=told.append)
        log.write(event(3))
        await wait_all_tasks_blocked()
        assert told == [True]
        wall.now -= 3600
        log.write(event(4))
        await wait_all_tasks_blocked()
        wall.now += 3600 + DAY
        nursery.cancel_scope.cancel()
    files = audit_file.daily_files(folder)
    assert [path.name for path in files] == [
        "opendmux-audit.2024-10-04.jsonl",
        "opendmux-audit.2024-10-05.jsonl",
        "opendmux-audit.2024-10-06.jsonl",
    ]
    assert said(files[1]) == ["audit begins", "proto_id=2", "proto_id=3", "proto_id=4"]
    assert judged(*files).closed
    wall.now += DAY
    await once(AuditLog(f"{tmp_path}/{name}", wall=wall, in_thread=disk), 5)
    assert judged(*audit_file.daily_files(folder)).first_seq == 1


async def test_a_folder_whose_newest_file_has_no_good_line(
    tmp_path: Path, disk: Disk, autojump_clock: MockClock
) -> None:
    wall = Wall()
    await once(AuditLog(f"{tmp_path}/", wall=wall, in_thread=disk), 1)
    (tmp_path / "opendmux-audit.2024-10-05.jsonl").write_bytes(b'{"time')
    wall.now += DAY
    await once(AuditLog(f"{tmp_path}/", wall=wall, in_thread=disk), 2)
    assert judged(*audit_file.daily_files(tmp_path)).torn == 1


async def test_a_file_that_was_moved_away_is_begun_anew(path: Path, disk: Disk, autojump_clock: MockClock) -> None:
    log = AuditLog(str(path), wall=Wall(), in_thread=disk)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        log.write(event(1))
        await wait_all_tasks_blocked()
        path.rename(path.with_suffix(".1"))
        log.reopen()
        await wait_all_tasks_blocked()
        log.write(event(2))
        await wait_all_tasks_blocked()
        log.reopen()
        await wait_all_tasks_blocked()
        log.write(event(3))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert said(path) == ["audit begins", "proto_id=2", "proto_id=3", "audit ends"]
    assert judged(path.with_suffix(".1"), path).first_seq == 1
    assert log.path == path


async def test_a_place_that_is_gone_at_reopening_is_waited_for(
    tmp_path: Path, disk: Disk, autojump_clock: MockClock
) -> None:
    folder = tmp_path / "sub"
    folder.mkdir()
    log = AuditLog(str(folder / "audit.jsonl"), wall=Wall(), in_thread=disk)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        folder.rename(tmp_path / "away")
        log.reopen()
        await wait_all_tasks_blocked()
        assert not log.healthy
        log.write(event(1))
        folder.mkdir()
        await trio.sleep(RETRY_S * 2)
        assert log.healthy
        nursery.cancel_scope.cancel()
    assert said(folder / "audit.jsonl") == ["audit begins", "proto_id=1", "audit ends"]
    assert log.written == 2
