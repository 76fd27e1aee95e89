"""``keys.json`` on disk: read with a bound, written whole or not at all.

A reader sees the old file or the new one, never a half: the new one is written beside it and renamed over it. Two
commands that change it at once are put in a row by a lock on the folder, so that neither undoes the other and no lock
file is left behind. Where the system has no such lock (Windows) only the renaming protects.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from opendmux.core.keyfile import KeyFile, dump, parse
from opendmux.core.keyrecord import Record
from opendmux.errors import ConfigError

from .wholefile import write_whole

__all__ = ["MAX_FILE_BYTES", "Loaded", "load", "update"]

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
"""Some 100,000 keys with limits. It protects from a path that leads to something else."""
LOCK_WAIT_S: Final = 5.0
LOCK_RETRY_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file of keys and what its owner should know about it."""

    file: KeyFile
    warning: str
    """One sentence; empty when all is well."""


def load(path: Path) -> Loaded:
    """Read the keys. Raises ConfigError, also when there is no file; blocks for as long as the disk does."""
    data, warning = _read(path)
    return Loaded(parse(data, str(path)), warning)


def update(path: Path, change: Callable[[tuple[Record, ...]], Iterable[Record]], *, create: bool = False) -> KeyFile:
    """Replace the records by what ``change`` makes of them; returns what the file holds then.

    With ``create`` a missing file counts as one without keys. Raises ConfigError, also from ``change``; the file is
    untouched then. A symbolic link is followed and kept. The file is readable by its owner alone afterwards, and its
    owner stays who he was, as far as we may say so.
    """
    target = _target(path)
    with _locked(target.parent, path):
        records = () if create and not os.path.lexists(target) else load(path).file.records
        data = dump(change(records))
        after = parse(data, str(path))
        try:
            write_whole(target, data)
        except OSError as error:
            raise ConfigError(f"can't write {path}: {error.strerror or error}") from error
    return after


def _target(path: Path) -> Path:
    """The file itself, where symbolic links lead to it."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # RuntimeError: what Python 3.11 and 3.12 say to links in a circle
        raise ConfigError(f"{path} leads nowhere: its symbolic links go in a circle") from None


def _read(path: Path) -> tuple[bytes, str]:
    # O_NONBLOCK: opening a named pipe would wait for its writer.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(f"{path} is not a file")
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}; `opendmux keys add --keys {path} ...` makes it") from None
    except OSError as error:
        raise ConfigError(f"can't read {path}: {error.strerror or error}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB; that is no file of keys")
    return data, _warning(path, status)


def _warning(path: Path, status: os.stat_result) -> str:
    if sys.platform == "win32" or not status.st_mode & 0o077:
        return ""
    mode = stat.S_IMODE(status.st_mode)
    return f"{path} is open to other users of this machine (mode {mode:04o}); `chmod 600 {path}` closes it"


@contextlib.contextmanager
def _locked(folder: Path, path: Path) -> Iterator[None]:
    if sys.platform == "win32":
        yield
        return
    import fcntl

    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ConfigError(f"can't write {path}: folder {folder}: {error.strerror or error}") from error
    try:
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise ConfigError(
                        f"another program has been changing files in {folder} for {LOCK_WAIT_S:g} s; try again"
                    ) from None
                time.sleep(LOCK_RETRY_S)
        yield
    finally:
        os.close(descriptor)  # and with it the lock
