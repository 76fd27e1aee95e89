"""What one client or one OpenD does must not hurt the others."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock

from opendmux.config import Config, Limits, Timeouts
from opendmux.runtime.server import Face, Proxy, run_proxy
from opendmux.runtime.station import Reach
from opendmux.wire.cipher import EncAlgo
from opendmux.wire.frame import Frame, build_frame
from opendmux.wire.messages import ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from tests.wire.secure_kit import OURS, RSA, frame, hello

from . import bodies
from .world import OK, QUIET, Client, MemoryListener, OpenD, World, world

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
    async with group(Config(allow_unknown=True, watch=QUIET)) as (quotes, trade, listener):
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


# -- memory for requests

KIB = 1024
BUSY = "busy: the proxy's memory for requests is used up"
LONG = build_frame(3004, 0, 5, b"\x0a\x00" + bytes(200 * KIB))


async def test_before_init_connect_only_little_is_read(autojump_clock: MockClock) -> None:
    async with world() as w:
        stranger, guest = await w.connect(), await w.client()
        await stranger.stream.send_all(build_frame(1001, 0, 1, bytes(64 * KIB + 1))[:44])
        assert "longer than this proxy accepts before InitConnect" in head(await stranger.receive()).retMsg
        assert await stranger.read_to_the_end() == 0
        await guest.stream.send_all(LONG)
        assert len((await w.opend.requests.receive()).body) == 200 * KIB + 2


async def test_a_small_limit_for_all_holds_before_init_connect_too(autojump_clock: MockClock) -> None:
    async with world(Config(limits=Limits(client_body_bytes=1000))) as w:
        stranger = await w.connect()
        await stranger.stream.send_all(build_frame(1001, 0, 1, bytes(1001))[:44])
        assert head(await stranger.receive()).retType == -1


async def test_clients_that_only_announce_long_requests_lock_nobody_out(autojump_clock: MockClock) -> None:
    async with world(Config(limits=Limits(client_body_total_bytes=KIB * KIB))) as w:
        for _ in range(300):
            loris = await w.connect()
            await loris.init()
            await loris.stream.send_all(build_frame(3004, 0, 1, bytes(16 * KIB * KIB))[:45])
        client = await w.client()
        assert w.proxy.hub.switch.counters().unread_bytes == 300 * 45
        await client.stream.send_all(LONG[: 150 * KIB])
        await client.stream.send_all(LONG[150 * KIB :])
        assert (await w.opend.requests.receive()).proto_id == 3004
        assert len(w.proxy.hub.clients) == 301


async def test_whoever_fills_the_memory_for_requests_is_closed_and_the_others_go_on(autojump_clock: MockClock) -> None:
    async with world(Config(limits=Limits(client_body_total_bytes=300 * KIB))) as w:
        first, second, usual = await w.client(), await w.client(), await w.client()
        await first.stream.send_all(LONG[: 190 * KIB])
        await trio.sleep(1)
        await second.stream.send_all(LONG[: 190 * KIB])
        refused = await second.receive()
        assert (refused.proto_id, refused.serial_no, head(refused).retMsg) == (3004, 5, BUSY)
        assert await second.read_to_the_end() == 0
        assert w.proxy.hub.ended == {BUSY: 1}
        request = build_frame(3004, 0, 6, b"\x0a\x00")
        for piece in (request[:20], request[20:]):
            await usual.stream.send_all(piece)
            await trio.sleep(0.1)
        assert (await w.opend.requests.receive()).body == b"\x0a\x00"
        await first.stream.send_all(LONG[190 * KIB :])
        assert len((await w.opend.requests.receive()).body) == 200 * KIB + 2
        assert w.proxy.hub.switch.counters().unread_bytes == 0


@asynccontextmanager
async def encrypted_world(config: Config) -> AsyncIterator[World]:
    async with trio.open_nursery() as nursery:
        double, listener = OpenD(nursery), MemoryListener()

        async def run(task_status: trio.TaskStatus[Proxy]) -> None:
            face = Face(Reach("opend.test:1", double.dial), config, rsa_key=RSA, listeners=[listener])
            await run_proxy([face], drain_s=1, task_status=task_status)

        proxy = await nursery.start(run)
        await proxy.listening.wait()
        yield World(proxy, double, listener)
        nursery.cancel_scope.cancel(reason="test is over")


async def test_encrypted_clients_have_the_same_bounds(autojump_clock: MockClock) -> None:
    async with encrypted_world(Config(limits=Limits(client_body_total_bytes=300 * KIB), watch=QUIET)) as w:
        stranger, first, second = [await w.connect() for _ in range(3)]
        await stranger.stream.send_all(build_frame(1001, 0, 1, bytes(65 * KIB))[:44])
        assert await stranger.stream.receive_some() == b""
        for client in (first, second):
            await client.stream.send_all(frame(1001, hello(EncAlgo.AES_CBC), OURS.encrypt))
            assert await client.stream.receive_some()
        await first.stream.send_all(LONG[: 190 * KIB])
        await trio.sleep(1)
        assert w.proxy.hub.switch.counters().unread_bytes == 190 * KIB
        await second.stream.send_all(LONG[: 190 * KIB])
        assert await second.stream.receive_some(), "why it is closed, encrypted"
        assert await second.stream.receive_some() == b""
        assert w.proxy.hub.ended[BUSY] == 1
        await first.stream.send_all(LONG[190 * KIB :])
        assert len((await w.opend.requests.receive()).body) == 200 * KIB + 2
        assert w.proxy.hub.switch.counters().unread_bytes == 0
