"""While OpenD is down nobody can connect, and afterwards it is back at the same addresses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from .connection import reset_stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["Outage"]


class Outage:
    """The one of a simulator: now, or when there will be one."""

    def __init__(self) -> None:
        self._until = -math.inf
        self._begun = trio.Event()
        self._accepting: set[trio.CancelScope] = set()

    @property
    def lasts(self) -> bool:
        """It is now."""
        return trio.current_time() < self._until

    def begin(self, seconds: float) -> None:
        """From now on for so long; when there is one already, this is how long it lasts."""
        self._until = trio.current_time() + seconds
        self._begun.set()
        self._begun = trio.Event()
        for accepting in self._accepting:
            accepting.cancel()

    async def serve(
        self,
        handler: Callable[[trio.abc.Stream], Awaitable[None]],
        listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
        nursery: trio.Nursery,
        task_status: trio.TaskStatus[list[trio.abc.Listener[trio.abc.Stream]]],
    ) -> None:
        """Accept connections until cancelled; their handlers run in the nursery. See `Simulator.serve_as`."""

        async def standing(stream: trio.abc.Stream) -> None:
            if self.lasts:
                await reset_stream(stream)
            else:
                await handler(stream)

        while True:
            sockets = [listener for listener in listeners if isinstance(listener, trio.SocketListener)]
            addresses = [listener.socket.getsockname()[:2] for listener in sockets]
            with trio.CancelScope() as accepting:
                if len(sockets) == len(listeners):
                    self._accepting.add(accepting)
                try:
                    await trio.serve_listeners(
                        standing, list(listeners), handler_nursery=nursery, task_status=task_status
                    )
                finally:
                    self._accepting.discard(accepting)
            task_status = trio.TASK_STATUS_IGNORED
            while self.lasts:
                with trio.CancelScope(deadline=self._until):
                    await self._begun.wait()
            listeners = [
                listener for host, port in addresses for listener in await trio.open_tcp_listeners(port, host=host)
            ]
