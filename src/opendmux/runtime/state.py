"""What has to survive a restart: small files in one folder, which is made when there is something to keep.

The folder belongs to one opendmux at a time. Whoever writes first holds it until it ends, by a lock on the folder that
leaves no file behind; a second one may read, and is refused when it writes, so that neither undoes what the other was
told. Where the system has no such lock (Windows) nobody is refused.

A file that is not there was never written; one behind a link whose end is missing, such as a disk that is not mounted,
is there. One that can't be read is something else: `read` raises then, and it is for the caller to take the careful
side.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from opendmux.errors import OpendmuxError

from .wholefile import write_whole

__all__ = ["MAX_STATE_BYTES", "OthersStateError", "StateDir", "StateError", "state_dir"]

MAX_STATE_BYTES: Final = 16 * 1024 * 1024
"""Of one file; it protects from a path that leads to something else."""

FOLDER: Final = "opendmux"


class StateError(OpendmuxError):
    """What has to be kept can't be read or written. The text is one sentence for the user."""


class OthersStateError(StateError):
    """Another opendmux has the folder."""


class StateDir:
    """``path`` None: there is no place for it; nothing was ever kept then, and nothing can be. Blocks for as long as
    the disk does."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._held: int | None = None
        """The descriptor whose lock makes the folder ours."""
        self._holding = threading.Lock()
        """Each file is written by a thread of its own; two of them that come first would keep each other out."""

    def read(self, name: str) -> bytes | None:
        """The file's content; None when there is none. Raises StateError."""
        if self.path is None:
            return None
        path = self.path / name
        # O_NONBLOCK: opening a named pipe would wait for its writer.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            with os.fdopen(os.open(path, flags), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise StateError(f"{path} is not a file")
                data = file.read(MAX_STATE_BYTES + 1)
        except FileNotFoundError:
            if path.is_symlink() or (self.path.is_symlink() and not self.path.exists()):
                raise StateError(f"{path} can't be read: it is behind a link that leads nowhere") from None
            return None
        except OSError as error:
            raise StateError(f"can't read {path}: {error.strerror or error}") from error
        if len(data) > MAX_STATE_BYTES:
            raise StateError(f"{path} is larger than {MAX_STATE_BYTES // 2**20} MiB: it is none of ours")
        return data

    def write(self, name: str, data: bytes) -> None:
        """Keep it: on disk when this returns. Raises StateError; the former content is untouched then."""
        path = self._ours() / name
        try:
            write_whole(path, data)
        except OSError as error:
            raise StateError(f"can't write {path}: {error.strerror or error}") from error

    def hold(self) -> None:
        """Make the folder ours until `close`, as the first `write` does. Raises StateError when another opendmux has
        it, or it can't be made."""
        self._ours()

    def close(self) -> None:
        """Let others have the folder."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _ours(self) -> Path:
        if self.path is None:
            raise StateError("there is no folder for what has to be kept; name one with state_dir")
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(f"can't make the folder {self.path}: {error.strerror or error}") from error
        with self._holding:
            if sys.platform != "win32" and self._held is None:
                self._lock(self.path)
        return self.path

    def _lock(self, path: Path) -> None:
        import fcntl  # not on Windows

        descriptor: int | None = None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if descriptor is not None:
                os.close(descriptor)
            if isinstance(error, BlockingIOError):
                text = f"another opendmux keeps its state in {path}; give each a state_dir of its own"
                raise OthersStateError(text) from None
            raise StateError(f"can't write in {path}: {error.strerror or error}") from error
        self._held = descriptor


def state_dir(configured: str, environ: Mapping[str, str]) -> StateDir:
    """The folder of the setting ``state_dir``, or what stands for it where that is empty."""
    if configured:
        return StateDir(Path(configured))
    # systemd names several folders with colons between them; the first is the main one.
    if given := environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return StateDir(Path(given))
    # A relative path there counts as none, as the XDG specification says.
    if (home := environ.get("XDG_STATE_HOME", "")) and Path(home).is_absolute():
        return StateDir(Path(home) / FOLDER)
    try:
        return StateDir(Path.home() / ".local" / "state" / FOLDER)
    except RuntimeError:  # nobody's home
        return StateDir(None)
