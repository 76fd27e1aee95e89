"""Lanes that come and go at the same moment."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from opendmux.runtime.upstream import LinkState
from opendmux.wire.frame import Frame
from opendmux.wire.messages import ret_body

from . import bodies
from .world import OK, World, world

MINUTE = 11
APPLE = (11, "AAPL")
RTH, ALL = 1, 3
EXTRA = 2
"""Number of the first EXTRA lane where there is no group."""


def agree(w: World) -> None:
    for proto_id in (3001, 3002):
        w.opend.answers[proto_id] = lambda frame: ret_body(frame.proto_fmt, 0)


async def test_lanes_that_come_back_together_all_come_back(autojump_clock: MockClock) -> None:
    """Both wait for their handshakes at once; neither may take the other's wake-up away."""
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        assert (await a.call(3001, bodies.sub([APPLE], [MINUTE], session=RTH))).body[:2] == OK[:2]
        assert (await b.call(3001, bodies.sub([APPLE], [MINUTE], session=ALL))).body[:2] == OK[:2]
        restores: list[Frame] = []
        w.opend.answers[3001] = restores.append
        for peer in list(w.opend.peers):
            await trio.aclose_forcefully(peer.stream)
        while len(restores) < 2:
            await trio.sleep(0.1)
        hub = w.proxy.hub
        for frame in restores:
            await w.opend.reply(frame, OK)
        await trio.testing.wait_all_tasks_blocked()
        assert [hub.router.lanes[number].upstream.ready for number in (0, EXTRA)] == [True, True]
        assert w.proxy.link.state is LinkState.READY
