"""The counts of operation commands on disk, shared by all processes of this machine that send them.

The proxy and ``opendmux opend`` without one may both talk to an OpenD, so the counts are read before each command that
is limited and written before it is sent, under a lock of their own: the state folder as a whole belongs to the proxy.
Where nothing can be kept (a read-only disk) the counts live in memory, and the log says once what that means.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from opendmux.core.operation_rates import OperationRates
from opendmux.core.operations import Operation

from .state import StateDir, StateError
from .wholefile import write_whole

__all__ = ["FILE", "OperationLedger"]

log = logging.getLogger("opendmux.opend")

FILE: Final = "operations.json"
LOCK: Final = "operations.lock"
LOCK_TRIES: Final = 6
LOCK_PAUSE_S: Final = 0.01
"""Between two of them; the others need a millisecond or so between reading and writing."""


class OperationLedger:
    """Blocks for as long as the disk does, which is milliseconds: a command is sent a few times an hour."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._rates = OperationRates()
        self._warned = False

    def book(self, counters: Sequence[str], operation: Operation, now: float) -> None:
        """See `OperationRates.book`. ``now``: UTC seconds. Raises RateError."""
        if operation.rate is not None:
            self._change(lambda rates: rates.book(counters, operation, now))

    def give_back(self, counters: Sequence[str], operation: Operation) -> None:
        """See `OperationRates.give_back`."""
        if operation.rate is not None:
            self._change(lambda rates: rates.give_back(counters, operation))

    def wait_s(self, counters: Sequence[str], operation: Operation, now: float) -> float:
        """Seconds until it may be sent, as far as the last `book` has seen; 0 = now."""
        return self._rates.wait_s(counters, operation, now)

    def _change(self, change: Callable[[OperationRates], None]) -> None:
        folder, done = self._state.path, False
        try:
            if folder is None:
                raise StateError("there is no folder for what has to be kept; name one with state_dir")
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _alone(folder):
                self._rates.load(self._state.read(FILE))
                change(self._rates)
                done = True
                write_whole(folder / FILE, self._rates.dump())
        except (OSError, StateError) as error:
            self._warn(error)
            if not done:
                change(self._rates)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "OpenD's limits on operation commands are kept in memory alone, so a restart forgets what was sent: %s",
                error,
            )


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process is between reading and writing. Raises OSError when one stays there: nobody's clients wait for
    a process that was stopped. Windows has no such lock, and takes the risk of one command too many."""
    if sys.platform == "win32":
        yield
        return
    import fcntl  # not on Windows

    with os.fdopen(_lock_of(folder), "ab") as file:
        for left in reversed(range(LOCK_TRIES)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not left:
                    raise
                time.sleep(LOCK_PAUSE_S)
        yield


def _lock_of(folder: Path) -> int:
    """The lock file's descriptor. Root may be the one who makes it, in the folder of a service that has to open it too,
    and must not be led out of that folder by a link."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    with contextlib.suppress(FileExistsError):
        made = os.open(folder / LOCK, flags | os.O_CREAT | os.O_EXCL, 0o600)
        with contextlib.suppress(OSError):  # only root may give it away
            owner = folder.stat()
            os.fchown(made, owner.st_uid, owner.st_gid)
        return made
    return os.open(folder / LOCK, flags)
