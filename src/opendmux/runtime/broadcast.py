"""The push broadcaster: fed with batches by the upstream reader through a memory channel, it fans them out.

It never waits for a client, so the channel drains as fast as the processor allows; the reader may wait for the
broadcaster, never for a client. Which client gets what is core's decision (`core/pushes.py`); copying is native
(`Switch.fan_out`).
"""

from __future__ import annotations

import logging

import trio

from opendmux.core.commands import Push
from opendmux.native import Push as NativePush

from .hub import Hub

__all__ = ["BATCHES_WAITING", "Batch", "broadcast"]

log = logging.getLogger("opendmux.broadcast")

Batch = tuple[int, list[NativePush]]
"""A lane, and what one read of its connection brought."""

BATCHES_WAITING = 64
"""Batches in the channel at most; a batch is what one read of the upstream socket brought (256 KiB)."""

SLICE = 256
"""Pushes between two checkpoints: a burst must not keep the pump from the other clients."""


async def broadcast(hub: Hub, batches: trio.MemoryReceiveChannel[Batch]) -> None:
    """Run until the channel is closed. Cancellation: pushes not yet fanned out are dropped with the connection they
    came from."""
    async for lane, batch in batches:
        for start in range(0, len(batch), SLICE):
            now = trio.current_time()
            commands: list[Push] = []
            for push in batch[start : start + SLICE]:
                try:
                    commands += hub.router.push(lane, push, now)
                except Exception:
                    log.exception("push %d of OpenD could not be dealt with; the others go on", push.proto_id)
            hub.push(commands)
            await trio.lowlevel.checkpoint()
