"""The push broadcaster: fed with batches by the upstream reader through a memory channel, it fans them out.

It never waits for a client, so the channel drains as fast as the processor allows; the reader may wait for the
broadcaster, never for a client. Which client gets what is core's decision (`core/pushes.py`); copying is native
(`Switch.fan_out`).
"""

from __future__ import annotations

import trio

from opendmux.native import Push as NativePush

from .hub import Hub

__all__ = ["BATCHES_WAITING", "broadcast"]

BATCHES_WAITING = 64
"""Batches in the channel at most; a batch is what one read of the upstream socket brought (256 KiB)."""

SLICE = 256
"""Pushes between two checkpoints: a burst must not keep the pump from the other clients."""


async def broadcast(hub: Hub, batches: trio.MemoryReceiveChannel[list[NativePush]]) -> None:
    """Run until the channel is closed. Cancellation: pushes not yet fanned out are dropped with the connection they
    came from."""
    async for batch in batches:
        for start in range(0, len(batch), SLICE):
            now = trio.current_time()
            pushes = hub.router.pushes
            hub.push(
                [command for push in batch[start : start + SLICE] for command in pushes.route_untrusted(push, now)]
            )
            await trio.lowlevel.checkpoint()
