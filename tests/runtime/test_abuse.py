"""What one client or one OpenD does must not hurt the others."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock

from opendmux.config import Config, Timeouts
from opendmux.runtime.server import Face, Proxy, run_proxy
from opendmux.runtime.station import Reach
from opendmux.wire.frame import Frame
from opendmux.wire.messages import ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from . import bodies
from .world import OK, Client, MemoryListener, OpenD, world

ORDER = ProtoId.TRD_PLACE_ORDER


def head(frame: Frame) -> opend.ResponseHead:
    return opend.ResponseHead.FromString(frame.body)


@asynccontextmanager
async def group(config: Config) -> AsyncIterator[tuple[OpenD, OpenD, MemoryListener]]:
    """Quotes come from the first double, trade calls go to the second."""
    async with trio.open_nursery() as nursery:
        quotes, trade, listener = OpenD(nursery), OpenD(nursery), MemoryListener()
        reach = Reach("a or b", trade.dial, trade_name="a", members=[("a", quotes.dial), ("b", quotes.dial)])

        async def run(task_status: trio.TaskStatus[Proxy]) -> None:
            await run_proxy([Face(reach, config, listeners=[listener])], drain_s=1, task_status=task_status)

        proxy = await nursery.start(run)
        await proxy.listening.wait()
        await trio.sleep(1)
        yield quotes, trade, listener
        nursery.cancel_scope.cancel(reason="test is over")


async def test_an_unknown_trade_call_of_a_group_goes_to_the_one_that_trades(autojump_clock: MockClock) -> None:
    async with group(Config(allow_unknown=True)) as (quotes, trade, listener):
        client = Client(*await listener.connect())
        await client.init()
        await client.request(2299, b"\x0a\x00")
        await trio.sleep(1)
        assert (len(quotes.log), len(trade.log)) == (0, 1)


async def test_one_clients_made_up_accounts_leave_the_others_orders_alone(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[2111] = w.opend.answers[ORDER] = lambda _frame: OK
        flooder, trader = await w.client(), await w.client()
        for number in range(4096):
            header = opend.TrdHeader(trdEnv=1, accID=1000 + number, trdMarket=1).SerializeToString()
            inner = b"\x0a" + bytes([len(header)]) + header
            assert head(await flooder.call(2111, b"\x0a" + bytes([len(inner)]) + inner)).retType == 0
        reply = head(await trader.call(ORDER, bodies.trade_write(trader.conn_id, 1, acc_id=7)))
        assert reply.retType == 0, reply.retMsg


async def test_a_client_that_reads_slowly_is_closed_at_a_frame_boundary() -> None:
    """On a real socket: what is queued takes longer than the goodbye may; the frame under way is finished all the
    same, because it is being read."""
    config = Config(timeouts=Timeouts(goodbye_s=0.5))
    async with trio.open_nursery() as nursery:
        double = OpenD(nursery)
        sock = trio.socket.socket()
        await sock.bind(("127.0.0.1", 0))
        sock.listen()
        face = Face(Reach("opend.test:1", double.dial), config, "close", listeners=[trio.SocketListener(sock)])

        async def run(task_status: trio.TaskStatus[Proxy]) -> None:
            await run_proxy([face], drain_s=1, task_status=task_status)

        with trio.fail_after(30):
            proxy = await nursery.start(run)
            await proxy.listening.wait()
            raw = trio.socket.socket()
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            await raw.connect(sock.getsockname())
            client = Client(trio.SocketStream(raw), None)  # type: ignore[arg-type]
            await client.init()
            body = b"\x08\x00\xfa\x06\x80\x80\x40" + bytes(1024 * 1024)
            for _ in range(7):
                await client.request(3202, b"\x0a\x00")
            for _ in range(7):
                await double.reply(await double.requests.receive(), body)
            double.up = False
            await double.drop()
            try:
                while True:
                    await client.receive()  # Peer asserts that the end is at a frame boundary
                    await trio.sleep(0.25)
            except trio.EndOfChannel:
                pass
            assert proxy.hub.torn == 0
            raw.close()
        nursery.cancel_scope.cancel(reason="test is over")


async def test_one_clients_bad_account_does_not_cost_another_its_pushes(autojump_clock: MockClock) -> None:
    async with world() as w:
        good, bad = await w.client(), await w.client()
        await bad.request(2008, bodies.acc_push(666))
        await good.request(2008, bodies.acc_push(1))
        refused = ret_body(0, -1, "unknown account")
        for _ in range(2):
            await w.opend.reply(await w.opend.requests.receive(), refused)
        w.opend.answers[2008] = lambda _frame: OK
        with trio.move_on_after(1):
            await w.opend.reply(await w.opend.requests.receive(), OK)
        assert head(await bad.receive()).retType == -1
        assert head(await good.receive()).retType == 0
        await w.opend.push(2208, bodies.order_push(1))
        assert (await good.receive()).proto_id == 2208


async def test_an_order_whose_owner_has_gone_answers_nobody_else(autojump_clock: MockClock) -> None:
    async with world() as w:
        gone = await w.client()
        await gone.request(ORDER, bodies.trade_write(gone.conn_id, 1))
        await gone.request(3004, b"\x0a\x00")
        slot = next(iter(w.proxy.hub.clients))
        await trio.testing.wait_all_tasks_blocked()
        await trio.aclose_forcefully(gone.stream)
        await trio.sleep(0.1)
        heir = await w.client()
        assert next(iter(w.proxy.hub.clients)) == slot
        for frame in list(w.opend.log):
            await w.opend.reply(frame, OK)
        assert await heir.nothing_comes()
        assert w.proxy.hub.switch.counters().pending == 0


async def test_an_account_list_cut_off_by_an_outage_is_told_after_it(autojump_clock: MockClock) -> None:
    """The Python SDK ignores the answer to 2008."""
    async with world() as w:
        client = await w.client()
        await client.request(2008, bodies.acc_push(1))
        await trio.testing.wait_all_tasks_blocked()
        await w.opend.drop()
        w.opend.answers[2008] = lambda _frame: OK
        await trio.sleep(5)
        assert head(await client.receive()).retType == -200
        await w.opend.push(2208, bodies.order_push(1))
        assert not await client.nothing_comes()
        unions = [set(opend.SubAccPushRequest.FromString(b).c2s.accIDList) for b in w.opend.bodies(2008)]
        assert unions[-1] == {1}
