"""OpenD's operation console, played by a test on memory streams."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio
import trio.testing

from opendmux.core.quote_right import Policy
from opendmux.runtime.operator import Member
from opendmux.runtime.telnet import Console


@dataclass
class Desk:
    """What came, and what is answered to it. ``nursery``: the connections live there."""

    nursery: trio.Nursery
    answer: bytes = b"ok\r\n"
    up: bool = True
    lines: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    async def dial(self) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        if not self.up:
            raise ConnectionRefusedError(111, "Connection refused")
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self._serve, theirs)
        return ours

    async def _serve(self, stream: trio.abc.Stream) -> None:
        line = b""
        while not line.endswith(b"\r\n"):
            chunk = await stream.receive_some()
            if not chunk:
                return
            line += chunk
        self.lines.append(line)
        self.times.append(trio.current_time())
        if self.answer:
            await stream.send_all(self.answer)
        await stream.receive_some()

    def member(self, policy: Policy = "never", *, console: bool = True, name: str = "opend") -> Member:
        where = Console("127.0.0.1:22222", self.dial) if console else None
        return Member(name, "opend.test:11111", where, ("127.0.0.1 22222", f"{name} 11111"), policy)
