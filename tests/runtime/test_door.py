"""What the first bytes of a connection lead to, and when it ends that says nothing sensible."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock

from opendmux.config import Config, Limits, ProtocolName, Timeouts
from opendmux.runtime.door import NO_TLS, Plain
from opendmux.runtime.logs import JsonFormatter

from .world import MemoryStream, World, world
from .ws_kit import asked

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
GOAWAY = b"\7\0\0\0\0\0\0\0\0\0\0\0\0"
"""Of HTTP/2, from its type to its error's last byte but one."""
GET = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n"
KEEP = b"GET /livez HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)
FRAME_HEAD = b"FT" + (1001).to_bytes(4, "little") + bytes(2) + (1).to_bytes(4, "little") + bytes(32)
ANY = b""
CLOSED_AT_ONCE, AT_THE_DEADLINE = (0.0, 1.5), (9.0, 12.5)


async def said_until_the_end(stream: trio.abc.ReceiveStream) -> tuple[bytes, float]:
    """What the proxy says, and how long the connection lasts."""
    started, said = trio.current_time(), b""
    try:
        while data := await stream.receive_some():
            said += data
    except trio.BrokenResourceError:
        pass
    return said, trio.current_time() - started


async def others_are_served(w: World) -> None:
    client = await w.client()
    assert client.conn_id


