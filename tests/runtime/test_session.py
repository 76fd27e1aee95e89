"""One client connection: handshake, bad input, slowness, its end."""

from __future__ import annotations

import struct

import pytest
import trio
from trio.testing import MockClock

from opendmux.config import Config, Limits, Timeouts
from opendmux.wire.frame import build_frame
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from . import bodies
from .world import UPSTREAM_CONN_ID, world

BASIC_QOT = 3004
HEADER = struct.Struct("<2sIBBII20s8x")


def head(body: bytes) -> opend.ResponseHead:
    return opend.ResponseHead.FromString(body)


async def closed(client_stream: trio.abc.Stream) -> bool:
    """True when the peer has closed and nothing more can be read."""
    with trio.move_on_after(60):
        return not await client_stream.receive_some(1)
    return False


async def test_init_connect_is_answered_with_upstreams_version_and_an_id_of_its_own(autojump_clock: MockClock) -> None:
    async with world() as w:
        first, second = await w.connect(), await w.connect()
        a, b = await first.init(), await second.init()
        assert (a.serverVer, a.loginUserID, a.keepAliveInterval, len(a.connAESKey)) == (1009, 77, 10, 16)
        assert len({a.connID, b.connID, UPSTREAM_CONN_ID}) == 3
        assert 0 < a.connID < 2**63
        assert w.opend.connections == 1


