"""The audit log: takes events without waiting, writes them in batches from one worker thread.

Theory of operation. `write` puts an event into a queue. The task takes whatever is there, and a thread writes it with
one call and, when somebody waits for it, one fdatasync for all of them; what comes meanwhile is the next batch. Whoever
waits is told within `PROMISE_S`, with False when the disk was slower than that or said no. A batch that could not be
written stays in front of the queue and is tried again, so an event is lost only when the queue is full, and how many
were is written down when it works again.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import trio

from opendmux.core.audit import ENDS, LOST, AuditEvent, note

from .audit_file import AuditFile

__all__ = ["PROMISE_S", "QUEUE_MAX", "AuditLog"]

log = logging.getLogger("opendmux.audit")

PROMISE_S: Final = 2.0
"""An order's owner waits for its answer no longer than this because of the log."""
QUEUE_MAX: Final = 16_384
"""Events that wait for the disk: some 10 MB. Minutes of trading, or seconds when every read is audited."""
BATCH_MAX: Final = 1_024
"""Events of one write: about half a megabyte."""
RETRY_S: Final = 1.0
"""After a failed write."""
CLOSE_S: Final = 5.0
"""What is queued at the end is written within this, or given up."""

Then = Callable[[bool], None]


class InThread(Protocol):
    """Runs something that blocks; may be left behind when cancelled."""

    def __call__(self, blocking: Callable[[], None], /) -> Awaitable[None]: ...


async def _in_thread(blocking: Callable[[], None]) -> None:
    await trio.to_thread.run_sync(blocking, abandon_on_cancel=True)


@dataclass(slots=True)
class _Result:
    """Filled by the thread."""

    count: int = 0
    error: OSError | None = None


@dataclass(slots=True, eq=False)
class _Queued:
    event: AuditEvent
    wall: float
    then: Then | None
    until: float = 0.0

    def tell(self, ok: bool) -> None:
        then, self.then = self.then, None
        if then is None:
            return
        try:
            then(ok)
        except Exception:
            log.exception("a crash over an audit record; the others go on")


