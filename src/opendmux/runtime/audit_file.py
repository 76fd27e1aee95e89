"""The files of an audit log: which one is written, where its chain stands, and what a crash left behind.

Everything here blocks on the disk. It is called before Trio runs and from one worker thread after that, never from two
threads at once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from opendmux.core.audit import BEGINS, CONTINUES, GENESIS, TORN, AuditEvent, hash_of_line, line_of, note, torn_hash_of
from opendmux.core.audit_verify import looks_whole, tail_of
from opendmux.errors import ConfigError

if sys.platform != "win32":
    import fcntl

__all__ = ["AuditFile", "daily_files", "is_folder"]

PREFIX, SUFFIX = "opendmux-audit.", ".jsonl"
_DAILY = re.compile(r"opendmux-audit\.\d{4}-\d\d-\d\d\.jsonl")

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT
if sys.platform == "win32":
    _FLAGS |= os.O_BINARY

TAIL_BYTES: Final = 256 * 1024
"""How far back the last good line is looked for: many times the longest line."""


def is_folder(path: str) -> bool:
    """An existing folder, a trailing slash or a name without an extension stand for a folder of daily files."""
    return path.endswith("/") or Path(path).is_dir() or not Path(path).suffix


def daily_files(folder: Path) -> list[Path]:
    """The daily files of a folder, oldest first."""
    return sorted(path for path in folder.iterdir() if _DAILY.fullmatch(path.name))


class AuditFile:
    """Appends to the file of the day, or to the one file. Raises ConfigError when that can't be done at the start."""

    def __init__(self, path: str, wall: float) -> None:
        self._folder = Path(path) if is_folder(path) else None
        self._path = Path(path)
        self._day = ""
        self._fd = -1
        self._seq, self._last = 0, GENESIS
        try:
            if self._folder is not None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._follow(wall)
            self._open(wall, first=True)
        except _NotOursError as error:
            self._forget()
            raise ConfigError(f"audit log {error}") from error
        except OSError as error:
            self._forget()
            raise ConfigError(f"audit log {path}: {error.strerror or error}") from error

    @property
    def path(self) -> Path:
        """What is written now."""
        return self._path

    def append(self, events: Sequence[tuple[AuditEvent, float]], *, sync: bool) -> int:
        """Write these events, each with its UTC time; ``sync``: they are on disk when this returns.

        Returns how many were written: at midnight only those of one day. Raises OSError, and then none of their lines
        stays in the file, unless the disk does not even let them be taken out again.
        """
        first_wall = events[0][1]
        if self._fd >= 0 and self._folder is not None and _day_of(first_wall) > self._day:
            self._leave()
        if self._fd < 0:
            self._open(first_wall, first=False)
        count = len(events)
        if self._folder is not None:
            count = next((at for at, (_event, wall) in enumerate(events) if _day_of(wall) > self._day), count)
        self._write(events[:count], sync=sync)
        return count

    def reopen(self, wall: float) -> None:
        """Close the file and open its name again: somebody has moved it away. Raises OSError."""
        self._leave()
        self._open(wall, first=False)

    def close(self) -> None:
        """Nothing more is written."""
        self._leave()

    # -- inside

    def _write(self, events: Sequence[tuple[AuditEvent, float]], *, sync: bool, before: bytes = b"") -> None:
        lines, seq, last = [before], self._seq, self._last
        for event, wall in events:
            seq += 1
            line = line_of(event, seq, wall, last)
            last = hash_of_line(line) or ""
            lines.append(line)
        data = memoryview(b"".join(lines))
        size = os.fstat(self._fd).st_size
        try:
            while data:
                data = data[os.write(self._fd, data) :]
            if sync:
                _sync(self._fd)
        except OSError:
            # What is half written would break the chain, and after a failed sync nobody knows what is on disk. Where
            # it can't be taken out, opening the file anew finds where it stands.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, size)
            self._forget()
            raise
        self._seq, self._last = seq, last

    def _open(self, wall: float, *, first: bool) -> None:
        if self._folder is not None:
            self._day = max(self._day, _day_of(wall))
            self._path = self._folder / f"{PREFIX}{self._day}{SUFFIX}"
        self._fd = os.open(self._path, _FLAGS, 0o600)
        try:
            self._claim()
            size = os.fstat(self._fd).st_size
            scrap = self._find_end(size)
        except BaseException:
            self._forget()
            raise
        if size == 0:
            self._write([(note(BEGINS), wall)], sync=True)
            self._sync_folder()
        elif scrap:
            torn = note(TORN, f"{len(scrap)} bytes of an incomplete line", torn_hash_of(scrap))
            self._write([(torn, wall)], sync=True, before=b"" if scrap.endswith(b"\n") else b"\n")
        elif first:
            self._write([(note(CONTINUES), wall)], sync=False)

    def _claim(self) -> None:
        """Ours alone: a second writer would break the chain."""
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            raise _NotOursError(f"{self._path}: it is not a regular file")
        if sys.platform == "win32":
            return  # no such lock, and no such rights
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _NotOursError(f"{self._path}: another process writes it") from error
        with contextlib.suppress(PermissionError):  # somebody else's file that we may write
            os.fchmod(self._fd, 0o600)

    def _find_end(self, size: int) -> bytes:
        """Set the chain by the last good line; returns the incomplete bytes behind it."""
        if size == 0:
            return b""
        found, scrap = _end_of(self._fd, size)
        whole = tail_of(scrap + b"\n")
        if whole is not None:  # all of it but the line end came to the disk
            os.write(self._fd, b"\n")
            found, scrap = whole, b""
        if found is not None:
            self._seq, self._last = found
        elif len(scrap) < size or not scrap.startswith(b'{"timestamp":"'[: len(scrap)]):
            raise _NotOursError(f"{self._path}: it is not an audit log")
        if any(looks_whole(line) for line in scrap.split(b"\n")):
            raise _NotOursError(
                f"{self._path}: its end was edited (opendmux audit verify says where); put the file away to begin anew"
            )
        return scrap

    def _follow(self, wall: float) -> None:
        """The chain goes on over daily files: set it by the newest one."""
        assert self._folder is not None
        files = daily_files(self._folder)
        if not files:
            return
        self._day = max(files[-1].name[len(PREFIX) : -len(SUFFIX)], _day_of(wall))
        # A file without one good line can only be the first one's crash: then the one before it holds the chain.
        for path in reversed(files):
            with path.open("rb") as file:
                found, _scrap = _end_of(file.fileno(), os.fstat(file.fileno()).st_size)
            if found is not None:
                self._seq, self._last = found
                return

    def _leave(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _forget(self) -> None:
        with contextlib.suppress(OSError):
            self._leave()

    def _sync_folder(self) -> None:
        """A new file's name is on disk only when its folder is."""
        with contextlib.suppress(OSError):  # some file systems can't
            fd = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


class _NotOursError(OSError):
    """The file can't be gone on with."""

    def __init__(self, text: str) -> None:
        super().__init__(text)


def _end_of(fd: int, size: int) -> tuple[tuple[int, str] | None, bytes]:
    """((seq, hash) of the last good line, the bytes behind it)."""
    at = max(0, size - TAIL_BYTES)
    os.lseek(fd, at, os.SEEK_SET)
    tail = os.read(fd, size - at)
    *whole, rest = tail.split(b"\n")
    lines = [*(line + b"\n" for line in whole), rest]
    behind = 0
    for line in reversed(lines):
        found = tail_of(line)
        if found is not None:
            return found, tail[len(tail) - behind :] if behind else b""
        behind += len(line)
    return None, tail


def _sync(fd: int) -> None:
    """The data on disk, and of the rest what is needed to read it."""
    if sys.platform == "linux":
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def _day_of(wall: float) -> str:
    return dt.datetime.fromtimestamp(wall, dt.UTC).strftime("%Y-%m-%d")
