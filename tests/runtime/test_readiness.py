"""Ready or not, and why."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from opendmux.config import Config
from opendmux.core.notices import ConnStatus
from opendmux.runtime.readiness import Readiness, readiness_of
from opendmux.runtime.station import Reach, Station
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .world import QUIET, World, world

WALL = 1_700_000_000.0


def asked(w: World, *further: str) -> Readiness:
    return readiness_of(w.proxy.stations, now=trio.current_time(), wall=WALL, further=further)


async def test_ready_once_the_link_is(autojump_clock: MockClock) -> None:
    async with world() as w:
        await trio.sleep(20)
        found = asked(w)
        assert found.ready
        assert found.reasons == []
        (state,) = found.opends
        assert (state.name, state.state, state.simulated) == ("opend.test:11111", "ready", False)
        assert state.since == "2023-11-14T22:13:00.000000Z"
        assert (state.quote_login, state.trade_login) == (None, None)
        w.proxy.hub.router.lanes.main.upstream.logins = ConnStatus(quote=True, trade=False)
        (state,) = asked(w).opends
        assert (state.quote_login, state.trade_login) == (True, False)
        assert (state.program_status, state.last_push_age_s) == (None, None)


async def test_the_state_of_the_program_and_the_age_of_the_latest_push(autojump_clock: MockClock) -> None:
    async with world() as w:
        status = opend.NotifyProgramStatus(programStatus=opend.ProgramStatus(type=2))
        body = encode(opend.NotifyResponse(retType=0, s2c=opend.NotifyS2C(type=2, programStatus=status)))
        await w.opend.push(ProtoId.NOTIFY, body)
        await trio.sleep(7.25)
        (state,) = asked(w).opends
        assert state.program_status == "logging in"
        assert state.last_push_age_s is not None
        assert 7.0 <= state.last_push_age_s <= 7.5
        assert asked(w).ready


async def test_not_before_and_not_in_an_outage(autojump_clock: MockClock) -> None:
    async with world(up=False) as w:
        await trio.sleep(5)
        found = asked(w)
        assert not found.ready
        assert "OpenD at opend.test:11111 has been away for 5 s" in found.reasons[0]
        assert found.opends[0].state == "down"
        assert found.opends[0].since == "2023-11-14T22:13:15.000000Z"


async def test_other_reasons(autojump_clock: MockClock) -> None:
    async with world() as w:
        found = asked(w, "opendmux is stopping")
        assert not found.ready
        assert found.reasons == ["opendmux is stopping"]


async def dead() -> trio.abc.Stream:
    raise OSError


async def test_a_group_needs_quotes_and_trade(autojump_clock: MockClock) -> None:
    members = [("a:1", dead), ("SIMULATED", dead)]
    station = Station(Config(watch=QUIET), Reach("a:1 or SIMULATED", dead, trade_name="a:1", members=members))
    lanes = station.hub.router.lanes
    assert lanes.trade is not lanes.main
    lanes.main.upstream.ready = True
    found = readiness_of([station], now=0.0, wall=WALL)
    assert not found.ready
    assert found.simulated
    assert [reason.split(" has")[0] for reason in found.reasons] == ["OpenD at a:1"]
    lanes.main.upstream.pushed_at, lanes.trade.upstream.pushed_at = 1.0, 4.0
    (state,) = readiness_of([station], now=5.0, wall=WALL).opends
    assert state.last_push_age_s == 1.0, "of the latest one"
