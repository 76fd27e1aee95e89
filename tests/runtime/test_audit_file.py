"""Files of the audit log: crashes, days, folders, files moved away, and what can't be written."""

# ruff: noqa: ASYNC240 (small files of a test's own)

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from opendmux.errors import ConfigError
from opendmux.runtime import audit_file
from opendmux.runtime.audit import RETRY_S, AuditLog

from .audit_kit import DAY, Disk, Wall, event, judged, once, said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def disk() -> Disk:
    return Disk()


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
