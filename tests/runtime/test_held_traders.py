"""Clients that stay over an outage and read the account list once in their life, as all SDKs but Python's do: OpenD
takes no order on a connection that has not read it, so the proxy reads it on each new one."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from opendmux.core.roster import AGAIN_S
from opendmux.wire.frame import Frame
from opendmux.wire.messages import ret_body
from opendmux.wire.pb import opend

from . import bodies
from .world import OK, Client, OpenD, World, world

LIST, ORDER = 2001, 2202
REQUEST = b"\x0a\x02\x08\x00"
NO = "the account list of this connection has not been read"


def strict(opend_double: OpenD) -> None:
    """Orders are taken as OpenD takes them."""

    def order(frame: Frame) -> bytes:
        peer = opend_double.origins[id(frame)]
        read = any(f.proto_id == LIST and opend_double.origins[id(f)] is peer for f in opend_double.log)
        return OK if read else ret_body(frame.proto_fmt, -1, NO)

    opend_double.answers[LIST] = lambda _frame: bodies.acc_list((1, "A"))
    opend_double.answers[ORDER] = order


async def outage(w: World) -> None:
    w.opend.up = False
    for peer in list(w.opend.peers):
        await trio.aclose_forcefully(peer.stream)
    await trio.sleep(3)
    w.opend.up = True


async def places(client: Client) -> opend.ResponseHead:
    return opend.ResponseHead.FromString((await client.call(ORDER, bodies.trade_write(1, 2))).body)


@pytest.mark.parametrize("push_proto_fmt", [0, 1])
async def test_a_held_client_orders_after_a_reconnect(autojump_clock: MockClock, push_proto_fmt: int) -> None:
    async with world() as w:
        strict(w.opend)
        client = await w.client(push_proto_fmt=push_proto_fmt)
        await trio.sleep(1)
        assert (await places(client)).retMsg == NO, "on the first connection it is the client's own affair"
        await client.call(LIST, REQUEST)
        assert (await places(client)).retType == 0
        await outage(w)
        before = len(w.opend.log)
        with trio.fail_after(60):
            while (answer := await places(client)).retType == -200:  # the first one that gets through, at once
                await trio.sleep(0.01)
        assert answer.retType == 0
        (order,) = [frame for frame in w.opend.log[before:] if frame.proto_id == ORDER]
        peer = w.opend.origins[id(order)]
        ids = [frame.proto_id for frame in w.opend.log[before:] if w.opend.origins[id(frame)] is peer]
        assert ids[0] == LIST
        assert await client.nothing_comes(60.0), "it did not ask for the list"
        assert len(w.opend.bodies(LIST)) == 3, "its own, and the two of all accounts"


async def test_a_client_that_never_traded_costs_no_list(autojump_clock: MockClock) -> None:
    async with world() as w:
        strict(w.opend)
        await w.client()
        await outage(w)
        await trio.sleep(60)
        assert w.opend.connections == 2
        assert w.opend.bodies(LIST) == []


@pytest.mark.parametrize("answers", [True, False])
async def test_an_opend_that_does_not_tell_yet_is_asked_again_and_nobody_waits(
    autojump_clock: MockClock, answers: bool
) -> None:
    async with world() as w:
        strict(w.opend)
        client = await w.client()
        await client.call(LIST, REQUEST)
        w.opend.answers[LIST] = lambda _frame: ret_body(0, -1, "not logged in yet") if answers else None
        w.opend.answers[3004] = lambda _frame: OK
        await outage(w)
        while w.opend.connections < 2:  # the pauses between attempts are drawn by lot
            await trio.sleep(0.1)
        await trio.sleep(1)
        assert (await client.call(3004, b"\x0a\x00")).body == OK
        tried = len(w.opend.bodies(LIST))
        assert tried == 2
        strict(w.opend)
        await trio.sleep(AGAIN_S + 15.0)
        assert len(w.opend.bodies(LIST)) == tried + 2, "both lists, this time"
        await trio.sleep(100.0)
        assert len(w.opend.bodies(LIST)) == tried + 2
        assert w.opend.connections == 2
