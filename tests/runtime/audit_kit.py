"""What the tests of the audit log share: a disk that can be stuck or full, a clock, and ways to look at a log."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from opendmux.core.audit import AuditEvent
from opendmux.core.audit_verify import Verdict, verify
from opendmux.runtime.audit import AuditLog

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


async def once(log: AuditLog, *numbers: int) -> None:
    """Write these and stop."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        for number in numbers:
            log.write(event(number))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
