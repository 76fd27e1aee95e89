"""Lanes that come and go at the same moment."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from opendmux.runtime.hub import now_ns
from opendmux.runtime.upstream import LinkState
from opendmux.wire.frame import build_frame
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend

from . import bodies
from .world import OK, World, world

BOOK, MINUTE = 2, 11
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
        del w.opend.answers[3001]
        for peer in list(w.opend.peers):
            await trio.aclose_forcefully(peer.stream)
        restores = [await w.opend.requests.receive() for _ in range(2)]
        hub = w.proxy.hub
        for frame in restores:
            await w.opend.reply(frame, OK)
        await trio.testing.wait_all_tasks_blocked()
        assert [hub.router.lanes[number].upstream.ready for number in (0, EXTRA)] == [True, True]
        assert w.proxy.link.state is LinkState.READY


async def test_a_lane_that_is_wanted_again_while_it_is_given_up(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        await a.call(3001, bodies.sub([APPLE], [MINUTE], session=RTH))
        await b.call(3001, bodies.sub([APPLE], [MINUTE], session=ALL))
        hub = w.proxy.hub
        close, given_up = hub.close_lane, trio.Event()
        serials: list[int] = []

        def close_and_ask(number: int) -> None:
            close(number)
            hub.close_lane = close
            # In the very same step somebody asks for what only this lane can give.
            (client,) = (client for client in hub.clients.values() if client.session.owner == owner)
            c.serial_no += 1
            serials.append(c.serial_no)
            body = bodies.sub([APPLE], [MINUTE], session=ALL)
            hub.feed(client, build_frame(3001, 0, c.serial_no, body), now_ns())
            given_up.set()

        hub.close_lane = close_and_ask
        await trio.aclose_forcefully(b.stream)
        c = await w.client()
        owner = max(client.session.owner for client in hub.clients.values())
        await given_up.wait()
        frame = await c.receive()
        assert (frame.serial_no, frame.body) == (serials[0], OK)
        push = bodies.kline_push(*APPLE, kl_type=1, rehab_type=1)
        await w.opend.push(3007, push)
        assert (await c.receive()).body == push
        # The one that is kept now can be given up as well, and come again.
        await trio.aclose_forcefully(c.stream)
        await trio.sleep(200)
        assert set(hub.links) == {0}
        d = await w.client()
        assert (await d.call(3001, bodies.sub([APPLE], [MINUTE], session=ALL))).body == OK
        assert set(hub.links) == {0, EXTRA}


async def test_a_client_holds_a_stream_on_one_lane_alone(autojump_clock: MockClock) -> None:
    """It asks again with other options while another client needs the first ones: then its stream moves."""
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        await a.call(3001, bodies.sub([APPLE], [MINUTE], session=RTH))
        await b.call(3001, bodies.sub([APPLE], [MINUTE], session=RTH, regPushRehabTypeList=[2]))
        await b.call(3001, bodies.sub([APPLE], [MINUTE], session=ALL, register=None))
        (main, extra) = (w.proxy.hub.router.lanes[number].ledger for number in (0, EXTRA))
        owners = {ledger: ledger.owners_with_subscriptions() for ledger in (main, extra)}
        assert [len(held) for held in owners.values()] == [1, 1]
        push = bodies.kline_push(*APPLE, kl_type=1, rehab_type=2)
        await w.opend.push(3007, push, connection=0)
        assert await b.nothing_comes()
        await w.opend.push(3007, push, connection=1)
        assert (await b.receive()).body == push, "what was registered has moved along"
        assert await a.nothing_comes()


async def test_a_refused_registration_takes_nothing_away(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        client = await w.client()
        assert (await client.call(3001, bodies.sub([APPLE], [MINUTE]))).body == OK
        c2s = opend.RegQotPushC2S(
            securityList=[opend.Security(market=11, code=code) for code in ("AAPL", "MSFT")],
            subTypeList=[MINUTE],
            isRegOrUnReg=True,
        )
        refused = await client.call(3002, encode(opend.RegQotPushRequest(c2s=c2s)))
        assert opend.ResponseHead.FromString(refused.body).retType == -1
        push = bodies.kline_push(*APPLE, kl_type=1, rehab_type=1)
        await w.opend.push(3007, push)
        assert (await client.receive()).body == push


async def test_a_refusal_by_one_lane_undoes_what_another_has_registered(autojump_clock: MockClock) -> None:
    async with world() as w:
        agree(w)
        a, b = await w.client(), await w.client()
        await a.call(3001, bodies.sub([APPLE], [MINUTE], session=RTH))
        await b.call(3001, bodies.sub([APPLE], [BOOK], register=False))
        w.opend.answers[3001] = lambda frame: ret_body(0, -1, "no") if frame in w.opend.sent_by(-1, 3001) else OK
        # The minutes need a lane of their own, which refuses; the book is there already.
        both = await b.call(3001, bodies.sub([APPLE], [BOOK, MINUTE], session=ALL))
        assert opend.ResponseHead.FromString(both.body).retMsg == "no"
        await w.opend.push(3013, bodies.ticker_push(*APPLE), connection=0)
        assert await b.nothing_comes()