async def test_a_ret_type_of_zero_is_written(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.connect()
        await client.init()
        frame = await client.call(ProtoId.KEEP_ALIVE, encode(opend.KeepAliveRequest(c2s=opend.KeepAliveC2S(time=1))))
        assert opend.KeepAliveResponse.FromString(frame.body).HasField("retType")
        assert ret_body(0, 0) == b"\x08\x00"


async def test_keep_alive_is_answered_here(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        frame = await client.call(ProtoId.KEEP_ALIVE, encode(opend.KeepAliveRequest(c2s=opend.KeepAliveC2S(time=1))))
        assert opend.KeepAliveResponse.FromString(frame.body).s2c.time > 1_600_000_000
        assert w.opend.log == []


async def test_global_state_carries_the_clients_own_conn_id(autojump_clock: MockClock) -> None:
    state = opend.GetGlobalStateResponse(
        retType=0, s2c=opend.GetGlobalStateS2C(marketHK=3, connID=UPSTREAM_CONN_ID, serverVer=1009)
    )
    async with world() as w:
        w.opend.answers[ProtoId.GET_GLOBAL_STATE] = lambda _frame: encode(state)
        client = await w.client()
        frame = await client.call(ProtoId.GET_GLOBAL_STATE, b"\x0a\x02\x08\x00")
        s2c = opend.GetGlobalStateResponse.FromString(frame.body).s2c
        assert (s2c.connID, s2c.marketHK, s2c.serverVer) == (client.conn_id, 3, 1009)


async def test_a_passed_request_goes_up_and_its_reply_comes_back_byte_for_byte(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        body = b"\x0a\x04\xfa\x06\x01\x7f"  # an unknown field
        serial_no = await client.request(BASIC_QOT, body)
        upstream = await w.opend.requests.receive()
        assert (upstream.proto_id, upstream.body, upstream.sha1_matches()) == (BASIC_QOT, body, True)
        answer = b"\x08\x00\xfa\x06\x02hi"
        await w.opend.reply(upstream, answer)
        frame = await client.receive()
        assert (frame.proto_id, frame.serial_no, frame.body, frame.sha1_matches()) == (
            BASIC_QOT,
            serial_no,
            answer,
            True,
        )


async def test_a_passed_request_is_not_seen_by_core(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[BASIC_QOT] = lambda _frame: b"\x08\x00"
        client = await w.client()
        before = w.proxy.hub.switch.counters().passed
        for _ in range(10):
            await client.call(BASIC_QOT, b"\x0a\x00")
        assert w.proxy.hub.switch.counters().passed == before + 10


async def test_replies_find_their_client_whatever_the_serials(autojump_clock: MockClock) -> None:
    async with world() as w:
        a, b = await w.client(), await w.client()
        a.serial_no = b.serial_no = 500
        await a.request(BASIC_QOT, b"\x0a\x00")
        await b.request(BASIC_QOT, b"\x0a\x00")
        first, second = await w.opend.requests.receive(), await w.opend.requests.receive()
        assert first.serial_no < second.serial_no
        await w.opend.reply(second, b"\x08\x00\x12\x01b")
        await w.opend.reply(first, b"\x08\x00\x12\x01a")
        assert (await a.receive()).body == b"\x08\x00\x12\x01a"
        assert (await b.receive()).body == b"\x08\x00\x12\x01b"


@pytest.mark.parametrize("proto_id", [BASIC_QOT, ProtoId.KEEP_ALIVE, 2202, 9999])
async def test_anything_before_init_connect_is_refused_and_closed(autojump_clock: MockClock, proto_id: int) -> None:
    async with world() as w:
        client = await w.connect()
        await client.request(proto_id, b"\x0a\x00")
        frame = await client.receive()
        assert head(frame.body).retType == -1
        assert "InitConnect" in head(frame.body).retMsg
        assert await closed(client.stream)
        assert w.opend.log == []


async def test_frames_in_the_same_chunk_as_init_connect_are_served(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.connect()
        init = encode(opend.InitConnectRequest(c2s=opend.InitConnectC2S(clientVer=300, clientID="x", packetEncAlgo=-1)))
        frames = build_frame(1001, 0, 1, init) + build_frame(BASIC_QOT, 0, 2, b"\x0a\x00")
        await client.stream.send_all(frames + build_frame(9999, 0, 3, b"\x0a\x00"))
        assert (await client.receive()).proto_id == 1001
        assert (await client.receive()).serial_no == 3
        assert (await w.opend.requests.receive()).proto_id == BASIC_QOT


@pytest.mark.parametrize("garbage", [b"F\x00", b"\x00", b"ssh-2.0-x\r\n" * 10])
async def test_bad_magic_is_disconnected_and_nobody_else_notices(autojump_clock: MockClock, garbage: bytes) -> None:
    async with world() as w:
        good, bad = await w.client(), await w.connect()
        await bad.stream.send_all(garbage)
        assert await closed(bad.stream)
        await good.request(BASIC_QOT, b"\x0a\x00")
        assert (await w.opend.requests.receive()).proto_id == BASIC_QOT
        assert any("FT" in reason for reason in w.proxy.hub.ended)


async def test_bad_magic_behind_a_good_frame_still_serves_the_good_one(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await client.stream.send_all(build_frame(9999, 0, 5, b"\x0a\x00") + b"oops")
        assert (await client.receive()).serial_no == 5
        assert await closed(client.stream)


async def test_a_wrong_sha1_is_refused_and_the_stream_goes_on(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        damaged = bytearray(build_frame(2202, 0, 7, bodies.trade_write(client.conn_id, 7)))
        damaged[-1] ^= 1
        await client.stream.send_all(damaged)
        frame = await client.receive()
        assert (frame.proto_id, frame.serial_no, head(frame.body).retType) == (2202, 7, -1)
        assert "SHA-1" in head(frame.body).retMsg
        assert w.opend.log == []
        await client.request(BASIC_QOT, b"\x0a\x00")
        assert (await w.opend.requests.receive()).proto_id == BASIC_QOT


async def test_a_wrong_sha1_in_init_connect_closes_without_an_answer(autojump_clock: MockClock) -> None:
    """An RSA client could not read the answer; an error reply on a reconnect ends the Python SDK for good."""
    async with world() as w:
        client = await w.connect()
        frame = bytearray(build_frame(1001, 0, 1, b"x" * 128))
        frame[-1] ^= 1
        await client.stream.send_all(frame)
        assert await closed(client.stream)


async def test_an_oversized_length_is_refused_without_buffering_and_closed(autojump_clock: MockClock) -> None:
    async with world(Config(limits=Limits(client_body_bytes=1000))) as w:
        client = await w.client()
        await client.stream.send_all(HEADER.pack(b"FT", BASIC_QOT, 0, 0, 9, 1001, bytes(20)))
        frame = await client.receive()
        assert (frame.serial_no, head(frame.body).retType) == (9, -1)
        assert await closed(client.stream)


@pytest.mark.parametrize(
    ("proto_id", "word"), [(9999, "not known"), (0, "not known"), (0xFFFFFFFF, "not known"), (3005, "push")]
)
async def test_unknown_ids_and_pushes_are_refused(autojump_clock: MockClock, proto_id: int, word: str) -> None:
    async with world() as w:
        client = await w.client()
        frame = await client.call(proto_id, b"\x0a\x00")
        assert head(frame.body).retType == -1
        assert word in head(frame.body).retMsg
        assert w.opend.log == []


async def test_unknown_ids_pass_when_configured(autojump_clock: MockClock) -> None:
    async with world(Config(allow_unknown=True)) as w:
        client = await w.client()
        await client.request(9999, b"\x0a\x00")
        assert (await w.opend.requests.receive()).proto_id == 9999


async def test_an_unknown_proto_fmt_is_refused(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await client.request(BASIC_QOT, b"{}", proto_fmt=7)
        assert head((await client.receive()).body).retType == -1
        assert w.opend.log == []


@pytest.mark.parametrize("proto_id", [3001, 3002, 3003, 3455, 2005, 2008, 2202, 2205, 2227, 2209, 2237])
async def test_a_body_that_does_not_parse_is_refused(autojump_clock: MockClock, proto_id: int) -> None:
    async with world() as w:
        client = await w.client()
        frame = await client.call(proto_id, b"\x0a\x7f\x01")
        assert head(frame.body).retType == -1
        assert w.opend.log == []


async def test_byte_by_byte_is_fine(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        for byte in build_frame(BASIC_QOT, 0, 5, b"\x0a\x00"):
            await client.stream.send_all(bytes([byte]))
        assert (await w.opend.requests.receive()).body == b"\x0a\x00"


async def test_an_empty_body_is_fine(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await client.request(BASIC_QOT, b"")
        assert (await w.opend.requests.receive()).body == b""


async def test_a_silent_client_stays_and_the_oldest_goes_at_the_cap(autojump_clock: MockClock) -> None:
    async with world(Config(limits=Limits(silent_per_address=2))) as w:
        await w.client()  # has said who it is: does not count, and is why silence is no reason to close
        first, second = await w.connect(), await w.connect()
        await trio.sleep(600)
        assert await first.nothing_comes()
        third = await w.connect()
        assert await closed(first.stream)
        await second.init()
        await third.init()


async def test_in_flight_cap_stops_reading_and_loses_nothing(autojump_clock: MockClock) -> None:
    async with world(Config(limits=Limits(in_flight=4))) as w:
        client = await w.client()
        for _ in range(20):
            await client.request(BASIC_QOT, b"\x0a\x00")
        await trio.testing.wait_all_tasks_blocked()
        assert len(w.opend.log) == 4
        for _ in range(20):
            await w.opend.reply(await w.opend.requests.receive(), b"\x08\x00")
        serials = [(await client.receive()).serial_no for _ in range(20)]
        assert serials == list(range(serials[0], serials[0] + 20))


async def test_a_slow_client_is_closed_at_a_frame_boundary_and_others_go_on(autojump_clock: MockClock) -> None:
    limits = Limits(outbox_bytes=20_000, outbox_high_water_bytes=10_000)
    async with world(Config(limits=limits)) as w:
        w.opend.answers[3001] = lambda _frame: b"\x08\x00"
        slow, healthy = await w.client(), await w.client()
        for client in (slow, healthy):
            await client.call(3001, bodies.sub([(1, "00700")], [4]))
        # A memory stream takes everything at once: hold the slow one's writes as a full socket buffer would.
        held = trio.Event()
        slow.far_end.send_stream.send_all_hook = held.wait
        for number in range(400):
            await w.opend.push(3011, bodies.ticker_push(1, "00700", str(number).encode()))
        marks = [(await healthy.receive()).body for _ in range(400)]
        assert len(set(marks)) == 400
        held.set()
        await trio.sleep(0.1)
        received = await slow.read_to_the_end()
        assert 0 < received < 400
        assert any("slow" in reason for reason in w.proxy.hub.ended)
        assert w.proxy.hub.torn == 0


async def test_a_client_that_never_reads_is_dropped_after_the_grace_period_and_counted_as_torn(
    autojump_clock: MockClock,
) -> None:
    timeouts = Timeouts(write_stall_s=5.0, goodbye_s=1.0)
    async with world(Config(timeouts=timeouts)) as w:
        client = await w.client()
        client.far_end.send_stream.send_all_hook = trio.sleep_forever
        await client.request(9999, b"")
        await trio.sleep(10)
        assert any("stalled" in reason for reason in w.proxy.hub.ended)
        assert w.proxy.hub.torn == 1
