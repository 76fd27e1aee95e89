"""The upstream link: first contact, outages, parked calls, deadlines, PacketID."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from opendmux.config import Config
from opendmux.native import packet_id_untrusted
from opendmux.runtime.upstream import LinkState
from opendmux.wire.cipher import RsaKey
from opendmux.wire.frame import Frame, build_frame
from opendmux.wire.messages import ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from tests.wire.secure_kit import RSA

from . import bodies
from .world import OK, UPSTREAM_CONN_ID, world

BASIC_QOT = 3004
ORDER = ProtoId.TRD_PLACE_ORDER


def head(frame: Frame) -> opend.ResponseHead:
    return opend.ResponseHead.FromString(frame.body)


async def test_before_the_first_contact_nobody_is_accepted(autojump_clock: MockClock) -> None:
    async with world(up=False) as w:
        await trio.sleep(300)
        assert not w.proxy.listening.is_set()
        w.opend.up = True
        await w.proxy.listening.wait()
        assert w.proxy.link.state is LinkState.READY
        await (await w.connect()).init()


async def test_back_off_grows_and_is_bounded(autojump_clock: MockClock) -> None:
    tries: list[float] = []
    async with world(up=False) as w:
        original = w.opend.dial

        async def dial() -> trio.abc.Stream:
            tries.append(trio.current_time())
            return await original()

        w.proxy.link._dial = dial
        await trio.sleep(300)
    gaps = [b - a for a, b in pairwise(tries)]
    assert gaps[0] < 2
    assert all(gap <= 15 * 1.25 + 0.01 for gap in gaps)
    assert gaps[-1] > 15 * 0.75 - 0.01


async def test_upstream_serials_are_fresh_and_strictly_increasing_also_after_a_reconnect(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        client = await w.client()
        for serial_no in (900, 5, 5, 4_000_000_000):
            await client.send(BASIC_QOT, serial_no, b"\x0a\x00")
        await trio.testing.wait_all_tasks_blocked()
        await w.opend.drop()
        await trio.sleep(5)
        await client.request(BASIC_QOT, b"\x0a\x00")
        await trio.testing.wait_all_tasks_blocked()
        serials = [frame.serial_no for frame in w.opend.log]
        assert len(serials) == 5
        assert serials == sorted(set(serials))


async def test_a_session_that_was_ready_stays_and_is_told_where_and_for_how_long(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        w.opend.up = False
        await w.opend.drop()
        await trio.sleep(42)
        frame = await client.call(BASIC_QOT, b"\x0a\x00")
        assert head(frame).retType == -200
        assert "opend.test:11111" in head(frame).retMsg
        assert "42 s" in head(frame).retMsg
        await client.call(ProtoId.KEEP_ALIVE, b"\x0a\x02\x08\x01")
        # It was ready before the outage: even its restore calls are answered at once.
        assert head(await client.call(3001, bodies.sub([(1, "00700")], [1]))).retType == -200
        w.opend.up = True
        await trio.sleep(20)
        await client.request(BASIC_QOT, b"\x0a\x00")
        assert (await w.opend.requests.receive()).proto_id == BASIC_QOT


async def test_requests_in_flight_are_answered_when_the_link_dies(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        read = await client.request(BASIC_QOT, b"\x0a\x00")
        order = await client.request(ORDER, bodies.trade_write(client.conn_id, 1))
        subscribe = await client.request(3001, bodies.sub([(1, "00700")], [1]))
        await trio.testing.wait_all_tasks_blocked()
        w.opend.up = False
        await w.opend.drop()
        answers = {}
        for _ in range(3):
            frame = await client.receive()
            answers[frame.serial_no] = head(frame)
        assert answers[read].retType == -200
        assert answers[subscribe].retType == -200
        assert answers[order].retType == -400
        assert "query" in answers[order].retMsg


async def test_an_order_is_never_sent_again(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await client.request(ORDER, bodies.trade_write(client.conn_id, 1))
        await trio.testing.wait_all_tasks_blocked()
        await w.opend.drop()
        assert head(await client.receive()).retType == -400
        await trio.sleep(60)
        assert len(w.opend.bodies(ORDER)) == 1


async def test_a_reply_that_does_not_come_is_answered_before_the_sdk_gives_up(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        started = trio.current_time()
        await client.request(BASIC_QOT, b"\x0a\x00")
        await client.request(ORDER, bodies.trade_write(client.conn_id, 1))
        read, order = head(await client.receive()), head(await client.receive())
        assert (read.retType, order.retType) == (-100, -400)
        assert 10.5 < trio.current_time() - started < 11.5
        # The late replies are nobody's.
        for frame in list(w.opend.log):
            await w.opend.reply(frame, OK)
        assert await client.nothing_comes()
        assert w.proxy.hub.switch.counters().strays == 2


async def test_a_damaged_reply_is_an_error_for_a_read_and_unknown_for_an_order(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        for proto_id, body in ((BASIC_QOT, b"\x0a\x00"), (ORDER, bodies.trade_write(client.conn_id, 1))):
            await client.request(proto_id, body)
            request = await w.opend.requests.receive()
            damaged = bytearray(build_frame(proto_id, 0, request.serial_no, OK))
            damaged[20] ^= 1
            assert w.opend.peer is not None
            await w.opend.peer.stream.send_all(damaged)
        assert head(await client.receive()).retType == -1
        assert head(await client.receive()).retType == -400


async def test_garbage_from_upstream_drops_the_link_and_it_comes_back(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        assert w.opend.peer is not None
        await w.opend.peer.stream.send_all(b"HTTP/1.1 400 Bad Request\r\n")
        await trio.sleep(5)
        assert w.opend.connections == 2
        await client.request(BASIC_QOT, b"\x0a\x00")
        assert (await w.opend.requests.receive()).proto_id == BASIC_QOT


async def test_a_mute_upstream_is_replaced(autojump_clock: MockClock) -> None:
    async with world() as w:
        assert w.opend.peer is not None
        w.opend.answers[ProtoId.KEEP_ALIVE] = lambda _frame: None
        peer = w.opend.peer

        async def mute(*_args: object, **_kw: object) -> None:
            await trio.lowlevel.checkpoint()

        peer.send = mute  # type: ignore[method-assign]
        await trio.sleep(60)
        assert w.opend.connections == 2
        assert w.proxy.link.state is LinkState.READY


async def test_keep_alive_goes_up_at_the_announced_interval(autojump_clock: MockClock) -> None:
    async with world() as w:
        assert w.opend.peer is not None
        beats: list[float] = []
        original = w.opend._one

        async def one(peer: object, frame: Frame) -> None:
            if frame.proto_id == ProtoId.KEEP_ALIVE:
                beats.append(trio.current_time())
            await original(peer, frame)  # type: ignore[arg-type]

        w.opend._one = one  # type: ignore[method-assign]
        await trio.sleep(100)
        assert 9 <= len(beats) <= 13
        assert w.opend.connections == 1


async def test_restore_calls_of_a_client_that_came_during_the_outage_are_parked_in_order(
    autojump_clock: MockClock,
) -> None:
    async with world() as w:
        w.opend.answers[3001] = w.opend.answers[2001] = w.opend.answers[2008] = lambda _frame: OK
        w.opend.up = False
        await w.opend.drop()
        await trio.sleep(1)
        client = await w.connect()
        await client.init()  # on the remembered identity
        assert head(await client.call(BASIC_QOT, b"\x0a\x00")).retType == -200
        serials = [
            await client.request(2001, b"\x0a\x02\x08\x00"),
            await client.request(2008, bodies.acc_push(5)),
            await client.request(3001, bodies.sub([(1, "00700")], [1])),
        ]
        assert await client.nothing_comes(3)
        w.opend.up = True
        assert [(await client.receive()).serial_no for _ in serials] == serials
        assert [frame.proto_id for frame in w.opend.log] == [2001, 2008, 3001]


async def test_parked_calls_end_with_the_connection_when_the_link_stays_down(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.up = False
        await w.opend.drop()
        await trio.sleep(1)
        client = await w.connect()
        await client.init()
        started = trio.current_time()
        await client.request(3001, bodies.sub([(1, "00700")], [1]))
        with pytest.raises(trio.EndOfChannel):
            await client.receive()
        assert 9.9 < trio.current_time() - started < 11


async def test_what_clients_hold_is_restored_before_the_link_is_ready(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.answers[3001] = w.opend.answers[2008] = lambda _frame: OK
        client = await w.client()
        await client.call(3001, bodies.sub([(1, "00700"), (11, "AAPL")], [1, 4]))
        await client.call(2008, bodies.acc_push(5, 6))
        w.opend.log.clear()
        del w.opend.answers[3001]
        await w.opend.drop()
        await trio.sleep(5)
        for sub_type in (1, 4):
            replayed = await w.opend.requests.receive()
            c2s = opend.SubRequest.FromString(replayed.body).c2s
            assert {(s.market, s.code) for s in c2s.securityList} == {(1, "00700"), (11, "AAPL")}
            assert list(c2s.subTypeList) == [sub_type]
            assert c2s.isSubOrUnSub
            assert c2s.isRegOrUnRegPush
            assert c2s.isFirstPush is (sub_type != 4), "ticks must not come twice"
            assert w.proxy.link.state == LinkState.CONNECTING
            await w.opend.reply(replayed, OK)
        await trio.testing.wait_all_tasks_blocked()
        assert w.proxy.link.state.value == "ready"
        (accounts,) = w.opend.bodies(2008)
        assert set(opend.SubAccPushRequest.FromString(accounts).c2s.accIDList) == {5, 6}
        await w.opend.push(3011, bodies.ticker_push(1, "00700"))
        assert (await client.receive()).proto_id == 3011


@pytest.mark.parametrize("proto_id", [2202, 2205, 2227, 2209, 2237])
async def test_packet_ids_are_upstreams_and_the_rest_of_the_body_is_untouched(
    autojump_clock: MockClock, proto_id: int
) -> None:
    async with world() as w:
        a, b = await w.client(), await w.client()
        for client in (a, b, a):
            await client.request(proto_id, bodies.trade_write(client.conn_id, 3, tail=b"\x18\x01\xfa\x06\x01z"))
        seen = [await w.opend.requests.receive() for _ in range(3)]
        pairs = [packet_id_untrusted(frame.body) for frame in seen]
        assert all(pair is not None and pair[0] == UPSTREAM_CONN_ID for pair in pairs)
        numbers = [pair[1] for pair in pairs if pair]
        assert numbers == sorted(set(numbers))
        assert all(frame.sha1_matches() and frame.body.endswith(b"\x18\x01\xfa\x06\x01z") for frame in seen)


async def test_a_write_with_two_packet_ids_is_refused(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        body = bodies.trade_write(client.conn_id, 1)
        frame = await client.call(ORDER, body + body)
        assert head(frame).retType == -1
        assert w.opend.log == []


async def test_init_connect_refused_by_upstream_is_retried(autojump_clock: MockClock) -> None:
    async with world(Config(), up=False) as w:
        refusals = 2
        original = w.opend._one

        async def one(peer: object, frame: Frame) -> None:
            nonlocal refusals
            if frame.proto_id == ProtoId.INIT_CONNECT and refusals:
                refusals -= 1
                await peer.send(frame.proto_id, frame.serial_no, ret_body(0, -1, "no"))  # type: ignore[attr-defined]
            else:
                await original(peer, frame)  # type: ignore[arg-type]

        w.opend._one = one  # type: ignore[method-assign]
        w.opend.up = True
        await w.proxy.listening.wait()
        assert w.opend.connections == 3


@pytest.mark.parametrize(
    ("rsa_key", "hint"),
    [(None, "OpenD may want encryption"), (RSA, "the configured RSA key may not be")],
)
async def test_an_end_before_the_first_answer_names_the_key(
    rsa_key: RsaKey | None, hint: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(up=False) as w:

        async def dial() -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            await theirs.aclose()
            return ours

        w.proxy.link._dial = dial
        w.proxy.link._rsa_key = rsa_key
        await trio.sleep(60)
    assert hint in caplog.text


@pytest.mark.parametrize("rsa_key", [None, RSA])
async def test_first_bytes_that_are_no_frame_name_the_wrong_port(
    rsa_key: RsaKey | None, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(up=False) as w:

        async def dial() -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            await theirs.send_all(b"HTTP/1.1 400 Bad Request\r\n")
            return ours

        w.proxy.link._dial = dial
        w.proxy.link._rsa_key = rsa_key
        await trio.sleep(60)
        address = w.proxy.hub.router.lanes.main.upstream.address
        told = f"what listens at {address} is not OpenD's API port (its first bytes are no frame): check --upstream"
        assert w.proxy.hub.router.lanes.main.upstream.reason == told
    assert told in caplog.text
    assert "damaged" not in caplog.text
    assert "RSA" not in caplog.text


async def test_a_stream_that_is_damaged_later_is_said_to_be(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with world() as w:
        assert w.opend.peer is not None
        await w.opend.peer.stream.send_all(b"HTTP/1.1 400 Bad Request\r\n")
        await trio.sleep(5)
    assert "link lost: OpenD's stream is damaged" in caplog.text
    assert "--upstream" not in caplog.text


async def test_a_later_end_says_nothing_about_keys(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async with world() as w:
        await w.opend.drop()
        await trio.sleep(1)
    (lost,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert lost == "OpenD at opend.test:11111: link lost: OpenD closed the connection; reconnecting", "said once"
    assert "RSA" not in caplog.text