@pytest.mark.parametrize(
    ("first", "answer", "ends"),
    [
        pytest.param(b"\0", ANY, CLOSED_AT_ONCE, id="a zero byte"),
        pytest.param(b"hello, is this OpenD?", ANY, CLOSED_AT_ONCE, id="garbage"),
        pytest.param(b"\xff" * 300, ANY, CLOSED_AT_ONCE, id="more garbage"),
        pytest.param(bytes(1_000_000), ANY, CLOSED_AT_ONCE, id="1 MB of nothing"),
        pytest.param(b"FX" + bytes(100), ANY, CLOSED_AT_ONCE, id="nearly OpenD"),
        pytest.param(b"\r\n\r\n", ANY, CLOSED_AT_ONCE, id="blank lines"),
        pytest.param(b"get / http/1.1\r\n\r\n", ANY, CLOSED_AT_ONCE, id="HTTP in small letters"),
        pytest.param(b"F", ANY, AT_THE_DEADLINE, id="one byte of OpenD"),
        pytest.param(b"FT" + bytes(1_000_000), ANY, CLOSED_AT_ONCE, id="OpenD and 1 MB of nothing"),
        pytest.param(FRAME_HEAD[:30], ANY, AT_THE_DEADLINE, id="half a frame header"),
        pytest.param(b"P", ANY, AT_THE_DEADLINE, id="POST or PRI"),
        pytest.param(b"PR", ANY, AT_THE_DEADLINE, id="PROPFIND or PRI"),
        pytest.param(PREFACE[:10], SETTINGS[3:4], AT_THE_DEADLINE, id="half a preface"),
        pytest.param(b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n", ANY, CLOSED_AT_ONCE, id="another preface"),
        pytest.param(PREFACE, SETTINGS[3:4], AT_THE_DEADLINE, id="a preface and no more"),
        pytest.param(PREFACE + b"\xff" * 100, GOAWAY + b"\6", CLOSED_AT_ONCE, id="a preface and garbage"),
        pytest.param(PREFACE + bytes(1_000_000), GOAWAY + b"\1", CLOSED_AT_ONCE, id="a preface and 1 MB of nothing"),
        pytest.param(b"GET / HT", b"HTTP/1.1 408 ", AT_THE_DEADLINE, id="half a request line"),
        pytest.param(b"GET /livez\r\n\r\n", b"HTTP/1.1 400 ", CLOSED_AT_ONCE, id="HTTP 0.9"),
        pytest.param(b"GET /livez HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 ", CLOSED_AT_ONCE, id="HTTP 1.0"),
        pytest.param(
            b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            b"HTTP/1.1 200 ",
            CLOSED_AT_ONCE,
            id="HTTP 1.0 kept",
        ),
        pytest.param(b"GET / HTTP/2.0\r\n\r\n", b"HTTP/1.1 505 ", CLOSED_AT_ONCE, id="HTTP 2 in words"),
        pytest.param(b"A" * 1_000_000, b"HTTP/1.1 431 ", CLOSED_AT_ONCE, id="1 MB of a method"),
        pytest.param(GET[:-2] + b"x: y\r\n" * 100_000, b"HTTP/1.1 431 ", CLOSED_AT_ONCE, id="600 kB of headers"),
        pytest.param(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n\r\n", b"HTTP/1.1 400 ", CLOSED_AT_ONCE, id="PROXY"),
        pytest.param(b"BREW /pot HTCPCP/1.0\r\n\r\n", b"HTTP/1.1 400 ", CLOSED_AT_ONCE, id="nearly HTTP"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 408 ", AT_THE_DEADLINE, id="SSH"),
        pytest.param(HELLO, NO_TLS, CLOSED_AT_ONCE, id="TLS where there is none"),
        pytest.param(b"\x16", NO_TLS, CLOSED_AT_ONCE, id="one byte of it"),
    ],
)
async def test_first_bytes(first: bytes, answer: bytes, ends: tuple[float, float], autojump_clock: MockClock) -> None:
    async with world() as w:
        client, _ = await w.listener.connect()
        await client.send_all(first)
        said, lasted = await said_until_the_end(client)
        assert answer in said
        assert ends[0] <= lasted <= ends[1]
        await others_are_served(w)


@pytest.mark.parametrize(
    "whole",
    [
        pytest.param(FRAME_HEAD, id="OpenD"),
        pytest.param(b"FT" * 100, id="FT FT FT"),
        pytest.param(PREFACE + SETTINGS, id="HTTP/2"),
        pytest.param(GET, id="HTTP"),
        pytest.param(b"P" * 100, id="a long method"),
        pytest.param(bytes(100), id="nothing"),
        pytest.param(HELLO, id="TLS where there is none"),
    ],
)
async def test_one_byte_a_second(whole: bytes, autojump_clock: MockClock) -> None:
    async with world() as w:
        client, _ = await w.listener.connect()
        started = trio.current_time()
        async with trio.open_nursery() as nursery:

            async def trickle() -> None:
                try:
                    for byte in whole:
                        await client.send_all(bytes([byte]))
                        await trio.sleep(1)
                except trio.BrokenResourceError:
                    pass  # closed, which is what is expected

            nursery.start_soon(trickle)
            await said_until_the_end(client)
            assert trio.current_time() - started < 13
            nursery.cancel_scope.cancel()
        await others_are_served(w)


async def test_who_says_nothing_has_to_go(autojump_clock: MockClock) -> None:
    async with world() as w:
        client, _ = await w.listener.connect()
        said, lasted = await said_until_the_end(client)
        assert said == b""
        assert lasted == pytest.approx(10)


async def test_unless_it_is_wanted_otherwise(autojump_clock: MockClock) -> None:
    async with world(Config(timeouts=Timeouts(silent_s=0))) as w:
        client, _ = await w.listener.connect()
        await trio.sleep(300)
        await client.send_all(GET)
        assert (await client.receive_some()).startswith(b"HTTP/1.1 200 ")


async def test_or_its_address_has_a_session(autojump_clock: MockClock) -> None:
    """As the Python SDK does, which would end a good session over it."""
    async with world() as w:
        before, _ = await w.listener.connect()
        client = await w.client()
        after, _ = await w.listener.connect()
        await trio.sleep(300)
        await trio.aclose_forcefully(client.stream)
        await trio.sleep(9)
        await before.send_all(GET)
        assert (await before.receive_some()).startswith(b"HTTP/1.1 200 ")
        said, lasted = await said_until_the_end(after)
        assert (said, round(lasted)) == (b"", 1)


async def test_a_deadline_is_for_those_who_do_not_say_who_they_are(autojump_clock: MockClock) -> None:
    async with world() as w:
        client = await w.client()
        await trio.sleep(60)
        await client.request(3004, b"\x0a\x00")
        assert (await w.opend.requests.receive()).proto_id == 3004


async def test_a_health_check_leaves_no_trace_in_the_log(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with world() as w:
        with caplog.at_level(logging.INFO):
            client, _ = await w.listener.connect()
            await client.aclose()
            await trio.testing.wait_all_tasks_blocked()
        assert caplog.records == []


WORDS: dict[ProtocolName, bytes] = {"opend": FRAME_HEAD[:30], "grpc": PREFACE + SETTINGS, "http": GET}


@pytest.mark.parametrize("on", [("opend",), ("grpc",), ("http",), ("grpc", "http"), ("opend", "grpc", "http")])
async def test_protocols_can_be_switched_off(on: Sequence[ProtocolName], autojump_clock: MockClock) -> None:
    async with world(protocols=on) as w:
        for name, words in WORDS.items():
            client, _ = await w.listener.connect()
            await client.send_all(words)
            with trio.move_on_after(0.5) as still_open:
                said, _ = await said_until_the_end(client)
            if name == "opend" or name not in on:
                assert still_open.cancelled_caught is (name in on)
            if name not in on:
                assert said == b""
            await client.aclose()


async def test_websocket_alone_serves_no_pages(autojump_clock: MockClock) -> None:
    async with world(protocols=["websocket"]) as w:
        client, _ = await w.listener.connect()
        await client.send_all(GET)
        said = bytes(await client.receive_some())
        assert said.startswith(b"HTTP/1.1 404 ")
        assert b"there are WebSockets at / and /ws alone" in said


async def test_http_alone_serves_no_websockets(autojump_clock: MockClock) -> None:
    async with world(protocols=["http"]) as w:
        for target, status in (("/", 200), ("/ws", 404)):
            assert (await asked(w, target))[0] == status, "it is an ordinary request"


# -- without TLS


async def refused(client: MemoryStream, first: bytes) -> bytes:
    await client.send_all(first)
    said, lasted = await said_until_the_end(client)
    assert lasted <= 1.1
    return said


async def test_plain_is_refused_where_tls_is_required(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(plain=Plain.NOBODY) as w:
        with caplog.at_level(logging.WARNING):
            said = await refused((await w.listener.connect())[0], GET)
            head, _, body = said.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 Bad Request")
            assert f"content-length: {len(body)}".encode() in head
            assert b"use https" in body
            said = await refused((await w.listener.connect())[0], PREFACE + SETTINGS)
            assert said.startswith(SETTINGS)
            assert said[9:12] + said[12:13] == (len(said) - 18).to_bytes(3) + b"\x07"
            assert said.endswith(b"\0\0\0\x0cthis port takes TLS")
            assert await refused((await w.listener.connect())[0], FRAME_HEAD) == b""
        assert [record.getMessage() for record in caplog.records] == [
            "memory: closed, it speaks http1 without TLS, and tls.require is set"
        ], "once for each address"
        (line,) = caplog.records
        fields = json.loads(JsonFormatter().format(line))
        assert (fields["peer"], fields["transport"]) == ("memory", "http")


async def test_who_does_not_say_what_it_wants_is_named_as_far_as_it_is_known(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with world() as w:
        with caplog.at_level(logging.INFO):
            client, _ = await w.listener.connect()
            await client.send_all(b"P")
            assert await client.receive_some() == b""
        (line,) = [record for record in caplog.records if "has not said" in record.getMessage()]
        fields = json.loads(JsonFormatter().format(line))
        assert (fields["peer"], fields["transport"]) == ("memory", "unknown")


async def test_this_machine_may_be_plain_where_others_need_tls(autojump_clock: MockClock) -> None:
    async with world(plain=Plain.LOCAL) as w:
        await others_are_served(w)


# -- too many of one address


async def test_too_many_are_refused_in_their_own_words(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(Config(limits=Limits(http_per_address=2))) as w:
        first, _ = await w.listener.connect()
        await first.send_all(GET)
        assert (await first.receive_some()).startswith(b"HTTP/1.1 200 ")
        second, _ = await w.listener.connect()
        await second.send_all(PREFACE + SETTINGS)
        assert await second.receive_some()
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                said = await refused((await w.listener.connect())[0], GET)
                head, _, body = said.partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
                assert b"retry-after: 1" in head
                assert f"content-length: {len(body)}".encode() in head
                assert b"limits.http_per_address" in body
                assert (await asked(w))[0] == 503, "a WebSocket is HTTP too"
                said = await refused((await w.listener.connect())[0], PREFACE + SETTINGS)
                assert said.startswith(SETTINGS)
                assert said[9:13] == (len(said) - 18).to_bytes(3) + b"\x07"
                assert b"\0\0\0\x0byour address has too many" in said
        (line,) = [record.getMessage() for record in caplog.records]
        assert line == (
            "memory: refused, it has 2 HTTP connections, and limits.http_per_address allows no more; 1 refused lately"
        )
        await others_are_served(w)
        await first.send_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        said, _ = await said_until_the_end(first)
        assert b"opendmux_http_connections_refused_total 9.0" in said
        await trio.sleep(2)
        again, _ = await w.listener.connect()
        await again.send_all(GET)
        assert (await again.receive_some()).startswith(b"HTTP/1.1 200 "), "one has left"


async def test_who_does_not_speak_http_is_not_counted(autojump_clock: MockClock) -> None:
    async with world(Config(limits=Limits(http_per_address=1))) as w:
        silent, _ = await w.listener.connect()
        for _ in range(3):
            await others_are_served(w)
        await silent.send_all(GET)
        assert (await silent.receive_some()).startswith(b"HTTP/1.1 200 ")
