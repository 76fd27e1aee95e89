"""A simulator that is down for a while: on real sockets, and how long it lasts."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from opendmux.sim import open_simulator
from opendmux.sim.outage import Outage

from .kit import Client


async def test_nobody_can_connect_and_then_it_is_back_at_the_same_address() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with open_simulator() as sim, trio.open_nursery() as nursery:
        await nursery.start(sim.serve, listeners)
        address = listeners[0].socket.getsockname()
        early = Client(await trio.open_tcp_stream(*address))
        await early.init()
        sim.crash(3600)
        with pytest.raises(trio.BrokenResourceError, match="reset"):
            await early.frame()
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream(*address)
        sim.crash(0)
        await trio.testing.wait_all_tasks_blocked()
        late = Client(await trio.open_tcp_stream(*address))
        await late.init()
        for one in (early, late):
            await one.stream.aclose()
        nursery.cancel_scope.cancel()


async def test_the_last_one_says_how_long_it_lasts(autojump_clock: MockClock) -> None:
    outage = Outage()
    assert not outage.lasts
    outage.begin(10)
    await trio.sleep(5)
    assert outage.lasts
    outage.begin(1)
    await trio.sleep(0.5)
    assert outage.lasts
    await trio.sleep(1)
    assert not outage.lasts
