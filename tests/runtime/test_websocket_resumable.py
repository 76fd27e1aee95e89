"""FT frames over a WebSocket that can be resumed: nothing lost, nothing twice, a word where something is missing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from opendmux.config import Config
from opendmux.core.freezes import Freeze, FrozenMode
from opendmux.core.pushring import EVENT_BYTES
from opendmux.runtime.callers import GRACE_S
from opendmux.runtime.metrics import Metrics, Sources
from opendmux.runtime.pushstreams import STREAMS_MAX
from opendmux.runtime.transports import _websocket_resumable
from opendmux.wire.frame import HEADER_LEN, ProtoFmt, RetType, Splitter, build_frame
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .bodies import acc_list, quote_push, sub, ticker_push, trade_write
from .test_websocket import KEY, OTHER, SNAPSHOT, blocked, house_with, keyring, limits, reason_of, record
from .world import OK, UPSTREAM_CONN_ID, World, world
from .ws_kit import WsClient, asked, connected

TENCENT = (1, "00700")
BASIC, TICKER = 1, 4
FROM_NOW = "/ws?resume_from=0"
PATIENCE_S = 30
Said = tuple[int, bytes]
"""The number of a push, and its body."""


@asynccontextmanager
async def running(config: Config | None = None, **options: Any) -> AsyncIterator[World]:
    """OpenD answers what the proxy asks of its own accord."""
    async with world(config, **options) as w:
        w.opend.answers[ProtoId.TRD_GET_ACC_LIST] = lambda _frame: acc_list((5, "c"))
        w.opend.answers[ProtoId.TRD_SUB_ACC_PUSH] = lambda _frame: OK
        yield w


def at(number: int) -> str:
    return f"/?resume_from={number}"


def keyed(number: int, key: str = KEY) -> str:
    return f"/ws?token={key}&resume_from={number}"


def body_of(mark: int) -> bytes:
    return ticker_push(*TENCENT, mark=b"%d" % mark)


async def ticks(w: World, *marks: int) -> None:
    for mark in marks:
        await w.opend.push(ProtoId.QOT_UPDATE_TICKER, body_of(mark))
    await trio.sleep(0.1)


async def answer(client: WsClient, proto_id: int, serial_no: int, body: bytes = b"\x0a\x00") -> opend.ResponseHead:
    await client.send_frame(proto_id, serial_no, body)
    frame = await client.frame()
    assert (frame.proto_id, frame.serial_no) == (proto_id, serial_no)
    return opend.ResponseHead.FromString(frame.body)


async def subscribe(w: World, client: WsClient, *sub_types: int) -> None:
    w.opend.answers[ProtoId.QOT_SUB] = lambda _frame: OK
    assert (await answer(client, ProtoId.QOT_SUB, 1, sub([TENCENT], [*sub_types] or [TICKER]))).retType == 0


async def pushed(client: WsClient) -> Said:
    """The next message, which is a push."""
    with trio.fail_after(PATIENCE_S):
        message = await client.ws.get_message()
    assert isinstance(message, bytes), message
    (frame,) = Splitter(2**20).feed_untrusted(message)
    assert frame.sha1_matches()
    return int.from_bytes(message[36:HEADER_LEN], "little"), frame.body


async def some(client: WsClient, count: int) -> list[Said]:
    return [await pushed(client) for _ in range(count)]


async def words(client: WsClient) -> dict[str, Any]:
    """The next message, which is a text."""
    with trio.fail_after(PATIENCE_S):
        message = await client.ws.get_message()
    assert isinstance(message, str), message
    said: dict[str, Any] = json.loads(message)
    return said


async def test_a_broken_connection_goes_on(autojump_clock: MockClock) -> None:
    async with running() as w:
        async with connected(w, FROM_NOW) as client:
            await subscribe(w, client)
            await ticks(w, 1, 2, 3)
            got = await some(client, 3)
            assert [body for _, body in got] == [body_of(mark) for mark in (1, 2, 3)]
            first = got[0][0]
            assert [number for number, _ in got] == [first, first + 1, first + 2]
        await trio.sleep(1)
        await ticks(w, 4, 5)
        async with connected(w, at(first + 1)) as again:
            await ticks(w, 6)
            rest = await some(again, 4)
            assert rest == [(first + number, body_of(number + 1)) for number in range(2, 6)]
            assert await again.nothing_comes()
        assert len(w.opend.bodies(ProtoId.QOT_SUB)) == 1, "its subscription was kept"


async def test_a_new_connection_beside_the_broken_one(autojump_clock: MockClock) -> None:
    """Nobody has told the proxy yet that the old one is dead."""
    async with running() as w, connected(w, FROM_NOW) as old:
        await subscribe(w, old)
        await ticks(w, 1, 2)
        ((number, _), _) = await some(old, 2)
        go = blocked(old)
        await ticks(w, 3, 4)
        async with connected(w, at(number)) as new:
            assert [body for _, body in await some(new, 3)] == [body_of(mark) for mark in (2, 3, 4)]
            go.set()
            assert [body for _, body in await some(old, 2)] == [body_of(mark) for mark in (3, 4)]


async def test_the_newest_quotes_come_first_without_a_number(autojump_clock: MockClock) -> None:
    async with running() as w:
        async with connected(w, FROM_NOW) as client:
            await subscribe(w, client, BASIC)
            await w.opend.push(ProtoId.QOT_UPDATE_BASIC_QOT, quote_push(TENCENT))
            ((number, body),) = await some(client, 1)
        async with connected(w, FROM_NOW) as again:
            assert await some(again, 1) == [(0, body)]
            assert await again.nothing_comes()
        async with connected(w, at(number)) as resumed:
            assert await resumed.nothing_comes(), "it has that one"


async def test_a_ring_that_was_too_small_says_so(autojump_clock: MockClock) -> None:
    size = len(body_of(1)) + EVENT_BYTES
    async with running(limits(push_ring_bytes=3 * size)) as w:
        async with connected(w, FROM_NOW) as client:
            await subscribe(w, client)
            await ticks(w, 1)
            ((number, _),) = await some(client, 1)
        await ticks(w, 2, 3, 4, 5, 6)
        async with connected(w, at(number)) as again:
            gap = {"event_type": "gap", "gap_from": number + 1, "gap_to": number + 2, "seq": number + 2}
            assert await words(again) == gap
            assert [body for _, body in await some(again, 3)] == [body_of(mark) for mark in (4, 5, 6)]


async def test_a_number_that_nobody_knows_is_a_gap(autojump_clock: MockClock) -> None:
    async with running() as w, connected(w, at(2**64 - 1)) as client:
        gap = await words(client)
        assert (gap["gap_from"], gap["gap_to"]) == (0, 0)
        assert gap["seq"] > 0
        async with connected(w, at(gap["seq"])) as again:
            assert await again.nothing_comes()


async def test_after_the_grace_there_is_a_gap(autojump_clock: MockClock) -> None:
    async with running() as w:
        async with connected(w, FROM_NOW) as client:
            await subscribe(w, client)
            await ticks(w, 1)
            ((number, _),) = await some(client, 1)
        await trio.sleep(GRACE_S + 2)
        async with connected(w, at(number)) as again:
            gap = await words(again)
            assert (gap["event_type"], gap["gap_from"]) == ("gap", number + 1)


async def test_rights_that_changed_are_a_gap(autojump_clock: MockClock) -> None:
    house = house_with(record())
    async with running(house=house) as w:
        async with connected(w, keyed(0)) as client:
            await subscribe(w, client)
            await ticks(w, 1, 2)
            (number, _), _ = await some(client, 2)
        house.access.keyring = keyring(record(scopes=["acc:read"]))
        await trio.sleep(1.5)
        async with connected(w, keyed(number)) as again:
            assert (await words(again))["gap_from"] == number + 1
            assert await again.nothing_comes(), "what it saw before is not shown to it any more"


async def test_numbers_belong_to_the_key(autojump_clock: MockClock) -> None:
    async with running(house=house_with(record(), record("other", OTHER))) as w, connected(w, keyed(0)) as client:
        await subscribe(w, client)
        await ticks(w, 1, 2)
        (number, _), _ = await some(client, 2)
        async with connected(w, keyed(number, OTHER)) as other:
            await ticks(w, 3)
            assert (await words(other))["event_type"] == "gap"
            assert await other.nothing_comes(), "that key has subscribed nothing"


async def test_a_plain_client_sees_no_difference(autojump_clock: MockClock) -> None:
    """The same frames, byte for byte, over TCP, over WebSocket, and with numbers but for those."""
    async with running() as w, connected(w) as plain, connected(w, FROM_NOW) as numbered:
        for client in (plain, numbered):
            await subscribe(w, client)
        await trio.sleep(0.2)
        await ticks(w, 1)
        message, other = await plain.ws.get_message(), await numbered.ws.get_message()
        assert message == build_frame(ProtoId.QOT_UPDATE_TICKER, 0, 0, body_of(1))
        assert message[36:HEADER_LEN] == bytes(8)
        assert other[:36] + bytes(8) + other[HEADER_LEN:] == message  # type: ignore[operator]
        assert sorted(session.transport for session in w.proxy.hub.router.sessions.values()) == ["ws", "ws"]


# -- requests


async def test_frames_may_be_cut_anywhere_and_are_answered(autojump_clock: MockClock) -> None:
    async with running(limits()) as w, connected(w, FROM_NOW) as client:
        init = opend.InitConnectRequest(c2s=opend.InitConnectC2S(clientVer=1, clientID="mine"))
        data = build_frame(ProtoId.INIT_CONNECT, 0, 1, encode(init)) + build_frame(
            ProtoId.KEEP_ALIVE, 0, 2, b"\x0a\x00"
        )
        for piece in (data[:1], data[1:50], b"", data[50:]):
            await client.ws.send_message(piece)
        assert opend.InitConnectResponse.FromString((await client.frame()).body).s2c.connID
        assert (await client.frame()).serial_no == 2
        for serial_no in (7, 7, 2**32 - 1):
            await client.send_frame(SNAPSHOT, serial_no)
        frames = [await w.opend.requests.receive() for _ in range(3)]
        for frame in reversed(frames):
            await w.opend.reply(frame, OK)
        assert [(await client.frame()).serial_no for _ in frames] == [2**32 - 1, 7, 7]


async def test_json_requests_get_json_answers(autojump_clock: MockClock) -> None:
    async with running(limits()) as w, connected(w, FROM_NOW) as client:
        await client.ws.send_message(build_frame(SNAPSHOT, ProtoFmt.JSON, 3, b'{"c2s":{}}'))
        await w.opend.reply(await w.opend.requests.receive(), b'{"retType":0}')
        frame = await client.frame()
        assert (frame.proto_fmt, frame.body) == (ProtoFmt.JSON, b'{"retType":0}')
        await client.ws.send_message(build_frame(ProtoId.TRD_UNLOCK_TRADE, ProtoFmt.JSON, 4, b'{"c2s":{}}'))
        refused = await client.frame()
        assert refused.proto_fmt == ProtoFmt.JSON
        assert "trade" in json.loads(refused.body)["retMsg"], "without keys it reads and simulates, as over HTTP"


@pytest.mark.parametrize("proto_fmt", [ProtoFmt.PROTOBUF, ProtoFmt.JSON])
async def test_json_pushes_are_refused_in_words(autojump_clock: MockClock, proto_fmt: int) -> None:
    bodies = {
        ProtoFmt.PROTOBUF: encode(
            opend.InitConnectRequest(c2s=opend.InitConnectC2S(clientVer=1, clientID="x", pushProtoFmt=1))
        ),
        ProtoFmt.JSON: b'{"c2s":{"clientVer":1,"clientID":"x","pushProtoFmt":1}}',
    }
    async with running() as w, connected(w, FROM_NOW) as client:
        await client.ws.send_message(build_frame(ProtoId.INIT_CONNECT, proto_fmt, 1, bodies[ProtoFmt(proto_fmt)]))
        frame = await client.frame()
        assert frame.proto_fmt == proto_fmt
        assert b"without resume_from" in frame.body
        assert (await answer(client, ProtoId.KEEP_ALIVE, 2)).retType == 0, "it may go on with protobuf"


@pytest.mark.parametrize(("shown", "taken"), [(KEY, True), (OTHER, False), ("fc_wrong", False), ("mine", True)])
async def test_the_key_is_that_of_the_handshake(autojump_clock: MockClock, shown: str, taken: bool) -> None:
    async with running(house=house_with(record(), record("other", OTHER))) as w, connected(w, keyed(0)) as client:
        init = opend.InitConnectRequest(c2s=opend.InitConnectC2S(clientVer=1, clientID=shown))
        head = await answer(client, ProtoId.INIT_CONNECT, 1, encode(init))
        assert (head.retType == 0) == taken
        assert shown not in head.retMsg


async def test_what_is_refused_is_answered(autojump_clock: MockClock) -> None:
    async with running(limits(), house=house_with(record())) as w, connected(w, keyed(0)) as client:
        assert "trade" in (await answer(client, ProtoId.TRD_PLACE_ORDER, 1)).retMsg
        assert "SHA-1" in await refusal_of(client, build_frame(SNAPSHOT, 0, 2, b"\x0a\x00", sha1=bytes(20)))
        assert "proto_fmt 9" in await refusal_of(client, build_frame(SNAPSHOT, 9, 3, b"\x0a\x00"))
        for number, proto_id in enumerate((0, ProtoId.QOT_UPDATE_TICKER, 9999), 4):
            assert (await answer(client, proto_id, number)).retType == RetType.FAILED
        with pytest.raises(trio.WouldBlock):
            w.opend.requests.receive_nowait()


async def refusal_of(client: WsClient, data: bytes) -> str:
    await client.ws.send_message(data)
    head = opend.ResponseHead.FromString((await client.frame()).body)
    assert head.retType == RetType.FAILED
    return head.retMsg


async def test_an_order_needs_no_packet_id(autojump_clock: MockClock) -> None:
    house = house_with(record(scopes=["acc:read", "trade:real"]))
    async with running(limits(), house=house) as w, connected(w, keyed(0)) as client:
        await client.send_frame(ProtoId.TRD_PLACE_ORDER, 9, trade_write(0, 0, acc_id=5))
        order = await w.opend.requests.receive()
        assert opend.PlaceOrderRequest.FromString(order.body).c2s.packetID.connID == UPSTREAM_CONN_ID
        await w.opend.reply(order, OK)
        assert (await client.frame()).serial_no == 9


async def test_a_freeze_counts_from_the_next_frame_on(autojump_clock: MockClock) -> None:
    house = house_with(record(scopes=["qot:read", "acc:read", "trade:real"]))
    async with running(limits(), house=house) as w, connected(w, keyed(0)) as client:
        assert (await answer(client, ProtoId.KEEP_ALIVE, 1)).retType == 0
        house.access.freezes.put(Freeze(None, FrozenMode.READ_ONLY, 0.0, "ops"))
        w.proxy.freezer.apply()
        assert "frozen" in (await answer(client, ProtoId.TRD_PLACE_ORDER, 2, trade_write(0, 0, acc_id=5))).retMsg
        await client.send_frame(SNAPSHOT, 3, b"\x0a\x00")
        await w.opend.reply(await w.opend.requests.receive(), OK)
        assert (await client.frame()).serial_no == 3, "reads go on"


async def test_more_requests_than_may_be_open_wait(autojump_clock: MockClock) -> None:
    async with running(limits(in_flight=2)) as w, connected(w, FROM_NOW) as client:
        data = b"".join(build_frame(SNAPSHOT, 0, serial_no, b"\x0a\x00") for serial_no in range(1, 21))
        await client.ws.send_message(data)
        for serial_no in range(1, 21):
            await wait_all_tasks_blocked()
            assert w.opend.requests.statistics().current_buffer_used == min(2, 21 - serial_no)
            await w.opend.reply(await w.opend.requests.receive(), OK)
            frame = await client.frame()
            assert (frame.serial_no, frame.body) == (serial_no, OK)
            with trio.fail_after(1):
                await client.ws.ping(b"there?")


async def test_what_waits_is_bounded(autojump_clock: MockClock) -> None:
    async with running(limits(in_flight=1)) as w, connected(w, FROM_NOW) as client:
        for _ in range(200):
            await client.send_frame(SNAPSHOT, 1, b"\x7a\x80\x20" + bytes(4096))
        await wait_all_tasks_blocked()
        clients = w.proxy.hub.clients.values()
        (line,) = (one for one in clients if isinstance(one, _websocket_resumable.ResumableConnection))
        assert line._waiting_bytes + line._parts_bytes < 80_000
        for _ in range(200):
            await w.opend.reply(await w.opend.requests.receive(), OK)
        for _ in range(200):
            assert (await client.frame()).body == OK


async def test_half_requests_count_in_the_memory_of_all(autojump_clock: MockClock) -> None:
    async with running(limits(client_body_total_bytes=200_000)) as w, connected(w, FROM_NOW) as client:
        frame = build_frame(SNAPSHOT, 0, 1, bytes(300_000))
        for start in range(0, 250_000, 50_000):
            await client.ws.send_message(frame[start : start + 50_000])
        code, reason = await client.closed()
        assert (code, "memory" in reason) == (1008, True)


@pytest.mark.parametrize(
    ("code", "message"),
    [(1003, "text"), (1003, b"garbage"), (1003, b"ft-v1.0\0" + bytes(12)), (1009, bytes(17 * 1024 * 1024))],
)
async def test_what_is_no_frame_closes_with_a_reason(
    autojump_clock: MockClock, code: int, message: str | bytes
) -> None:
    async with running() as w, connected(w, FROM_NOW) as client:
        await client.ws.send_message(message)
        got, reason = await client.closed()
        assert got == code
        assert reason


async def test_frames_before_garbage_are_answered(autojump_clock: MockClock) -> None:
    async with running() as w, connected(w, FROM_NOW) as client:
        await client.ws.send_message(build_frame(ProtoId.KEEP_ALIVE, 0, 1, b"\x0a\x00") + b"garbage")
        assert (await client.frame()).serial_no == 1
        assert (await client.closed())[0] == 1003


# -- the handshake


@pytest.mark.parametrize(
    ("status", "reason", "target"),
    [
        (400, "resume_from", "/?resume_from="),
        (400, "resume_from", "/?resume_from=-1"),
        (400, "resume_from", "/?resume_from=x"),
        (400, "resume_from", "/?resume_from=1&resume_from=1"),
        (400, "resume_from", f"/?resume_from={2**64}"),
        (400, "query", "/?resume_from=0" + "&a" * 100),
        (401, "missing", "/?resume_from=0"),
        (401, "invalid", keyed(0, OTHER)),
        (403, "scope", keyed(0, "fc_nothing")),
        (101, "", keyed(0)),
    ],
)
async def test_the_handshake_is_answered_in_words_of_http(
    autojump_clock: MockClock, status: int, reason: str, target: str
) -> None:
    house = house_with(record(), record("nothing", "fc_nothing", scopes=["trade:simulate"]))
    async with running(house=house) as w:
        got, _, body = await asked(w, target)
        assert got == status, body
        assert not body or reason_of(body) == reason
        await wait_all_tasks_blocked()
        assert len(w.proxy.hub.clients) <= 2, "nothing is left of it but the session in its grace and its recorder"


async def test_a_bearer_and_a_port_with_a_key(autojump_clock: MockClock) -> None:
    async with running(house=house_with(record()), bound_to="bot") as w:
        for headers in ([("authorization", f"Bearer {KEY}")], []):
            async with connected(w, FROM_NOW, headers) as client:
                assert (await answer(client, ProtoId.KEEP_ALIVE, 1)).retType == 0
        (session,) = w.proxy.hub.router.sessions.values()
        assert session.key is not None
        assert session.key.id == "bot"


async def test_one_key_may_have_so_many(autojump_clock: MockClock) -> None:
    async with running() as w, trio.open_nursery() as nursery:

        async def hold(task_status: trio.TaskStatus[None]) -> None:
            async with connected(w, FROM_NOW):
                task_status.started()
                await trio.sleep_forever()

        for _ in range(STREAMS_MAX):
            await nursery.start(hold)
        status, _, body = await asked(w, FROM_NOW)
        assert (status, reason_of(body)) == (429, "streams")
        nursery.cancel_scope.cancel()


# -- outages and ends


async def test_it_may_come_back_while_opend_is_away(autojump_clock: MockClock) -> None:
    async with running() as w:
        async with connected(w, FROM_NOW) as client:
            await subscribe(w, client, TICKER, BASIC)
            await ticks(w, 1, 2)
            (number, _), _ = await some(client, 2)
        w.opend.up = False
        await w.opend.drop()
        await trio.sleep(0.1)
        assert (await asked(w))[0] == 503, "others are told to wait"
        async with connected(w, at(number)) as again:
            assert await some(again, 1) == [(number + 1, body_of(2))]
            refused = await answer_among_pushes(again, SNAPSHOT, 5)
            assert refused.retType == RetType.DISCONNECT
            w.opend.up = True
            await trio.sleep(20)
            await w.opend.push(ProtoId.QOT_UPDATE_BASIC_QOT, quote_push(TENCENT))
            assert (await words(again))["event_type"] == "gap", "nobody has what was pushed meanwhile"
            while (await pushed(again))[1] != quote_push(TENCENT):
                pass
            assert len(w.opend.bodies(ProtoId.QOT_SUB)) > 1, "restored"


async def answer_among_pushes(client: WsClient, proto_id: int, serial_no: int) -> opend.ResponseHead:
    await client.send_frame(proto_id, serial_no, b"\x0a\x00")
    while (frame := await client.frame()).proto_id != proto_id:
        pass
    return opend.ResponseHead.FromString(frame.body)


async def test_a_drain_waits_for_answers(autojump_clock: MockClock) -> None:
    async with running(limits()) as w, connected(w, FROM_NOW) as idle, connected(w, FROM_NOW) as client:
        await client.send_frame(SNAPSHOT, 4)
        frame = await w.opend.requests.receive()
        w.proxy.stop()
        end = {"event_type": "end", "reason": "drain", "text": "opendmux is stopping"}
        assert await words(idle) == end
        assert await idle.closed() == (1001, "opendmux is stopping")
        assert await client.nothing_comes(1)
        await w.opend.reply(frame, OK)
        assert (await client.frame()).serial_no == 4
        assert await words(client) == end
        assert (await client.closed())[0] == 1001


async def test_an_order_that_a_stop_cuts_off_is_answered(autojump_clock: MockClock) -> None:
    house = house_with(record(scopes=["acc:read", "trade:real"]))
    async with running(limits(), house=house) as w, connected(w, keyed(0)) as client:
        await client.send_frame(ProtoId.TRD_PLACE_ORDER, 9, trade_write(0, 0, acc_id=5))
        await w.opend.requests.receive()
        w.proxy.stop()
        frame = await client.frame()
        assert (frame.serial_no, opend.ResponseHead.FromString(frame.body).retType) == (9, RetType.UNKNOWN)
        assert (await words(client))["event_type"] == "end"


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("revoked", "expired or was revoked"),
        ("rotated out", "expired or was revoked"),
        ("killed", "closed by an administrator"),
    ],
)
async def test_an_end_says_why(autojump_clock: MockClock, how: str, text: str) -> None:
    house = house_with(record())
    async with running(limits(), house=house) as w, connected(w, keyed(0)) as client:
        await subscribe(w, client)
        await ticks(w, 1)
        await client.send_frame(SNAPSHOT, 4)
        await w.opend.requests.receive()
        (session,) = w.proxy.hub.router.sessions.values()
        if how == "killed":
            w.proxy.hub.clients[session.slot].end("closed by an administrator", flush_all=False)
        else:
            house.access.keyring = keyring() if how == "revoked" else keyring(record(key=OTHER))
        assert (await pushed(client))[1] == body_of(1)
        assert opend.ResponseHead.FromString((await client.frame()).body).retMsg
        end = await words(client)
        assert end["event_type"] == "end"
        assert text in end["text"]
        assert await client.closed() == (1008, end["text"])
        await trio.sleep(2)
        assert bool(w.proxy.hub.router.sessions) == (how == "rotated out"), "the key itself lives on, for a minute"


async def test_a_client_that_leaves_gives_its_requests_up(autojump_clock: MockClock) -> None:
    async with running(limits(in_flight=1)) as w:
        async with connected(w, FROM_NOW) as client:
            await client.send_frame(SNAPSHOT, 1)
            frame = await w.opend.requests.receive()
        await trio.sleep(3)
        await w.opend.reply(frame, OK)
        async with connected(w, FROM_NOW) as again:
            await again.send_frame(SNAPSHOT, 2)
            await w.opend.reply(await w.opend.requests.receive(), OK)
            assert (await again.frame()).serial_no == 2
        await trio.sleep(GRACE_S + 2)
        assert not w.proxy.hub.clients


# -- slow, silent and dead peers


async def test_a_slow_reader_is_spared_what_was_replaced(autojump_clock: MockClock) -> None:
    quote = quote_push(TENCENT) + b"\x7a\xa0\x1f" + bytes(4000)
    size = len(quote) + EVENT_BYTES
    async with running(limits(push_ring_bytes=400 * size)) as w, connected(w, FROM_NOW) as client:
        await subscribe(w, client, BASIC, TICKER)
        go = blocked(client)
        await ticks(w, 1)
        await wait_all_tasks_blocked()
        for _ in range(300):
            await w.opend.push(ProtoId.QOT_UPDATE_BASIC_QOT, quote)
        await ticks(w, 2, 3)
        go.set()
        got: list[Said] = []
        while not got or got[-1][1] != body_of(3):
            got.append(await pushed(client))
        numbers = [number for number, _ in got]
        assert numbers == sorted(set(numbers))
        bodies = [body for _, body in got]
        assert [body for body in bodies if body != quote] == [body_of(mark) for mark in (1, 2, 3)]
        assert bodies.count(quote) < 150


async def test_a_reader_that_takes_nothing_goes(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async with running() as w, connected(w, FROM_NOW) as client:
        await subscribe(w, client)
        blocked(client)
        with caplog.at_level("INFO"):
            await ticks(w, 1)
            await trio.sleep(32)
        assert any("stalled: took nothing for 30 s" in record.getMessage() for record in caplog.records)
        await trio.sleep(GRACE_S + 2)
        assert not w.proxy.hub.clients


async def test_a_full_outbox_ends_the_connection_alone(autojump_clock: MockClock) -> None:
    async with running(limits(outbox_bytes=100_000)) as w, connected(w, FROM_NOW) as client:
        await subscribe(w, client)
        await ticks(w, 1)
        ((number, _),) = await some(client, 1)
        go = blocked(client)
        for serial_no in range(5):
            await client.send_frame(SNAPSHOT, serial_no, b"\x0a\x00")
        for _ in range(5):
            await w.opend.reply(await w.opend.requests.receive(), b"\x08\x00\x7a\xe0\xa7\x12" + bytes(300_000))
        await wait_all_tasks_blocked()
        go.set()
        assert await client.closed() == (1008, "slow: its outbox is full")
        await ticks(w, 2)
        async with connected(w, at(number)) as again:
            assert await some(again, 1) == [(number + 1, body_of(2))]


async def test_requests_of_a_client_that_does_not_read_are_served(autojump_clock: MockClock) -> None:
    async with running(limits(in_flight=1)) as w, connected(w, FROM_NOW) as client:
        go = blocked(client)
        for serial_no in range(1, 30):
            await client.send_frame(SNAPSHOT, serial_no, b"\x0a\x00")
        for _ in range(1, 30):
            await w.opend.reply(await w.opend.requests.receive(), b"\x08\x00\x7a\x80\x08" + bytes(1024))
        go.set()
        assert [(await client.frame()).serial_no for _ in range(1, 30)] == list(range(1, 30))


async def test_who_does_not_take_answers_may_not_ask_for_more(autojump_clock: MockClock) -> None:
    """Beyond the high water, until it reads again: nothing gets lost, and its outbox does not overflow."""
    bounds = limits(outbox_high_water_bytes=10_000, outbox_bytes=100_000)
    async with running(bounds) as w, connected(w, FROM_NOW) as client:
        go = blocked(client)
        asked = 60
        served = 0
        for serial_no in range(asked):
            await client.send_frame(SNAPSHOT, serial_no + 1, b"\x0a\x00")
            await wait_all_tasks_blocked()
            while w.opend.requests.statistics().current_buffer_used:
                served += 1
                await w.opend.reply(await w.opend.requests.receive(), b"\x08\x00\x7a\x80\x20" + bytes(4096))
                await wait_all_tasks_blocked()
        assert served < 20
        go.set()
        for serial_no in range(asked):
            while serial_no >= served:
                served += 1
                await w.opend.reply(await w.opend.requests.receive(), OK)
            assert (await client.frame()).serial_no == serial_no + 1


async def test_silent_clients_are_pinged_and_dead_ones_go(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as w, connected(w, FROM_NOW) as client:
        await trio.sleep(300)  # its stack answers pings
        assert (await answer(client, ProtoId.KEEP_ALIVE, 1)).retType == 0
        dead = trio.Event()
        client.far_end.receive_stream.receive_some_hook = dead.wait
        await client.send_frame(ProtoId.KEEP_ALIVE, 2, b"\x0a\x00")  # wakes the read that has begun before
        with caplog.at_level("INFO"):
            await trio.sleep(60)
        assert any("no pong within 20 s" in record.getMessage() for record in caplog.records)


async def test_a_crash_ends_one_connection_alone(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_body: bytes, _proto_fmt: int) -> None:
        raise RuntimeError("a bug")

    async with running() as w, connected(w, FROM_NOW) as client, connected(w, FROM_NOW) as other:
        monkeypatch.setattr(_websocket_resumable, "client_hello_untrusted", broken)
        await client.send_frame(ProtoId.INIT_CONNECT, 1)
        assert await client.closed() == (1011, "crashed")
        assert (await answer(other, ProtoId.KEEP_ALIVE, 1)).retType == 0
    assert "a bug" in caplog.text


async def test_all_connections_of_a_key_are_one_session(autojump_clock: MockClock) -> None:
    async with running() as w, connected(w, FROM_NOW), connected(w, FROM_NOW):
        (session,) = w.proxy.hub.router.sessions.values()
        assert session.key is not None
        assert (session.transport, session.key.id) == ("ws", "anonymous")
        figures = Metrics(lambda: w.proxy.stations, Sources(w.proxy.house.access.tally, "1")).text(trio.current_time())
        assert b'opendmux_sessions{opend="opend.test:11111",transport="ws"} 1.0' in figures
