"""TLS on the port, over memory streams: every protocol inside it, bad handshakes, client certificates, new files."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import h2.connection
import h2.events
import pytest
import trio
import trustme
from trio.testing import MockClock
from trio_websocket import wrap_client_stream

from opendmux.config import Config, Timeouts
from opendmux.errors import ConfigError
from opendmux.runtime.door import NO_TLS, Plain
from opendmux.runtime.tls import Prefixed
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .tls_kit import PLAINTEXT, Pki, connect_tls, pki_in
from .world import Client, MemoryStream, World, world
from .ws_kit import WsClient

GET_LIVEZ = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n"
GET_METRICS = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return pki_in(tmp_path_factory.mktemp("tls"))


async def opend_client(w: World, context: ssl.SSLContext) -> Client:
    stream, far_end = await connect_tls(w, context)
    return Client(stream, far_end)


async def said_by(stream: trio.abc.ReceiveStream) -> bytes:
    """Until the end, which must be a goodbye and no cut."""
    said = b""
    while data := await stream.receive_some():
        said += data
    return said


# -- what is spoken inside


@pytest.mark.parametrize("version", VERSIONS)
async def test_frames_of_opend(pki: Pki, version: ssl.TLSVersion, autojump_clock: MockClock) -> None:
    async with world(house=pki.house(with_keys=False)) as w:
        client = await opend_client(w, pki.client_context(version=version))
        await client.init()
        await client.request(3004, b"\x0a\x00")
        request = await w.opend.requests.receive()
        await w.opend.reply(request, b"\x08\x00" + b"\x22\x04text" * 50_000)
        reply = await client.receive()
        assert (reply.proto_id, len(reply.body)) == (3004, 2 + 300_000)


async def test_plain_and_tls_side_by_side(pki: Pki, autojump_clock: MockClock) -> None:
    async with world(house=pki.house(with_keys=False)) as w:
        plain = await w.client()
        wrapped = await opend_client(w, pki.client_context())
        await wrapped.init()
        assert plain.conn_id != wrapped.conn_id


@pytest.mark.parametrize("alpn", [(), ("http/1.1",), ("h2", "http/1.1")])
async def test_https(pki: Pki, alpn: tuple[str, ...], autojump_clock: MockClock) -> None:
    """Who offers both gets HTTP/1.1: browsers and curl, which would find no pages over HTTP/2."""
    async with world(house=pki.house()) as w:
        stream, _ = await connect_tls(w, pki.client_context(*alpn))
        assert stream.selected_alpn_protocol() == ("http/1.1" if alpn else None)
        await stream.send_all(GET_LIVEZ)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("alpn", [(), ("h2",)])
async def test_http2(pki: Pki, alpn: tuple[str, ...], autojump_clock: MockClock) -> None:
    async with world(house=pki.house()) as w:
        stream, _ = await connect_tls(w, pki.client_context(*alpn))
        connection = h2.connection.H2Connection()
        connection.initiate_connection()
        connection.ping(b"12345678")
        await stream.send_all(connection.data_to_send())
        events: list[h2.events.Event] = []
        while not any(isinstance(event, h2.events.PingAckReceived) for event in events):
            events += connection.receive_data(bytes(await stream.receive_some()))


@pytest.mark.parametrize(
    ("protocols", "offered", "chosen"),
    [
        (("http", "tls"), ("h2", "http/1.1"), "http/1.1"),
        (("grpc", "tls"), ("h2", "http/1.1"), "h2"),
        (("websocket", "grpc", "tls"), ("h2", "http/1.1"), "http/1.1"),
        (("opend", "tls"), ("h2", "http/1.1"), None),
    ],
)
async def test_only_what_is_served_is_agreed_on(
    pki: Pki, protocols: tuple[str, ...], offered: tuple[str, ...], chosen: str | None, autojump_clock: MockClock
) -> None:
    async with world(house=pki.house(), protocols=protocols) as w:  # type: ignore[arg-type]
        stream, _ = await connect_tls(w, pki.client_context(*offered))
        assert stream.selected_alpn_protocol() == chosen


async def test_tls_can_be_switched_off(pki: Pki, autojump_clock: MockClock) -> None:
    async with world(house=pki.house(), protocols=["http"]) as w:
        stream, _ = await w.listener.connect()
        await stream.send_all(b"\x16\x03\x01")
        assert await stream.receive_some() == NO_TLS


async def test_a_protocol_that_is_off_is_off_inside_too(pki: Pki, autojump_clock: MockClock) -> None:
    async with world(house=pki.house(), protocols=["http", "tls"]) as w:
        stream, _ = await connect_tls(w, pki.client_context())
        await stream.send_all(b"FT")
        assert await said_by(stream) == b""


async def test_tls_is_not_wrapped_twice(pki: Pki, autojump_clock: MockClock) -> None:
    async with world(house=pki.house()) as w:
        stream, _ = await connect_tls(w, pki.client_context())
        await stream.send_all(b"\x16\x03\x01")
        assert await said_by(stream) == b""


async def test_required(pki: Pki, autojump_clock: MockClock) -> None:
    async with world(house=pki.house(), plain=Plain.NOBODY) as w:
        plain, _ = await w.listener.connect()
        await plain.send_all(GET_LIVEZ)
        assert b"use https" in await plain.receive_some()
        stream, _ = await connect_tls(w, pki.client_context())
        await stream.send_all(GET_LIVEZ)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")


# -- ends


async def test_silence_inside_is_no_reason_to_close_beside_a_session(pki: Pki, autojump_clock: MockClock) -> None:
    """A tunnel shakes hands for connections that the SDK never uses."""
    async with world(house=pki.house(with_keys=False)) as w:
        unused = await opend_client(w, pki.client_context())
        used = await opend_client(w, pki.client_context())
        await used.init()
        await trio.sleep(300)
        await unused.init()


async def test_silence_inside_has_to_go_where_there_is_none(pki: Pki, autojump_clock: MockClock) -> None:
    async with world(house=pki.house(with_keys=False)) as w:
        stream, _ = await connect_tls(w, pki.client_context())
        started = trio.current_time()
        assert await said_by(stream) == b""
        assert trio.current_time() - started == pytest.approx(10, abs=1.1)


async def test_once_it_has_spoken_inside_there_is_a_deadline(pki: Pki, autojump_clock: MockClock) -> None:
    async with world(house=pki.house()) as w:
        stream, _ = await connect_tls(w, pki.client_context())
        await stream.send_all(b"P")
        started = trio.current_time()
        assert await said_by(stream) == b""
        assert trio.current_time() - started == pytest.approx(10, abs=1.1)


async def test_a_drain_says_goodbye(pki: Pki, autojump_clock: MockClock) -> None:
    """To a session, to a connection between two requests, and to one that has said nothing. Trio's client raises at
    the end of a stream that was cut."""
    async with world(Config(timeouts=Timeouts(drain_s=3)), house=pki.house(with_keys=False)) as w:
        client = await opend_client(w, pki.client_context())
        await client.init()
        idle, _ = await connect_tls(w, pki.client_context())
        await idle.send_all(GET_LIVEZ)
        assert (await idle.receive_some()).startswith(b"HTTP/1.1 200 ")
        silent, _ = await connect_tls(w, pki.client_context())
        started = trio.current_time()
        w.proxy.stop()
        with pytest.raises(trio.EndOfChannel):
            await client.receive()
        assert await said_by(idle) == b""
        assert await said_by(silent) == b""
        assert trio.current_time() - started < 3


async def test_a_stream_of_events_ends_with_a_goodbye(
    pki: Pki, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(house=pki.house(with_keys=False)) as w:
        stream, _ = await connect_tls(w, pki.client_context())
        await stream.send_all(b"GET /v1/push HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 ")
        w.proxy.stop()
        said = await said_by(stream)
        assert b'"reason":"drain"' in said
        assert said.endswith(b"0\r\n\r\n"), "the answer is whole"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_goodbye_does_not_wait_for_ever(pki: Pki, autojump_clock: MockClock) -> None:
    async with world(house=pki.house()) as w:
        stream, _ = await connect_tls(w, pki.client_context())
        await stream.send_all(b"GET /livez HTTP/1.0\r\n\r\n")
        raw = stream.transport_stream
        started = trio.current_time()
        while await raw.receive_some():  # its goodbye is never answered
            pass
        assert trio.current_time() - started <= 2.1


async def test_what_comes_after_the_goodbye_is_dropped(pki: Pki, autojump_clock: MockClock) -> None:
    async with world(house=pki.house()) as w:
        stream, _ = await connect_tls(w, pki.client_context())
        await stream.send_all(b"GET /livez HTTP/1.0\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(20):
            await stream.send_all(bytes(1000))
        assert (await said_by(stream)).startswith(b"HTTP/1.1 200 ")


# -- bad handshakes


async def test_half_a_hello(pki: Pki, autojump_clock: MockClock) -> None:
    async with world(house=pki.house()) as w:
        stream, _ = await w.listener.connect()
        await stream.send_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100))
        started = trio.current_time()
        assert await stream.receive_some() == b""
        assert trio.current_time() - started == pytest.approx(10, abs=1.1)
        assert w.proxy.house.tls is not None
        assert w.proxy.house.tls.failed == 1


async def test_a_hello_byte_by_byte(pki: Pki, autojump_clock: MockClock) -> None:
    async with world(house=pki.house()) as w:
        stream, _ = await w.listener.connect()
        started = trio.current_time()
        for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100):
            try:
                await stream.send_all(bytes([byte]))
            except trio.BrokenResourceError:
                break
            await trio.sleep(1)
        assert trio.current_time() - started < 13


@pytest.mark.parametrize(
    "first", [b"\x16" + bytes(50), b"\x16GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\1" * 99]
)
async def test_garbage_that_begins_like_tls(pki: Pki, first: bytes, autojump_clock: MockClock) -> None:
    async with world(house=pki.house()) as w:
        stream, _ = await w.listener.connect()
        await stream.send_all(first)
        started = trio.current_time()
        said = b""
        while data := await stream.receive_some():
            said += data
        assert said[:1] in (b"", b"\x15"), "nothing, or an alert"
        assert trio.current_time() - started < 1.5
        await connect_tls(w, pki.client_context())


async def test_old_versions_are_refused(pki: Pki, autojump_clock: MockClock) -> None:
    context = pki.client_context()
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    async with world(house=pki.house()) as w:
        with pytest.raises(trio.BrokenResourceError) as caught:
            await connect_tls(w, context)
        assert "protocol version" in str(caught.value.__cause__).lower()


async def test_a_client_that_leaves_during_the_handshake(
    pki: Pki, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with world(house=pki.house()) as w:
            stream, _ = await w.listener.connect()
            await stream.send_all(b"\x16\x03\x01")
            await stream.aclose()
            await trio.testing.wait_all_tasks_blocked()
            await connect_tls(w, pki.client_context())
    assert caplog.records == []


async def test_stalled_handshakes_hold_up_nobody_for_long(pki: Pki, autojump_clock: MockClock) -> None:
    async with world(house=pki.house(handshakes=2)) as w:
        stalled = []
        for _ in range(6):
            stream, _ = await w.listener.connect()
            await stream.send_all(b"\x16\x03\x01")
            stalled.append(stream)
        await trio.testing.wait_all_tasks_blocked()
        started = trio.current_time()
        await connect_tls(w, pki.client_context())
        assert trio.current_time() - started < 3.5
        for stream in stalled:
            assert await stream.receive_some() == b""


async def test_a_drain_does_not_wait_for_handshakes(pki: Pki, autojump_clock: MockClock) -> None:
    async with world(house=pki.house()) as w:
        stream, _ = await w.listener.connect()
        await stream.send_all(b"\x16\x03\x01")
        await trio.testing.wait_all_tasks_blocked()
        started = trio.current_time()
        w.proxy.stop()
        assert await stream.receive_some() == b""
        assert trio.current_time() - started < 1.1


# -- client certificates


async def metrics(stream: trio.SSLStream[MemoryStream], bearer: str | None = None) -> bytes:
    """Asked through another proxy, so that being on this machine does not help."""
    header = f"authorization: Bearer {bearer}\r\n".encode() if bearer else b""
    await stream.send_all(GET_METRICS + b"via: somebody\r\n" + header + b"\r\n")
    return bytes(await stream.receive_some())[9:12]


async def test_a_certificate_stands_for_a_key(pki: Pki, autojump_clock: MockClock) -> None:
    mine = pki.authority.issue_cert("client.example", common_name="bot")
    async with world(house=pki.house()) as w:
        stream, _ = await connect_tls(w, pki.client_context(certificate=mine))
        assert await metrics(stream) == b"200"
        assert await metrics(stream, PLAINTEXT) == b"200"
        assert await metrics(stream, "fc_wrong") == b"401", "a wrong key is never taken for none"
        client = await opend_client(w, pki.client_context(certificate=mine))
        await client.init()
        await client.request(3004, b"\x0a\x00")
        assert (await w.opend.requests.receive()).proto_id == 3004
        (session,) = [c.session for c in w.proxy.hub.clients.values()]
        assert session.key is not None
        assert session.key.id == "bot"


async def refused_init(client: Client) -> str:
    c2s = opend.InitConnectC2S(clientVer=300, clientID="test", packetEncAlgo=-1)
    frame = await client.call(ProtoId.INIT_CONNECT, encode(opend.InitConnectRequest(c2s=c2s)))
    response = opend.InitConnectResponse.FromString(frame.body)
    assert response.retType != 0
    return response.retMsg


async def test_a_certificate_that_names_no_key(pki: Pki, autojump_clock: MockClock) -> None:
    other = pki.authority.issue_cert("client.example", common_name="somebody")
    nameless = pki.authority.issue_cert("client.example")
    async with world(house=pki.house()) as w:
        stream, _ = await connect_tls(w, pki.client_context(certificate=other))
        assert await metrics(stream) == b"401"
        assert await metrics(stream, PLAINTEXT) == b"200"
        client = await opend_client(w, pki.client_context(certificate=other))
        assert "not known here" in await refused_init(client)
        for certificate in (nameless, None):
            client = await opend_client(w, pki.client_context(certificate=certificate))
            assert "a key is needed here" in await refused_init(client)


async def test_a_certificate_stands_for_a_key_over_a_websocket_too(pki: Pki, autojump_clock: MockClock) -> None:
    for name, error in (("bot", 0), ("somebody", 1)):
        mine = pki.authority.issue_cert("client.example", common_name=name)
        async with world(house=pki.house()) as w, trio.open_nursery() as nursery:
            stream, far_end = await connect_tls(w, pki.client_context("http/1.1", certificate=mine))
            ws = await wrap_client_stream(nursery, stream, "localhost", "/")  # type: ignore[arg-type]
            told = await WsClient(ws, far_end).init()
            assert (told.error != 0 or told.head[0] != 0) is bool(error)
            nursery.cancel_scope.cancel()
            await trio.aclose_forcefully(stream)


async def test_a_certificate_counts_before_the_key_of_the_listener(pki: Pki, autojump_clock: MockClock) -> None:
    other = pki.authority.issue_cert("client.example", common_name="somebody")
    async with world(house=pki.house(), bound_to="bot") as w:
        await (await opend_client(w, pki.client_context())).init()
        client = await opend_client(w, pki.client_context(certificate=other))
        assert "not known here" in await refused_init(client)


async def test_a_certificate_of_another_authority(
    pki: Pki, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    forged = trustme.CA(key_type=trustme.KeyType.ECDSA).issue_cert("client.example", common_name="bot")
    async with world(house=pki.house()) as w:
        with caplog.at_level(logging.INFO, "opendmux.door"):
            stream, _ = await connect_tls(w, pki.client_context(certificate=forged))
            with pytest.raises(trio.BrokenResourceError) as caught:
                await stream.receive_some()
        assert "unknown ca" in str(caught.value.__cause__).lower(), "the client is told"
        assert "the client's certificate is not accepted, self-signed certificate" in caplog.text or (
            "the client's certificate is not accepted, unable to get local issuer certificate" in caplog.text
        )


async def test_a_key_that_ends_takes_its_certificates_with_it(pki: Pki, autojump_clock: MockClock) -> None:
    mine = pki.authority.issue_cert("client.example", common_name="bot")
    house = pki.house()
    assert house.access.keyring is not None
    empty = type(house.access.keyring).of([])
    house.read_keys = lambda: empty
    async with world(house=house) as w:
        client = await opend_client(w, pki.client_context(certificate=mine))
        await client.init()
        stream, _ = await connect_tls(w, pki.client_context(certificate=mine))
        assert await metrics(stream) == b"200"
        await w.proxy.reload()
        assert await metrics(stream) == b"401"
        with pytest.raises(trio.EndOfChannel):
            await client.receive()


# -- new files


async def serial_seen(w: World, pki: Pki) -> str:
    stream, _ = await connect_tls(w, pki.client_context())
    return str(stream.getpeercert()["serialNumber"])


async def test_a_new_certificate_is_for_new_connections(tmp_path: Path) -> None:
    """On the real clock: files are read in a thread."""
    pki = pki_in(tmp_path / "own")
    async with world(house=pki.house(with_keys=False)) as w:
        before = await serial_seen(w, pki)
        client = await opend_client(w, pki.client_context())
        await client.init()
        pki.issue()
        await w.proxy.reload()
        after = await serial_seen(w, pki)
        assert after != before
        (pki.folder / "cert.pem").write_text("nothing")
        with pytest.raises(
            ConfigError,
            match=r"^tls.cert ",
        ):
            await w.proxy.reload()
        assert await serial_seen(w, pki) == after
        await client.request(3004, b"\x0a\x00")
        assert (await w.opend.requests.receive()).proto_id == 3004


async def test_keys_and_certificates_are_reloaded_independently(tmp_path: Path) -> None:
    pki = pki_in(tmp_path / "own")
    house = pki.house()

    def broken() -> None:
        raise ConfigError("keys.json is broken")

    house.read_keys = broken  # type: ignore[assignment]
    async with world(house=house) as w:
        before = await serial_seen(w, pki)
        pki.issue()
        with pytest.raises(ConfigError, match=r"^keys.json is broken$"):
            await w.proxy.reload()
        assert await serial_seen(w, pki) != before
        (pki.folder / "key.pem").write_text("nothing")
        with pytest.raises(
            ConfigError,
            match=r"^keys.json is broken; tls.key ",
        ):
            await w.proxy.reload()


# -- Prefixed


async def test_what_was_read_comes_first(autojump_clock: MockClock) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    stream = Prefixed(theirs, b"abcde")
    await ours.send_all(b"fgh")
    await stream.wait_send_all_might_not_block()
    assert [await stream.receive_some(3), await stream.receive_some(), await stream.receive_some()] == [
        b"abc",
        b"de",
        b"fgh",
    ]
    await stream.send_all(b"back")
    assert await ours.receive_some() == b"back"
    await stream.aclose()
    assert await ours.receive_some() == b""
