"""Groups of OpenDs: quotes fail over, each lane by itself."""

from __future__ import annotations

import json
from functools import partial

import trio
from trio.testing import MockClock

from opendmux.config import Config
from opendmux.runtime.binding import dial_group
from opendmux.runtime.server import Face, run_proxy
from opendmux.runtime.station import Reach
from opendmux.wire.messages import ret_body
from opendmux.wire.protocols import ProtoId
from tests.core.watch_kit import state

from .bodies import acc_push, order_push
from .world import Client, MemoryListener, OpenD


async def test_a_group_gets_past_a_member_that_does_not_answer_at_all(autojump_clock: MockClock) -> None:
    """A machine that is off refuses nothing: the attempt ends by the caller's deadline."""

    async def silent() -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    async def alive() -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return trio.testing.memory_stream_pair()[0]

    dial = dial_group([("silent", silent), ("alive", alive)])
    with trio.move_on_after(10) as patience:
        await dial()
    assert patience.cancelled_caught
    with trio.fail_after(10):
        await dial()


async def test_every_lane_of_a_group_begins_with_the_first_member(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        first, second = OpenD(nursery), OpenD(nursery)
        members = [("first", first.dial), ("second", second.dial)]
        reach = Reach("first or second", first.dial, trade_name="first", members=members)
        listener = MemoryListener()
        proxy = await nursery.start(partial(run_proxy, [Face(reach, Config(), listeners=[listener])], drain_s=1.0))
        await proxy.listening.wait()
        client = Client(*await listener.connect())
        await client.init(push_proto_fmt=1)
        await trio.sleep(1)
        # MAIN, TRADE, JSON and JSON_TRADE.
        assert (first.connections, second.connections) == (4, 0)
        assert proxy.stations[0].quoting.address == "first"
        first.up = False
        for peer in first.peers:
            await trio.aclose_forcefully(peer.stream)
        await trio.sleep(5)
        assert (first.connections, second.connections) == (4, 2), "quotes fail over, trading does not"
        assert proxy.stations[0].quoting.address == "second", "whose quote right it is from now on"
        nursery.cancel_scope.cancel(reason="test is over")


async def test_order_pushes_of_a_group_come_in_the_format_of_each_client(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        first, second = OpenD(nursery), OpenD(nursery)
        for opend in (first, second):
            opend.answers[2008] = lambda frame: ret_body(frame.proto_fmt, 0)
        members = [("first", first.dial), ("second", second.dial)]
        reach = Reach("first or second", first.dial, trade_name="first", members=members)
        listener = MemoryListener()
        proxy = await nursery.start(partial(run_proxy, [Face(reach, Config(), listeners=[listener])], drain_s=1.0))
        await proxy.listening.wait()
        plain, in_json = Client(*await listener.connect()), Client(*await listener.connect())
        await plain.init()
        await in_json.init(push_proto_fmt=1)
        await trio.sleep(1)
        for client in (plain, in_json):
            await client.call(2008, acc_push(7))
        told = {id(first.origins[id(frame)]) for frame in first.log if frame.proto_id == 2008}
        assert len(told) == 2
        for peer, c2s in zip(first.peers, first.inits, strict=True):
            if id(peer) in told:
                text = json.dumps({"retType": 0, "s2c": {"header": {"accID": "7"}, "order": {}}}).encode()
                await peer.send(2208, 0, text if c2s.pushProtoFmt else order_push(7), proto_fmt=c2s.pushProtoFmt)
        for client, proto_fmt in ((plain, 0), (in_json, 1)):
            push = await client.receive()
            assert (push.proto_id, push.proto_fmt) == (2208, proto_fmt)
            assert await client.nothing_comes(), "once"
        nursery.cancel_scope.cancel(reason="test is over")


async def test_what_one_opend_says_is_the_same_news_alone_and_in_a_group(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        first, second = OpenD(nursery), OpenD(nursery)
        alone = Reach("first", first.dial)
        members = [("first", first.dial), ("second", second.dial)]
        group = Reach("first or second", first.dial, trade_name="first", members=members)
        faces = [Face(reach, Config(), listeners=[MemoryListener()]) for reach in (alone, group)]
        proxy = await nursery.start(partial(run_proxy, faces, drain_s=1.0))
        await proxy.listening.wait()
        out = state(quote=False, trade=False)
        first.answers[ProtoId.GET_GLOBAL_STATE] = second.answers[ProtoId.GET_GLOBAL_STATE] = lambda _frame: out
        await trio.sleep(60)

        def heard() -> set[tuple[str, str, str]]:
            return {(one.opend, one.subject, one.source) for one in proxy.house.conditions.active()}

        assert heard() == {
            (name, subject, "first") for name in ("first", "first or second") for subject in ("quote", "trade")
        }
        first.up = False
        for peer in first.peers:
            await trio.aclose_forcefully(peer.stream)
        await trio.sleep(60)
        assert ("first or second", "quote", "second") in heard(), "that is another one's news"
        assert {("first", "first", "first"), ("first or second", "first", "first")} <= heard(), "nobody answers there"
        nursery.cancel_scope.cancel(reason="test is over")
