"""The rules every request must obey, over memory streams."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from opendmux.wire.frame import build_frame
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend, opend_sim
from opendmux.wire.protocols import ProtoId

from .kit import APPLE, BASIC, TENCENT, Client, playing

if TYPE_CHECKING:
    from trio.testing import MockClock

KEEP_ALIVE = encode(opend.KeepAliveRequest(c2s=opend.KeepAliveC2S(time=1)))
GLOBAL_STATE = opend.GetGlobalStateRequest(c2s=opend.GetGlobalStateC2S(userID=0))


async def test_init_connect_answers_with_a_session(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client(init=False)
        s2c = await client.init(clientID="me")
        assert 0 < s2c.connID < 2**63
        assert len(s2c.connAESKey) == 16
        assert s2c.keepAliveInterval == 10
        assert not s2c.HasField("aesCBCiv")
        assert [record.client_id for record in play.sim.connections] == ["me"]


async def test_conn_ids_are_unique_and_follow_from_the_seed(autojump_clock: MockClock) -> None:
    async def ids(seed: int) -> list[int]:
        async with playing(seed=seed) as play:
            return [(await play.client()).conn_id for _ in range(20)]

    first, again, other = await ids(1), await ids(1), await ids(2)
    assert first == again
    assert len(set(first + other)) == 40


async def test_ret_type_is_written_also_when_it_is_zero(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        assert (await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE)).HasField("retType")


async def test_nothing_works_before_init_connect(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client(init=False)
        answer = await client.head(ProtoId.GET_GLOBAL_STATE, encode(GLOBAL_STATE))
        assert (answer.retType, answer.retMsg) == (-1, "InitConnect (1001) must come first")
        assert [violation.rule for violation in play.sim.violations] == ["init"]
        await client.init()


async def test_init_connect_works_once(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        body = encode(opend.InitConnectRequest(c2s=opend.InitConnectC2S(clientVer=1, clientID="x")))
        assert (await client.head(ProtoId.INIT_CONNECT, body)).retType == -1
        assert play.sim.record.broken("init")
        assert play.sim.connections[0].client_id == "test"


@pytest.mark.parametrize(
    "c2s",
    [
        opend.InitConnectC2S(clientVer=300),
        opend.InitConnectC2S(clientID="x"),
        opend.InitConnectC2S(clientVer=1, clientID="x", pushProtoFmt=2),
    ],
)
async def test_init_connect_needs_its_fields(autojump_clock: MockClock, c2s: opend.InitConnectC2S) -> None:
    async with playing() as play:
        client = await play.client(init=False)
        assert (await client.head(ProtoId.INIT_CONNECT, encode(opend.InitConnectRequest(c2s=c2s)))).retType == -1


async def test_wrong_sha1_is_refused_and_the_connection_goes_on(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        answer = await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE, sha1=hashlib.sha1(b"other").digest())
        assert answer.retType == -1
        assert play.sim.record.broken("sha1")
        assert (await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE)).retType == 0


async def test_falling_serials_are_recorded(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        assert (await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE, serial_no=100)).retType == 0
        assert (await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE, serial_no=50)).retType == 0
        assert [(violation.rule, violation.serial_no) for violation in play.sim.violations] == [("serial", 50)]


async def test_strict_serials_ignore_replays(autojump_clock: MockClock) -> None:
    async with playing(strict_serials=True) as play:
        client = await play.client()
        assert (await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE, serial_no=100)).retType == 0
        for serial_no in (100, 99):
            await client.send(ProtoId.KEEP_ALIVE, KEEP_ALIVE, serial_no=serial_no)
        assert await client.drain(5) == []
        assert (await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE, serial_no=101)).retType == 0
        assert len(play.sim.record.broken("serial")) == 2
        other = await play.client()
        assert (await other.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE)).retType == 0
        assert len(play.sim.record.broken("serial")) == 2, "serials are counted per connection"


async def test_a_silent_connection_is_closed_after_thirty_seconds(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        start = trio.current_time()
        await trio.sleep(20)
        await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE)
        with pytest.raises(trio.EndOfChannel):
            await client.frame()
        assert trio.current_time() - start == pytest.approx(50)
        assert [violation.rule for violation in play.sim.violations] == ["keep_alive"]
        await trio.testing.wait_all_tasks_blocked()
        assert play.sim.connections == []
        assert "30 s" in play.sim.record.connections[0].close_reason


async def test_half_a_frame_is_silence_too(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        start = trio.current_time()
        for byte in build_frame(ProtoId.KEEP_ALIVE, 0, 9, KEEP_ALIVE)[:40]:
            await trio.sleep(1)
            try:
                await client.stream.send_all(bytes([byte]))
            except trio.BrokenResourceError:
                break
        assert trio.current_time() - start <= 32


async def test_a_connection_without_init_is_closed_too(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client(init=False)
        with pytest.raises(trio.EndOfChannel):
            await client.frame()


async def test_the_silence_rule_can_be_switched_off(autojump_clock: MockClock) -> None:
    async with playing(keep_alive_timeout_s=None) as play:
        client = await play.client()
        await trio.sleep(10_000)
        assert (await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE)).retType == 0


async def test_connection_limit(autojump_clock: MockClock) -> None:
    async with playing(max_connections=2) as play:
        first = await play.client()
        await play.client()
        third = await play.client(init=False)
        with pytest.raises(trio.EndOfChannel):
            await third.frame()
        assert [violation.rule for violation in play.sim.violations] == ["connections"]
        await first.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        await play.client()


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n\r\n", build_frame(1001, 0, 1, b"x" * 2000)])
async def test_a_broken_stream_is_closed(autojump_clock: MockClock, junk: bytes) -> None:
    async with playing(max_body_bytes=1000) as play:
        client = await play.client()
        await client.stream.send_all(build_frame(ProtoId.KEEP_ALIVE, 0, 5, KEEP_ALIVE) + junk)
        assert (await client.frame()).proto_id == ProtoId.KEEP_ALIVE
        with pytest.raises(trio.EndOfChannel):
            await client.frame()
        assert [violation.rule for violation in play.sim.violations] == ["framing"]


async def test_frames_may_arrive_byte_by_byte(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        for byte in build_frame(ProtoId.KEEP_ALIVE, 0, 77, KEEP_ALIVE):
            await client.stream.send_all(bytes([byte]))
        assert (await client.reply(77)).proto_id == ProtoId.KEEP_ALIVE


async def json_call(client: Client, proto_id: int, text: str) -> dict[str, Any]:
    reply = await client.reply(await client.send(proto_id, text.encode(), proto_fmt=1))
    assert reply.proto_fmt == 1
    return json.loads(reply.body)  # type: ignore[no-any-return]


async def test_json_in_and_json_out(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        state = await json_call(client, ProtoId.GET_GLOBAL_STATE, '{"c2s": {"userID": "900001"}}')
        # Names as in the .proto, 64-bit numbers as numbers, retType also when it is 0.
        assert (state["retType"], state["s2c"]["connID"]) == (0, client.conn_id)
        paper = (await client.accounts())[1]
        packet_id = {"connID": str(client.conn_id), "serialNo": 1}
        head = {"trdEnv": 0, "accID": str(paper.accID), "trdMarket": 1}
        order = {"packetID": packet_id, "header": head, "trdSide": 1, "orderType": 2, "code": "00700", "qty": 100.0}
        placed = await json_call(client, ProtoId.TRD_PLACE_ORDER, json.dumps({"c2s": {**order, "newField": 1}}))
        assert placed["retType"] == 0, "a field we do not know is passed over"
        assert placed["s2c"]["orderIDEx"] == play.sim.orders[0].order_id_ex
        assert play.sim.violations == []


async def test_bad_json_is_refused_in_json(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        for text in ("", "{", "[]", '{"c2s": 5}', "{}", "[" * 5000):
            assert (await json_call(client, ProtoId.GET_GLOBAL_STATE, text))["retType"] == -1
        reply = await client.reply(await client.send(ProtoId.GET_GLOBAL_STATE, b'"\xff"', proto_fmt=1))
        assert json.loads(reply.body)["retType"] == -1
        assert {violation.rule for violation in play.sim.violations} == {"format"}


async def test_json_pushes_by_connection(autojump_clock: MockClock) -> None:
    async with playing() as play:
        in_json, in_protobuf = await play.client(pushProtoFmt=1), await play.client()
        for client in (in_json, in_protobuf):
            await client.subscribe([TENCENT], [BASIC])
        frame = await in_json.frame()
        assert (frame.proto_id, frame.proto_fmt) == (ProtoId.QOT_UPDATE_BASIC_QOT, 1)
        quote = json.loads(frame.body)["s2c"]["basicQotList"][0]
        assert quote["security"] == {"market": 1, "code": "00700"}
        assert (await in_protobuf.frame()).proto_fmt == 0
        assert [record.push_proto_fmt for record in play.sim.connections] == [1, 0]


async def test_other_formats_unknown_protocols_and_odd_bodies_are_refused(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client()
        assert (await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE, proto_fmt=7)).retType == -1
        assert (await client.head(4242, b"")).retMsg == "proto_id 4242 is not simulated"
        assert (await client.head(ProtoId.KEEP_ALIVE, b"\xff\xff")).retType == -1
        assert (await client.head(ProtoId.KEEP_ALIVE, b"")).retType == -1
        assert (await client.head(ProtoId.KEEP_ALIVE, KEEP_ALIVE)).retType == 0


async def test_packet_id_must_be_of_the_connection_and_grow(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client, other = await play.client(), await play.client()
        paper = (await client.accounts())[1]
        foreign = opend.PacketID(connID=other.conn_id, serialNo=5)
        assert "connID" in (await client.place(paper, packetID=foreign)).retMsg
        good = opend.PacketID(connID=client.conn_id, serialNo=5)
        assert (await client.place(paper, packetID=good)).retType == 0
        assert "serialNo" in (await client.place(paper, packetID=good)).retMsg
        assert (await client.place(paper, packetID=opend.PacketID())).retType == -1
        assert [violation.rule for violation in play.sim.violations] == ["packet_id"] * 3
        assert len(play.sim.orders) == 1


@pytest.mark.parametrize("proto_id", [2205, 2209, 2227, 2237])
async def test_every_write_is_guarded_by_its_packet_id(autojump_clock: MockClock, proto_id: int) -> None:
    async with playing() as play:
        client = await play.client()
        for packet_id in (opend.PacketID(connID=1, serialNo=1), client.packet_id()):
            body = encode(opend_sim.PacketIDRequest(c2s=opend_sim.PacketIDC2S(packetID=packet_id)))
            assert (await client.head(proto_id, body)).retType == -1
        assert [violation.rule for violation in play.sim.violations] == ["packet_id"]


async def test_the_record_keeps_every_request_and_blots_out_the_password(autojump_clock: MockClock) -> None:
    async with playing() as play:
        client = await play.client(clientID="recorded")
        await client.subscribe([TENCENT, APPLE], [BASIC])
        await client.unlock("0" * 32)
        await client.head(ProtoId.KEEP_ALIVE, b"\xff")
        assert [request.proto_id for request in play.sim.requests] == [1001, 3001, 2005, 1004]
        assert [request.serial_no for request in play.sim.requests] == [1, 2, 3, 4]
        summary = play.sim.record.of(ProtoId.QOT_SUB)[0].summary
        assert summary["securityList"] == [{"market": 1, "code": "00700"}, {"market": 11, "code": "AAPL"}]
        assert play.sim.record.of(ProtoId.TRD_UNLOCK_TRADE)[0].summary == {"unlock": True, "pwdMD5": "***"}
        assert play.sim.record.of(ProtoId.KEEP_ALIVE)[0].summary == {}
        assert play.sim.record.request_counts[ProtoId.QOT_SUB] == 1


async def test_global_state_and_user_info(autojump_clock: MockClock) -> None:
    async with playing(sub_quota=77) as play:
        client = await play.client()
        state = await client.call(ProtoId.GET_GLOBAL_STATE, GLOBAL_STATE, opend.GetGlobalStateResponse)
        assert state.s2c.connID == client.conn_id
        assert state.s2c.programStatus.type == 10
        assert state.s2c.time == int(play.sim.config.epoch)
        request = opend.GetUserInfoRequest(c2s=opend.GetUserInfoC2S(flag=0))
        info = await client.call(ProtoId.GET_USER_INFO, request, opend.GetUserInfoResponse)
        assert info.s2c.subQuota == 77
        assert info.s2c.hkQotRight == info.s2c.ecQotRight == 3
