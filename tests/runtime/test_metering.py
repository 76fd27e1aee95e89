"""OpenD's windows and shared reads, through the whole proxy."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from opendmux.config import Config
from opendmux.wire.frame import Frame
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend

from . import bodies
from .world import OK, world

BASIC_QOT, SNAPSHOT, PLATE_SET, PLACE, MODIFY = 3004, 3203, 3204, 2202, 2205
ALLOWED = 10
"""Of Qot_GetPlateSet per 30 s."""


def head(frame: Frame) -> opend.ResponseHead:
    return opend.ResponseHead.FromString(frame.body)


def modify(op: int, acc_id: int = 1) -> bytes:
    c2s = opend.ModifyOrderC2S(
        packetID=opend.PacketID(connID=1, serialNo=1),
        header=opend.TrdHeader(trdEnv=1, accID=acc_id, trdMarket=1),
        orderID=0,
        modifyOrderOp=op,
    )
    return encode(opend.ModifyOrderRequest(c2s=c2s))


async def test_a_window_is_shared_by_all_clients_and_a_full_one_is_a_clear_refusal(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[PLATE_SET] = lambda _frame: OK
        a, b = await w.client(), await w.client()
        for number in range(ALLOWED):
            client = (a, b)[number % 2]
            assert head(await client.call(PLATE_SET, bytes([0x0A, 2, 8, number]))).retType == 0
        started = trio.current_time()
        refusal = head(await b.call(PLATE_SET, b"\x0a\x02\x08\x63"))
        assert refusal.retType == -1
        assert "10 of 3204" in refusal.retMsg
        assert "try again in" in refusal.retMsg
        assert trio.current_time() - started < 0.2, "it could not have gone in time, so nobody waits for nothing"
        assert len(w.opend.bodies(PLATE_SET)) == ALLOWED
        await trio.sleep(31)
        assert head(await b.call(PLATE_SET, b"\x0a\x02\x08\x63")).retType == 0


async def test_a_read_that_can_go_soon_waits(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[PLATE_SET] = lambda _frame: OK
        client = await w.client()
        for number in range(ALLOWED):
            await client.call(PLATE_SET, bytes([0x0A, 2, 8, number]))
        await trio.sleep(27.5)
        started = trio.current_time()
        assert head(await client.call(PLATE_SET, b"\x0a\x02\x08\x63")).retType == 0
        assert 1 < trio.current_time() - started < 4


async def test_a_cancel_goes_before_orders_that_wait(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[PLACE] = w.opend.answers[MODIFY] = lambda _frame: OK
        client = await w.client()
        for number in range(15):
            assert head(await client.call(PLACE, bodies.trade_write(client.conn_id, number))).retType == 0
        refusal = head(await client.call(PLACE, bodies.trade_write(client.conn_id, 99)))
        assert refusal.retType == -1
        assert "nothing was sent" in refusal.retMsg
        assert head(await client.call(MODIFY, modify(2))).retType == 0, "another budget"
        assert len(w.opend.bodies(PLACE)) == 15
        other = bodies.trade_write(client.conn_id, 99, acc_id=2)
        assert head(await client.call(PLACE, other)).retType == 0, "another account"


async def test_identical_reads_in_flight_are_asked_once(autojump_clock: MockClock) -> None:
    async with world() as w:
        clients = [await w.client() for _ in range(5)]
        serials = [await client.request(SNAPSHOT, b"\x0a\x02\x08\x01") for client in clients]
        different = await clients[0].request(SNAPSHOT, b"\x0a\x02\x08\x02")
        await trio.testing.wait_all_tasks_blocked()
        assert len(w.opend.bodies(SNAPSHOT)) == 2
        await trio.aclose_forcefully(clients[4].stream)
        for request in list(w.opend.log):
            await w.opend.reply(request, b"\x08\x00\x12\x02" + request.body[-2:])
        for client, serial_no in list(zip(clients, serials, strict=True))[:4]:
            frame = await client.receive()
            assert (frame.serial_no, frame.body[-2:]) == (serial_no, b"\x08\x01")
        assert (await clients[0].receive()).serial_no == different
        assert w.proxy.hub.router.metering.counts()["shared"] == 4
        await clients[1].request(SNAPSHOT, b"\x0a\x02\x08\x01")
        await trio.testing.wait_all_tasks_blocked()
        assert len(w.opend.bodies(SNAPSHOT)) == 3, "an answered read is asked anew"


async def test_a_lost_link_answers_everybody_who_shared(autojump_clock: MockClock) -> None:
    async with world() as w:
        clients = [await w.client() for _ in range(3)]
        for client in clients:
            await client.request(SNAPSHOT, b"\x0a\x02\x08\x01")
        await trio.testing.wait_all_tasks_blocked()
        await w.opend.drop()
        assert [head(await client.receive()).retType for client in clients] == [-200] * 3


async def test_both_can_be_switched_off(autojump_clock: MockClock) -> None:
    async with world(Config(budgets=False, coalesce=False)) as w:
        client = await w.client()
        before = w.proxy.hub.switch.counters().passed
        for _ in range(70):
            await client.request(SNAPSHOT, b"\x0a\x02\x08\x01")
        await trio.testing.wait_all_tasks_blocked()
        assert len(w.opend.bodies(SNAPSHOT)) == 70
        assert w.proxy.hub.switch.counters().passed == before + 70


async def test_a_crash_in_core_ends_one_client_or_one_connection_alone(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[3004] = lambda _frame: OK
        victim, other = await w.client(), await w.client()
        router = w.proxy.hub.router
        original = router.client_event

        def explode(session, event, now):  # type: ignore[no-untyped-def]
            if session.conn_id == victim.conn_id:
                raise RuntimeError("a bug")
            return original(session, event, now)

        router.client_event = explode  # type: ignore[method-assign]
        await victim.request(9999, b"")
        assert await victim.read_to_the_end() in (0, 1)
        assert head(await other.call(3004, b"\x0a\x00")).retType == 0


async def test_a_read_that_was_cut_off_is_sent_again_where_the_policy_says_so(autojump_clock: MockClock) -> None:
    async with world(Config(retry_reads=True)) as w:
        client = await w.client()
        serials = [await client.request(proto_id, b"\x0a\x02\x08\x01") for proto_id in (SNAPSHOT, BASIC_QOT)]
        for proto_id in (SNAPSHOT, BASIC_QOT):
            await w.opend.requests.receive()
            w.opend.answers[proto_id] = lambda _frame: OK
        await w.opend.drop()
        frames = [await client.receive() for _ in serials]
        assert [frame.serial_no for frame in frames] == serials
        assert [frame.body for frame in frames] == [OK, OK]
        assert len(w.opend.bodies(SNAPSHOT)) == len(w.opend.bodies(BASIC_QOT)) == 2


async def test_a_write_that_was_cut_off_is_never_sent_again(autojump_clock: MockClock) -> None:
    async with world(Config(retry_reads=True)) as w:
        client = await w.client()
        await client.request(PLACE, bodies.trade_write(client.conn_id, 1))
        await w.opend.requests.receive()
        await w.opend.drop()
        assert head(await client.receive()).retType == -400
        await trio.sleep(60)
        assert len(w.opend.bodies(PLACE)) == 1
