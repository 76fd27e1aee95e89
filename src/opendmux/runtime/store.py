"""The daily values of keys on disk, so that a restart does not hand out a second allowance.

Theory of operation. Everything is read once at the start. Later one task writes what has changed, in a thread, one
transaction at a time; while it writes, changes add up for the next one. Nobody waits for it: an order is on its way
while its value goes to disk, so what a crash can lose is what changed during one transaction. When the disk does not
take a transaction, the counters in memory stay right, the log says so once, and it is tried again until it works.

The file is a SQLite database with a write-ahead log, held by one process alone: two that shared it would each
believe to have the whole allowance.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import trio

from opendmux.core.limits import DailyRow, amount_text
from opendmux.errors import ConfigError

__all__ = ["RETRY_S", "Store", "open_store"]

log = logging.getLogger("opendmux.store")

APPLICATION_ID: Final = 0x6F64_6D78
"""``odmx``, in the header of our files: nobody else's database is ever written to."""
VERSION: Final = 1
DAYS_ON_DISK: Final = 31
"""Older days are deleted; nothing reads them."""
RETRY_S: Final = 5.0
"""After a failed transaction."""
LAST_WRITE_S: Final = 3.0
"""What remains at the end has this long; a disk that hangs must not keep the process from ending."""

SCHEMA: Final = """
CREATE TABLE daily_value (
    key_id TEXT NOT NULL,
    utc_day INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (key_id, utc_day)
) WITHOUT ROWID
"""
PUT: Final = "INSERT OR REPLACE INTO daily_value (key_id, utc_day, value) VALUES (?, ?, ?)"


class Store:
    """The open file. Made by `open_store`; `run` must be running for anything to be written."""

    def __init__(self, path: Path, connection: sqlite3.Connection, rows: Sequence[DailyRow]) -> None:
        self.path = path
        self.rows = rows
        """What an earlier life has left, for `Limits.restore`."""
        self.failing = False
        """The last transaction did not work; it is being tried again."""
        self._connection = connection
        self._news = trio.Event()
        self._pending: dict[tuple[str, int], DailyRow] = {}
        """Taken from the counters and not on disk yet."""

    def wake(self) -> None:
        """There is something to write: `Limits.on_change`."""
        self._news.set()

    def close(self) -> None:
        """For a store whose `run` never began: let go of the file. Idempotent."""
        self._connection.close()

    async def run(
        self,
        changes: Callable[[], Iterable[DailyRow]],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Write what ``changes`` returns whenever `wake` was called, for ever.

        When it is cancelled, what is left is written, within `LAST_WRITE_S`; then the file is closed.
        """
        one_thread = trio.CapacityLimiter(1)
        task_status.started()
        try:
            while True:
                await self._news.wait()
                self._news = trio.Event()
                await self._write(changes, one_thread)
                if self._pending:
                    await trio.sleep(RETRY_S)
                    self.wake()
        finally:
            with trio.move_on_after(LAST_WRITE_S, shield=True) as scope:
                await self._write(changes, one_thread)
                await trio.to_thread.run_sync(self._connection.close, abandon_on_cancel=True, limiter=one_thread)
            if scope.cancelled_caught or self._pending:
                log.error("%s: the last daily values of %d keys are not on disk", self.path, len(self._pending))

    async def _write(self, changes: Callable[[], Iterable[DailyRow]], one_thread: trio.CapacityLimiter) -> None:
        for row in changes():
            self._pending[row.key_id, row.utc_day] = row
        if not self._pending:
            return
        batch = list(self._pending.values())
        try:
            await trio.to_thread.run_sync(_put, self._connection, batch, abandon_on_cancel=True, limiter=one_thread)
        except sqlite3.Error as error:
            if not self.failing:
                log.error(
                    "%s: daily values can't be written: %s; they are kept in memory and tried again every %g s",
                    self.path,
                    error,
                    RETRY_S,
                )
            self.failing = True
            return
        if self.failing:
            log.warning("%s: daily values are written again", self.path)
        self.failing = False
        for row in batch:
            if self._pending.get((row.key_id, row.utc_day)) is row:
                del self._pending[row.key_id, row.utc_day]


def open_store(path: Path) -> Store:
    """Open or create the file, check it, and read it. Call it before the event loop is busy: it blocks.

    Raises ConfigError for a file that is damaged, can't be written, is of another program, or is in use by another
    opendmux. Nothing is repaired or replaced: an allowance that was used up must not come back by accident.
    """
    connection: sqlite3.Connection | None = None
    try:
        # Made by us, so that nobody else can read it from the first moment on.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
        _prepare(connection, path)
        rows = [
            DailyRow(key_id, utc_day, _value(text))
            for key_id, utc_day, text in connection.execute("SELECT key_id, utc_day, value FROM daily_value")
        ]
    except (OSError, sqlite3.Error, ValueError) as error:
        if connection is not None:
            connection.close()
        raise ConfigError(f"the file of daily values {path} can't be used: {_why(error)}") from error
    except ConfigError:
        if connection is not None:
            connection.close()
        raise
    return Store(path, connection, rows)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # The lock is taken here and kept; it also shows whether the file can be written.
    connection.execute("BEGIN IMMEDIATE")
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if (application_id, version, tables) == (0, 0, 0):
        connection.execute(SCHEMA)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
    elif application_id != APPLICATION_ID:
        raise ConfigError(f"the file of daily values {path} belongs to another program")
    elif version != VERSION:
        raise ConfigError(f"the file of daily values {path} has version {version}, this opendmux reads {VERSION}")
    connection.execute("COMMIT")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise ValueError(verdict)


def _put(connection: sqlite3.Connection, rows: Sequence[DailyRow]) -> None:
    """One transaction, in the thread."""
    newest = max(row.utc_day for row in rows)
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(PUT, [(row.key_id, row.utc_day, amount_text(row.value)) for row in rows])
        connection.execute("DELETE FROM daily_value WHERE utc_day < ?", (newest - DAYS_ON_DISK,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _value(text: object) -> Decimal:
    try:
        value = Decimal(str(text))
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no value") from error
    if not value.is_finite() or value < 0:
        raise ValueError(f"{text!r} is no value")
    return value


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if "locked" in str(error):
        return "another opendmux is using it; give each its own (usage_db)"
    return str(error)