class AuditLog:
    """Where audit events go. Made before Trio runs; raises ConfigError when the path can't be written.

    ``path``: a file, or a folder for daily files (see `audit_file.is_folder`). ``wall``: UTC seconds.
    """

    def __init__(self, path: str, *, wall: Callable[[], float] = time.time, in_thread: InThread | None = None) -> None:
        self.healthy = True
        """False from a failed or far too slow write until one works again."""
        self.written = 0
        """Events that are in the file."""
        self.lost = 0
        """Events dropped because the queue was full."""
        self._wall = wall
        self._in_thread = in_thread or _in_thread
        self._file = AuditFile(path, wall())
        self._lock = threading.Lock()
        """One thread at a time: a stop may leave one behind and begin the last write."""
        self._queue: deque[_Queued] = deque()
        self._writing: list[_Queued] = []
        """What the thread has, first in the file."""
        self._promised: deque[_Queued] = deque()
        """Those who wait, by deadline; some have been told meanwhile."""
        self._refused: deque[_Queued] = deque()
        """Those for whom there was no room: told as soon as the caller of `write` is back."""
        self._unnoted = 0
        """Of `lost`: not yet written down."""
        self._reopen = False
        self._ended = False
        self._result: _Result | None = None
        """Of the write that a thread does now, or has done."""
        self._work = trio.Event()
        self._waiting = trio.Event()

    @property
    def path(self) -> Path:
        """The file that is written now."""
        return self._file.path

    @property
    def queued(self) -> int:
        """Events that are not in the file yet."""
        return len(self._queue) + len(self._writing)

    @property
    def trusted(self) -> bool:
        """A trade write may be sent: it can be put down, and there will be room for its outcome. Others, refusals of a
        caller that never stops above all, may fill the queue."""
        return self.healthy and len(self._queue) <= QUEUE_MAX // 2

    def write(self, event: AuditEvent, *, then: Then | None = None) -> None:
        """Put an event down; never waits. ``then(True)`` is called in Trio's thread once its line is on disk,
        ``then(False)`` after `PROMISE_S` or an error; never from inside this call, exactly once while `run` runs.

        After an error the event stays queued, so a line may still follow a False.
        """
        item = _Queued(event, self._wall(), then)
        full = len(self._queue) >= QUEUE_MAX or self._ended
        if then is not None:
            item.until = trio.current_time() + PROMISE_S
            (self._refused if full else self._promised).append(item)
            self._waiting.set()
        if full:
            self.lost += 1
            self._unnoted += 1
        else:
            self._queue.append(item)
            self._work.set()

    def reopen(self) -> None:
        """Close the file and open its name again, for those who rotate files themselves (SIGHUP). Never waits."""
        self._reopen = True
        self._work.set()

    def close(self) -> None:
        """For a log whose `run` never began: let go of the file. Idempotent."""
        self._file.close()

    async def run(self) -> None:
        """Write until cancelled; then what is queued is written, within `CLOSE_S`. To be run once."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_promises)
                await self._keep_writing()
        finally:
            await self._end()

    # -- inside

    async def _keep_writing(self) -> None:
        while True:
            if not self._queue and not self._writing and not self._reopen:
                self._work = trio.Event()
                await self._work.wait()
            await self._in_thread(self._prepared())
            if not self._judge():
                await trio.sleep(RETRY_S)

    def _prepared(self) -> Callable[[], None]:
        """The next write, to be run in a thread."""
        if self._unnoted and not self._writing:
            self._writing.append(_Queued(note(LOST, f"{self._unnoted} events"), self._wall(), None))
            self._unnoted = 0
        while self._queue and len(self._writing) < BATCH_MAX:
            self._writing.append(self._queue.popleft())
        self._result = _Result()
        reopen, self._reopen = self._reopen, False
        return partial(self._blocking, list(self._writing), self._result, reopen=reopen)

    def _blocking(self, batch: list[_Queued], result: _Result, *, reopen: bool) -> None:
        with self._lock:
            try:
                if reopen:
                    self._file.reopen(self._wall())
                sync = any(item.then is not None for item in batch)
                while result.count < len(batch):
                    rest = batch[result.count :]
                    result.count += self._file.append([(item.event, item.wall) for item in rest], sync=sync)
            except OSError as error:
                result.error = error

    def _judge(self) -> bool:
        """What came of the last write. False: it is to be tried again."""
        result, self._result = self._result, None
        assert result is not None, "a write was begun"
        done, self._writing = self._writing[: result.count], self._writing[result.count :]
        self.written += len(done)
        for item in done:
            item.tell(ok=True)
        if result.error is None:
            if not self.healthy:
                log.warning("the audit log is written again")
            self.healthy = True
            return True
        if self.healthy:
            log.error("the audit log %s can't be written: %s", self.path, result.error)
        self.healthy = False
        for item in [*self._writing, *self._queue]:
            item.tell(ok=False)
        return False

    async def _keep_promises(self) -> None:
        while True:
            while self._refused:
                self._refused.popleft().tell(ok=False)
            while self._promised and (self._promised[0].then is None or self._promised[0].until <= trio.current_time()):
                late = self._promised.popleft()
                if late.then is not None and self.healthy:
                    log.error("the audit log %s: the disk took longer than %g s", self.path, PROMISE_S)
                    self.healthy = False
                late.tell(ok=False)
            self._waiting = trio.Event()
            with trio.CancelScope(deadline=self._promised[0].until if self._promised else math.inf):
                await self._waiting.wait()

    async def _end(self) -> None:
        with trio.move_on_after(CLOSE_S, shield=True):
            if self._result is not None:
                await self._in_thread(self._left_behind)
                self._judge()
            self._queue.append(_Queued(note(ENDS), self._wall(), None))
            while self._queue or self._writing:
                await self._in_thread(self._prepared())
                if not self._judge():
                    break
            await self._in_thread(self._file.close)
        self._ended = True
        if self.queued:
            log.error("the audit log ends without %d events that could not be written", self.queued)
        for item in [*self._writing, *self._queue, *self._refused]:
            item.tell(ok=False)

    def _left_behind(self) -> None:
        """Wait for the thread that was writing when the end came."""
        with self._lock:
            pass
