"""Daily values on disk: a restart forgets nothing, and a disk that fails stops nothing."""

from __future__ import annotations

import logging
import sqlite3
import stat
from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from opendmux.core.keys import Key, KeyLimits
from opendmux.core.limits import DailyRow, Limits, Reservation
from opendmux.errors import ConfigError
from opendmux.runtime import store as store_module
from opendmux.runtime.store import RETRY_S, Store, open_store

KEY = Key("bot", frozenset(), KeyLimits(max_daily_value=1000.0))
WALL = 1_773_144_000.0
DAY = int(WALL // 86_400)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def rows_in(path: Path) -> list[tuple[str, int, str]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT key_id, utc_day, value FROM daily_value ORDER BY 1, 2").fetchall()
    connection.close()
    return found


def shut(store: Store) -> None:
    store._connection.close()


async def keep(store: Store, rows: Iterable[DailyRow]) -> None:
    """Write these and end."""
    waiting = [list(rows)]
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run, lambda: waiting.pop() if waiting else [])
        store.wake()
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def test_values_survive_a_restart(path: Path) -> None:
    limits = Limits()
    store = open_store(path)
    assert store.rows == []
    limits.on_change = store.wake
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run, limits.changes)
        assert isinstance(limits.reserve(KEY, Decimal("600.25"), WALL), Reservation)
        nursery.cancel_scope.cancel()
    again = open_store(path)
    assert again.rows == [DailyRow("bot", DAY, Decimal("600.25"))]
    later = Limits()
    later.restore(again.rows)
    assert later.headroom(KEY, 0.0, WALL).daily_value == Decimal("399.75")
    shut(again)


async def test_a_change_is_on_disk_without_anybody_waiting_for_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash right after the write loses nothing: what the log holds is read by the next process."""
    store, written = open_store(path), trio.Event()
    original = store_module._put
    token = trio.lowlevel.current_trio_token()

    def put(connection: sqlite3.Connection, rows: list[DailyRow]) -> None:
        original(connection, rows)
        token.run_sync_soon(written.set)

    monkeypatch.setattr(store_module, "_put", put)
    async with trio.open_nursery() as nursery:
        limits = Limits()
        limits.on_change = store.wake
        await nursery.start(store.run, limits.changes)
        limits.reserve(KEY, Decimal(5), WALL)
        await written.wait()
        crashed = path.with_name("crashed.db")
        for suffix in ("", "-wal"):
            crashed.with_name(crashed.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
        nursery.cancel_scope.cancel()
    found = open_store(crashed)
    assert found.rows == [DailyRow("bot", DAY, Decimal(5))]
    shut(found)


async def test_the_newest_value_stays_and_old_days_go(path: Path) -> None:
    await keep(open_store(path), [DailyRow("bot", 100, Decimal(1)), DailyRow("bot", 110, Decimal(2))])
    await keep(open_store(path), [DailyRow("bot", 110, Decimal("3.5")), DailyRow("ant", 132, Decimal("1e30"))])
    assert rows_in(path) == [("ant", 132, f"{10**30}"), ("bot", 110, "3.5")]


async def test_nothing_is_written_when_nothing_has_changed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_put", None)
    await keep(open_store(path), [])
    assert rows_in(path) == []


async def test_a_disk_that_fails_is_told_of_once_and_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    limits, store = Limits(), open_store(path)
    limits.on_change = store.wake
    original = store_module._put
    tries: list[list[Decimal]] = []

    def put(connection: sqlite3.Connection, rows: list[DailyRow]) -> None:
        tries.append([row.value for row in rows])
        if len(tries) < 3:
            raise sqlite3.OperationalError("database or disk is full")
        original(connection, rows)

    monkeypatch.setattr(store_module, "_put", put)
    with caplog.at_level(logging.WARNING, "opendmux.store"):
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run, limits.changes)
            limits.reserve(KEY, Decimal(5), WALL)
            await trio.sleep(RETRY_S / 2)
            assert store.failing
            limits.reserve(KEY, Decimal(7), WALL)
            await trio.sleep(RETRY_S * 3)
            assert not store.failing
            nursery.cancel_scope.cancel()
    assert tries == [[5], [12], [12]]
    first, second = caplog.messages
    assert first == (
        f"{path}: daily values can't be written: database or disk is full; "
        "they are kept in memory and tried again every 5 s"
    )
    assert second == f"{path}: daily values are written again"
    assert rows_in(path) == [("bot", DAY, "12")]
    assert limits.headroom(KEY, 0.0, WALL).daily_value == 988


async def test_what_can_not_be_written_at_the_end_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def put(_connection: sqlite3.Connection, _rows: list[DailyRow]) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(store_module, "_put", put)
    await keep(open_store(path), [DailyRow("bot", DAY, Decimal(5))])
    assert caplog.messages[-1] == f"{path}: the last daily values of 1 keys are not on disk"


async def test_a_real_failure_inside_a_transaction_is_rolled_back(path: Path) -> None:
    store = open_store(path)
    store._connection.execute("CREATE TEMP TRIGGER no BEFORE DELETE ON daily_value BEGIN SELECT RAISE(FAIL, 'no'); END")
    store_module._put(store._connection, [DailyRow("bot", 1, Decimal(5))])
    with pytest.raises(sqlite3.IntegrityError):
        store_module._put(store._connection, [DailyRow("bot", 100, Decimal(6))])
    assert not store._connection.in_transaction
    shut(store)
    assert rows_in(path) == [("bot", 1, "5")]


# -- files that are not to be used


def test_nobody_else_can_read_the_file(path: Path) -> None:
    shut(open_store(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def assert_refused(path: Path, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        open_store(path)
    assert str(path) in str(caught.value)


def test_a_damaged_file(path: Path) -> None:
    path.write_bytes(b"this is no database, and longer than a header of one would be" * 20)
    assert_refused(path, "not a database")
    assert path.read_bytes().startswith(b"this is no database"), "left as it was"


def test_a_file_that_is_damaged_inside(path: Path) -> None:
    shut(open_store(path))
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert_refused(path, "malformed|btree|Tree|tree")


@pytest.mark.parametrize("value", ["much", "NaN", "-1", "Infinity"])
def test_a_value_that_is_none(path: Path, value: str) -> None:
    shut(open_store(path))
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO daily_value VALUES ('bot', 1, ?)", (value,))
    connection.close()
    assert_refused(path, "is no value")


def test_the_database_of_another_program(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    assert_refused(path, "belongs to another program")


def test_a_later_version(path: Path) -> None:
    shut(open_store(path))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    assert_refused(path, "has version 2, this opendmux reads 1")


def test_a_file_in_use(path: Path) -> None:
    store = open_store(path)
    assert_refused(path, "another opendmux is using it")
    shut(store)
    shut(open_store(path))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert_refused(tmp_path / "nowhere" / "state.db", "No such file or directory")
    assert_refused(tmp_path, "Is a directory")


def test_a_file_that_can_not_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shut(open_store(path))
    # Root may write to anything, so the connection itself is read-only here.
    read_only = partial(sqlite3.connect, f"file:{path}?mode=ro", uri=True)
    monkeypatch.setattr(sqlite3, "connect", lambda _path, **options: read_only(**options))
    assert_refused(path, "readonly|disk I/O error")
