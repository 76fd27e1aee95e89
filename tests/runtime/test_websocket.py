"""WebSocket on the proxy's port, on memory streams: both dialects, keys, bounds, outages and ends."""

from __future__ import annotations

import hashlib
import json
import logging

import msgspec
import pytest
import trio
import trio.testing
from trio.testing import MockClock, wait_all_tasks_blocked
from trio_websocket import ConnectionRejected
from wsproto.events import Ping

from opendmux.config import Config, Limits
from opendmux.core.access import Access
from opendmux.core.keyfile import KeyFile
from opendmux.core.keyrecord import Record
from opendmux.core.keys import Keyring, digest_of
from opendmux.runtime.house import House
from opendmux.wire.frame import RetType
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .bodies import quote_push, sub
from .world import OK, UPSTREAM_CONN_ID, World, world
from .ws_kit import UPGRADE, WsClient, asked, connected

KEY = "fc_" + "ab" * 32
OTHER = "fc_" + "cd" * 32
SNAPSHOT = 3203
MASKED = b"\x82\x84\0\0\0\0"
"""The head of a client's message of 4 bytes, and the zeros it is masked with."""


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def record(key_id: str = "bot", key: str = KEY, *, websocket: bool = True, **fields: object) -> Record:
    scopes = fields.pop("scopes", ["qot:read", "acc:read"])
    return Record(
        id=key_id,
        hash=digest_of(key).hex(),
        md5=md5(key) if websocket else None,
        scopes=scopes,  # type: ignore[arg-type]
        **fields,  # type: ignore[arg-type]
    )


def keyring(*records: Record) -> Keyring:
    return KeyFile.of(records, "keys.json").keyring


def house_with(*records: Record, **fields: object) -> House:
    return House(access=Access(keyring(*records), machine_id="here"), **fields)  # type: ignore[arg-type]


def limits(**changes: int) -> Config:
    return Config(limits=msgspec.structs.replace(Limits(), **changes), budgets=False, coalesce=False)


def reason_of(body: bytes) -> str:
    return str(json.loads(body)["error"]["reason"])


# -- the SDK's dialect


async def test_the_sdk_logs_in_asks_and_is_pushed_to(autojump_clock: MockClock) -> None:
    async with world() as w, connected(w) as client:
        w.opend.answers[ProtoId.QOT_SUB] = lambda _frame: OK
        login = await client.init()
        assert (login.cmd, login.section, login.error, login.head[0]) == (1, 2, 0, 0)
        said = opend.InitWebSocketResponse.FromString(login.body).s2c
        assert said.connID not in (0, UPSTREAM_CONN_ID)
        assert said.serverTime > 0
        assert (await client.call(ProtoId.QOT_SUB, sub([(1, "00700")], [1]))).head == (0, "")
        await trio.sleep(0.2)
        await w.opend.push(ProtoId.QOT_UPDATE_BASIC_QOT, b"")  # unreadable: dropped
        body = quote_push((1, "00700"))
        await w.opend.push(ProtoId.QOT_UPDATE_BASIC_QOT, body)
        push = await client.told()
        assert (push.cmd, push.section, push.error, push.body) == (3005, 0, 0, body)


async def test_answers_go_by_section_in_any_order(autojump_clock: MockClock) -> None:
    async with world(limits()) as w, connected(w) as client:
        await client.init()
        sections = [await client.ask(SNAPSHOT, b"\x0a\x00", section=number) for number in (2**64 - 1, 9, 9)]
        frames = [await w.opend.requests.receive() for _ in sections]
        for number in (2, 0, 1):
            await w.opend.reply(frames[number], b"\x08\x00\x18" + bytes([number]))
        told = [await client.told() for _ in sections]
        assert [(one.section, one.body[-1]) for one in told] == [(9, 2), (2**64 - 1, 0), (9, 1)]


async def test_what_comes_before_the_login_is_refused(autojump_clock: MockClock) -> None:
    async with world() as w, connected(w) as client:
        told = await client.call(SNAPSHOT)
        assert told.head[0] == RetType.FAILED
        assert (await client.closed())[0] == 1008


@pytest.mark.parametrize("cmd", [2, 1001])
async def test_what_is_no_request_is_refused(autojump_clock: MockClock, cmd: int) -> None:
    async with world() as w, connected(w) as client:
        await client.init()
        told = await client.call(cmd)
        assert (told.cmd, told.error, told.head[0]) == (cmd, 0, RetType.FAILED)
        assert (await client.call(ProtoId.KEEP_ALIVE, b"\x0a\x00")).head[0] == 0


async def test_a_second_login_gets_the_same_answer(autojump_clock: MockClock) -> None:
    async with world() as w, connected(w) as client:
        first = opend.InitWebSocketResponse.FromString((await client.init()).body)
        again = opend.InitWebSocketResponse.FromString((await client.init(websocketKey="x")).body)
        assert first.s2c.connID == again.s2c.connID


async def test_upstream_has_less_time_than_the_sdk_waits(autojump_clock: MockClock) -> None:
    async with world(limits()) as w, connected(w) as client:
        await client.init()
        began = trio.current_time()
        told = await client.call(SNAPSHOT, b"\x0a\x00")
        assert told.head[0] == RetType.TIME_OUT
        assert 4 < trio.current_time() - began < 5


async def test_an_opend_to_dial_is_ignored_and_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with world() as w, connected(w) as client:
        login = await client.init(IP="192.0.2.1", Port=11111, RSAPrivateKey="-----BEGIN top secret", websocketKey="k")
        assert login.error == 0
        assert w.opend.connections == 1
    text = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("opendmux"))
    assert "192.0.2.1" in text
    assert "secret" not in text


# -- keys


async def test_the_key_comes_as_its_md5(autojump_clock: MockClock) -> None:
    house = house_with(record())
    async with world(house=house) as w, connected(w) as client:
        assert (await client.init(websocketKey=md5(KEY))).error == 0
        assert (await client.call(ProtoId.TRD_PLACE_ORDER, b"\x0a\x00")).head[0] == RetType.FAILED  # no scope
        (session,) = w.proxy.hub.router.sessions.values()
        assert session.key is not None
        assert session.key.id == "bot"
        house.access.keyring = keyring(record(key=OTHER))
        assert await client.closed() == (1008, "its key has expired or was revoked")


@pytest.mark.parametrize("shown", ["", md5(OTHER), KEY, "no hex", md5("fc_without")])
async def test_a_wrong_key_gets_an_error_number(
    autojump_clock: MockClock, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "opendmux.audit")
    house = house_with(record(), record("tcp", "fc_without", websocket=False))
    async with world(house=house) as w, connected(w) as client:
        login = await client.init(websocketKey=shown)
        assert (login.error, login.errmsg, login.head[0]) == (-1, "login was refused", RetType.FAILED)
        assert "key" in login.head[1]
        code, reason = await client.closed()
        assert code == 1008
        assert "key" in reason
    (said,) = caplog.messages
    assert "1001 InitConnect refused: " in said, "once"


async def test_a_token_at_the_handshake_is_the_login_of_ft_frames(autojump_clock: MockClock) -> None:
    ways = [("/ws?token=" + KEY, []), ("/", [("authorization", f"bearer {KEY}")])]
    house = house_with(record(websocket=False))
    async with world(limits(), house=house) as w:
        for target, headers in ways:
            async with connected(w, target, headers) as client:
                await client.send_frame(ProtoId.KEEP_ALIVE, 5, b"\x0a\x00")
                assert (await client.frame()).serial_no == 5
                await client.send_frame(ProtoId.TRD_PLACE_ORDER, 6, b"\x0a\x00")
                refused = await client.frame()
                assert (refused.proto_id, refused.serial_no) == (ProtoId.TRD_PLACE_ORDER, 6)
                assert opend.ResponseHead.FromString(refused.body).retType == RetType.FAILED
    assert counted(house) == {("ws", "allow", "bot"): 2, ("ws", "reject", "bot"): 2}


def counted(house: House) -> dict[tuple[str, ...], int]:
    """Decisions of the gate: (iface, outcome, key id)."""
    return {(iface, outcome, key_id): count for (iface, outcome, key_id), count in house.access.tally.auth_events}


@pytest.mark.parametrize(
    ("status", "reason", "target", "headers"),
    [
        (401, "invalid", f"/?token={OTHER}", []),
        (401, "invalid", "/?token=", []),
        (401, "invalid", "/", [("authorization", "Basic eDp5")]),
        (400, "authorization", f"/?token={KEY}&token={KEY}", []),
        (400, "authorization", f"/?token={KEY}", [("authorization", f"Bearer {KEY}")]),
        (403, "machine", "/?token=fc_frozen", []),
        (403, "origin", f"/?token={KEY}", [("origin", "https://evil.example")]),
        (404, "not_found", "/metrics", []),
        (101, "", f"/?token={KEY}", []),
        (101, "", "/", [("origin", "http://localhost:3000")]),
        (101, "", "/", [("origin", "https://APP.example")]),
    ],
)
async def test_the_handshake_is_answered_in_words_of_http(
    autojump_clock: MockClock, status: int, reason: str, target: str, headers: list[tuple[str, str]]
) -> None:
    frozen = record("frozen", "fc_frozen", websocket=False, allowed_machines=[])
    house = house_with(record(), frozen, origins=("https://app.example",))
    async with world(house=house) as w:
        got, fields, body = await asked(w, target, headers=headers)
        assert got == status
        if status != 101:
            assert reason_of(body) == reason
            assert (fields.get("www-authenticate") == "Bearer") == (status == 401)


async def test_a_broken_upgrade_is_answered(autojump_clock: MockClock) -> None:
    async with world() as w:
        status, fields, body = await asked(w, base=[*UPGRADE[:3], ("sec-websocket-version", "8"), UPGRADE[4]])
        assert (status, fields["sec-websocket-version"], reason_of(body)) == (426, "13", "upgrade")


@pytest.mark.parametrize(
    "odd",
    [
        {"sec-websocket-extensions": b"\xff"},
        {"sec-websocket-protocol": b"a, \xff"},
        {"connection": b"Upgrade, \xff"},
        {"host": b"xn--zzzzzzzz99.localhost"},
        {"upgrade": b"h2c, websocket"},
        {"cookie": b"\xff"},
    ],
    ids=lambda odd: next(iter(odd)),
)
@pytest.mark.parametrize("target", ["/", "/?resume_from=0"])
async def test_odd_headers_crash_nothing(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, target: str, odd: dict[str, bytes]
) -> None:
    fields = {name: value.encode() for name, value in UPGRADE} | odd
    head = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in fields.items())
    async with world() as w:
        stream, _ = await w.listener.connect()
        await stream.send_all(b"GET " + target.encode() + b" HTTP/1.1\r\n" + head + b"\r\n")
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 101 ")
        await stream.send_all(b"\x89\x80" + bytes(4))  # a ping
        assert await stream.receive_some() == b"\x8a\0"
        await trio.aclose_forcefully(stream)
    assert not [line for line in caplog.records if line.levelno >= logging.WARNING]


async def test_without_keys_this_machine_gets_what_opend_gives_and_others_less(autojump_clock: MockClock) -> None:
    async with world(limits()) as w:
        for headers, may in (([], True), ([("x-forwarded-for", "192.0.2.9")], False)):
            async with connected(w, headers=headers) as client:
                await client.init(websocketKey=md5("whatever"))
                section = await client.ask(ProtoId.TRD_UNLOCK_TRADE, b"\x0a\x02\x08\x01")
                if may:
                    await w.opend.reply(await w.opend.requests.receive(), OK)
                told = await client.told()
                assert told.section == section
                assert (told.head[0] == 0) == may
        assert (await asked(w, f"/?token={KEY}"))[0] == 401


async def test_ft_frames_without_a_token_need_the_key_in_their_first_frame(autojump_clock: MockClock) -> None:
    async with world(limits(), house=house_with(record())) as w:
        async with connected(w) as client:
            await client.send_frame(SNAPSHOT, 3, b"\x0a\x00")
            answer = await client.frame()
            assert (answer.proto_id, answer.serial_no) == (SNAPSHOT, 3)
            assert (await client.closed())[0] == 1008
        async with connected(w) as client:
            init = opend.InitConnectRequest(c2s=opend.InitConnectC2S(clientVer=1, clientID=KEY, recvNotify=True))
            await client.send_frame(ProtoId.INIT_CONNECT, 1, encode(init))
            assert opend.InitConnectResponse.FromString((await client.frame()).body).s2c.connID
            await client.send_frame(SNAPSHOT, 2, b"\x0a\x00")
            await w.opend.reply(await w.opend.requests.receive(), OK)
            assert (await client.frame()).serial_no == 2


@pytest.mark.parametrize("now", ["revoked", "narrowed", "not on this machine"])
async def test_a_token_is_judged_again_when_the_first_message_comes(autojump_clock: MockClock, now: str) -> None:
    house = house_with(record())
    async with world(limits(), house=house) as w:
        async with connected(w, f"/?token={KEY}") as frames, connected(w, f"/?token={KEY}") as sdk:
            narrower: dict[str, list[Record]] = {
                "revoked": [],
                "narrowed": [record(scopes=["acc:read"])],
                "not on this machine": [record(allowed_machines=[])],
            }
            house.access.keyring = keyring(*narrower[now])
            await frames.send_frame(SNAPSHOT, 1, b"\x0a\x00")
            answer = await frames.frame()
            assert (answer.serial_no, opend.ResponseHead.FromString(answer.body).retType) == (1, RetType.FAILED)
            if now == "narrowed":
                await sdk.init()
                await sdk.ask(SNAPSHOT, b"\x0a\x00")
                assert "scope" in (await sdk.told()).head[1]
            else:
                assert (await frames.closed())[0] == 1008
                login = await sdk.init()
                assert login.error == -1
        with pytest.raises(trio.WouldBlock):
            w.opend.requests.receive_nowait()


async def test_who_was_let_in_may_still_send_init_connect(autojump_clock: MockClock) -> None:
    async with world(house=house_with(record())) as w, connected(w, f"/?token={KEY}") as client:
        await client.send_frame(ProtoId.KEEP_ALIVE, 1, b"\x0a\x00")
        await client.frame()
        init = opend.InitConnectRequest(c2s=opend.InitConnectC2S(clientVer=1, clientID="mine", recvNotify=True))
        await client.send_frame(ProtoId.INIT_CONNECT, 2, encode(init))
        assert opend.InitConnectResponse.FromString((await client.frame()).body).retType == 0
        (session,) = w.proxy.hub.router.sessions.values()
        assert (session.client_id, session.recv_notify) == ("mine", True)


@pytest.mark.parametrize("size", [1, 5, 45])
async def test_frames_may_be_cut_anywhere_into_messages(autojump_clock: MockClock, size: int) -> None:
    from opendmux.wire.frame import build_frame

    async with world() as w, connected(w) as client:
        data = build_frame(ProtoId.KEEP_ALIVE, 0, 1, b"\x0a\x00") + build_frame(ProtoId.KEEP_ALIVE, 0, 2, b"\x0a\x00")
        for at in range(0, len(data), size):
            await client.ws.send_message(data[at : at + size])
        assert [(await client.frame()).serial_no for _ in range(2)] == [1, 2]


# -- outages


async def test_no_upgrade_while_opend_is_away(autojump_clock: MockClock) -> None:
    async with world() as w:
        w.opend.up = False
        await w.opend.drop()
        await trio.sleep(0.1)
        status, fields, body = await asked(w)
        assert (status, fields["retry-after"], reason_of(body)) == (503, "1", "upstream")


async def test_hold_says_that_opend_is_gone_and_stays(autojump_clock: MockClock) -> None:
    async with world() as w, connected(w) as client:
        await client.init()
        await trio.sleep(0.2)
        w.opend.up = False
        await w.opend.drop()
        lost = await client.told()
        assert (lost.cmd, lost.section, lost.error, lost.head[0]) == (2, 0, 0, RetType.DISCONNECT)
        assert (await client.told()).cmd == ProtoId.NOTIFY
        assert (await client.call(SNAPSHOT, b"\x0a\x00")).head[0] == RetType.DISCONNECT


async def test_close_says_so_and_closes(autojump_clock: MockClock) -> None:
    async with world(Config(on_outage="close")) as w, connected(w) as client:
        await client.init()
        await trio.sleep(0.2)
        section = await client.ask(SNAPSHOT, b"\x0a\x00")
        await w.opend.requests.receive()
        w.opend.up = False
        await w.opend.drop()
        told = [await client.told() for _ in range(2)]
        assert {one.cmd: one.section for one in told} == {SNAPSHOT: section, 2: 0}
        code, reason = await client.closed()
        assert (code, "away" in reason) == (1012, True)


# -- messages that are none


@pytest.mark.parametrize(
    ("code", "message"),
    [(1003, "text"), (1003, b"garbage"), (1003, b""), (1003, b"FX" * 30), (1009, b"FT" + bytes(70_000))],
)
async def test_what_is_no_message_closes_with_a_reason(
    autojump_clock: MockClock, code: int, message: str | bytes
) -> None:
    async with world() as w, connected(w) as client:
        await client.ws.send_message(message)
        got, reason = await client.closed()
        assert got == code
        assert reason


async def test_a_text_message_later_closes_too(autojump_clock: MockClock) -> None:
    async with world() as w, connected(w) as client:
        await client.init()
        await client.ws.send_message("hello")
        assert await client.closed() == (1003, "messages must be binary")


async def test_a_message_may_be_larger_after_the_login(autojump_clock: MockClock) -> None:
    async with world(limits(client_body_bytes=100_000)) as w, connected(w) as client:
        await client.init()
        await client.ask(SNAPSHOT, b"\x7a\x90\xbf\x05" + bytes(90_000))
        assert len((await w.opend.requests.receive()).body) == 90_004
        await client.ask(SNAPSHOT, bytes(100_100))
        assert (await client.closed())[0] == 1009


async def raw(w: World, *messages: bytes) -> bytes:
    """What the proxy says after its 101 to these bytes."""
    stream, _ = await w.listener.connect()
    head = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE)
    await stream.send_all(f"GET / HTTP/1.1\r\n{head}\r\n".encode() + b"".join(messages))
    got = b""
    while data := await stream.receive_some():
        got += data
    return got.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (1002, b"\x82\x04FTxx"),  # not masked
        (1002, b"\xf2\x84\0\0\0\0FTxx"),  # reserved bits
        (1002, b"\x83\x84\0\0\0\0FTxx"),  # an unknown opcode
        (1002, b"\x80\x84\0\0\0\0FTxx"),  # the rest of nothing
        (1009, b"\x82\xff\0\0\0\0\x7f\xff\xff\xff\0\0\0\0"),  # announced, not sent
        (1009, b"\x02\x80\0\0\0\0" + b"\x00\x80\0\0\0\0" * 5000),  # pieces without end
        (1007, b"\x81\x82\0\0\0\0\xff\xfe"),  # a text that is none
    ],
)
async def test_broken_frames_are_told_why(autojump_clock: MockClock, code: int, data: bytes) -> None:
    async with world() as w:
        said = await raw(w, data)
        assert said[0] == 0x88
        assert int.from_bytes(said[2:4]) == code
        assert said[4:]
        await trio.sleep(2)
        assert not w.proxy.hub.clients


async def test_others_have_their_turn_while_a_message_comes_in_crumbs(autojump_clock: MockClock) -> None:
    crumbs = b"\x02\x80\0\0\0\0" + b"\x00\x80\0\0\0\0" * 3000 + b"\x80\x84\0\0\0\0oops"
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with world() as w, trio.open_nursery() as nursery:
        stream, _ = await w.listener.connect()
        head = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE)
        await stream.send_all(f"GET / HTTP/1.1\r\n{head}\r\n".encode())
        await stream.receive_some()
        await wait_all_tasks_blocked()
        nursery.start_soon(other)
        await stream.send_all(crumbs)
        said = await stream.receive_some()
        nursery.cancel_scope.cancel()
    assert int.from_bytes(said[2:4]) == 1003, "it was read to its end"
    assert turns > 25, "18 pieces, each with a turn or two behind it"


async def test_what_comes_with_the_upgrade_is_not_lost(autojump_clock: MockClock) -> None:
    async with world() as w:
        said = await raw(w, MASKED + b"oops")
        assert int.from_bytes(said[2:4]) == 1003


async def test_a_peer_that_leaves_is_no_error(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with world() as w:
        for data in (b"", MASKED, MASKED + b"FT\0\0", b"\x88\x80\0\0\0\0"):
            stream, _ = await w.listener.connect()
            head = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE)
            await stream.send_all(f"GET / HTTP/1.1\r\n{head}\r\n".encode() + data)
            await wait_all_tasks_blocked()
            await trio.aclose_forcefully(stream)
            await trio.sleep(3)
            assert not w.proxy.hub.clients
    assert not caplog.records


# -- slow, silent and dead peers


def blocked(client: WsClient) -> trio.Event:
    """From now on nothing that the proxy writes is taken, until the event is set."""
    go, stream = trio.Event(), client.far_end.send_stream
    taken = stream.send_all_hook
    assert taken is not None

    async def later() -> None:
        await go.wait()
        await taken()

    stream.send_all_hook = later
    return go


async def test_pings_and_requests_are_served_while_the_client_is_paused(autojump_clock: MockClock) -> None:
    async with world(limits(in_flight=1)) as w, connected(w) as client:
        await client.init()
        sections = [await client.ask(SNAPSHOT, b"\x0a\x00") for _ in range(20)]
        frame = await w.opend.requests.receive()
        with trio.fail_after(1):
            await client.ws.ping(b"there?")
        assert not w.opend.requests.statistics().current_buffer_used
        await w.opend.reply(frame, OK)
        for _ in sections[1:]:
            await w.opend.reply(await w.opend.requests.receive(), OK)
        assert [(await client.told()).section for _ in sections] == sections


@pytest.mark.parametrize("dialect", ["sdk", "ft"])
async def test_requests_of_a_client_that_does_not_read_are_served(autojump_clock: MockClock, dialect: str) -> None:
    async with world(limits()) as w, connected(w) as client:
        if dialect == "sdk":
            await client.init()
        go = blocked(client)
        for serial_no in range(1, 30):
            await client.ws.pong(b"unasked")
            client.ws._pings[bytes([serial_no])] = trio.Event()
            await client.ws._send(Ping(payload=bytes([serial_no])))  # its answer is awaited by nobody
            await (
                client.ask(SNAPSHOT, b"\x0a\x00")
                if dialect == "sdk"
                else client.send_frame(SNAPSHOT, serial_no, b"\x0a\x00")
            )
            await w.opend.reply(await w.opend.requests.receive(), OK)
        go.set()
        if dialect == "sdk":
            assert [(await client.told()).section for _ in range(29)] == list(range(3, 32))
        else:
            assert [(await client.frame()).serial_no for _ in range(29)] == list(range(1, 30))


async def test_a_paused_client_is_held_back_by_bytes(autojump_clock: MockClock) -> None:
    async with world(limits(in_flight=1)) as w, connected(w) as client:
        await client.init()
        for _ in range(200):
            await client.ask(SNAPSHOT, b"\x7a\x80\x20" + bytes(4096))
        await wait_all_tasks_blocked()
        (session,) = w.proxy.hub.clients.values()
        assert session._waiting_bytes < 80_000  # type: ignore[attr-defined]
        for _ in range(200):
            await w.opend.reply(await w.opend.requests.receive(), OK)
        for _ in range(200):
            assert (await client.told()).head[0] == 0


async def test_half_messages_count_in_the_memory_of_all(autojump_clock: MockClock) -> None:
    config = limits(client_body_total_bytes=200_000)
    async with world(config) as w, connected(w) as client:
        await client.init()
        await client.ws._stream.send_all(b"\x82\xff" + (300_000).to_bytes(8) + bytes(4) + bytes(250_000))
        code, reason = await client.closed()
        assert (code, "memory" in reason) == (1008, True)


async def test_a_full_outbox_ends_the_session(autojump_clock: MockClock) -> None:
    async with world(limits(outbox_bytes=100_000)) as w, connected(w) as client:
        await client.init()
        go = blocked(client)
        for _ in range(5):
            await client.ask(SNAPSHOT, b"\x0a\x00")
        for _ in range(5):
            await w.opend.reply(await w.opend.requests.receive(), b"\x08\x00\x7a\xe0\xa7\x12" + bytes(300_000))
        await wait_all_tasks_blocked()
        go.set()
        code, reason = await client.closed()
        assert (code, reason) == (1008, "slow: its outbox is full")


async def test_a_flood_of_pings_takes_no_memory(autojump_clock: MockClock) -> None:
    async with world(limits()) as w, connected(w) as client:
        await client.init()
        go = blocked(client)
        for number in range(1000):
            await client.ws._send(Ping(payload=number.to_bytes(100)))
        await wait_all_tasks_blocked()
        (session,) = w.proxy.hub.clients.values()
        assert len(session._wire._out) < 5000  # type: ignore[attr-defined]
        go.set()
        assert (await client.call(ProtoId.KEEP_ALIVE, b"\x0a\x00")).head[0] == 0


async def test_a_stalled_peer_ends_in_time(autojump_clock: MockClock) -> None:
    async with world(limits()) as w, connected(w) as client:
        await client.init()
        blocked(client)
        await client.ask(ProtoId.KEEP_ALIVE, b"\x0a\x00")
        await trio.sleep(29)
        assert w.proxy.hub.clients
        await trio.sleep(2)
        assert not w.proxy.hub.clients
        assert any(reason.startswith("stalled") for reason in w.proxy.hub.ended)


async def test_who_does_not_log_in_goes(autojump_clock: MockClock) -> None:
    async with world() as w, connected(w) as client:
        began = trio.current_time()
        code, reason = await client.closed()
        assert (code, "in time" in reason) == (1008, True)
        assert 9 < trio.current_time() - began < 11


async def test_silent_clients_are_pinged_and_dead_ones_go(autojump_clock: MockClock) -> None:
    async with world() as w, connected(w) as client:
        await client.init()
        await trio.sleep(300)  # its stack answers pings
        assert w.proxy.hub.clients
        dead = trio.Event()
        client.far_end.receive_stream.receive_some_hook = dead.wait
        await client.ask(ProtoId.KEEP_ALIVE, b"\x0a\x00")  # wakes the read that has begun before
        await trio.sleep(60)
        assert not w.proxy.hub.clients
        assert w.proxy.hub.ended == {"no pong within 20 s": 1}


# -- ends


async def test_a_drain_waits_for_answers(autojump_clock: MockClock) -> None:
    async with world(limits()) as w, connected(w) as idle, connected(w) as client:
        await idle.init()
        await client.init()
        section = await client.ask(SNAPSHOT, b"\x0a\x00")
        frame = await w.opend.requests.receive()
        w.proxy.stop()
        assert await idle.closed() == (1001, "drained")
        assert await client.nothing_comes(1)
        await w.opend.reply(frame, OK)
        assert (await client.told()).section == section
        assert await client.closed() == (1001, "drained")


async def test_the_client_closes(autojump_clock: MockClock) -> None:
    async with world() as w, connected(w) as client:
        await client.init()
        with trio.fail_after(1):
            await client.ws.aclose(1000, "bye")
        await wait_all_tasks_blocked()
        assert not w.proxy.hub.clients
        assert w.proxy.hub.ended == {"client closed": 1}


async def test_a_crash_ends_one_session_alone(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with world() as w, connected(w) as client, connected(w) as other:
        await client.init()
        await other.init()
        whole = w.proxy.hub.call

        def call(request: object) -> None:
            if getattr(request, "proto_id", 0) == SNAPSHOT:
                raise RuntimeError("a bug")
            whole(request)  # type: ignore[arg-type]

        monkeypatch.setattr(w.proxy.hub, "call", call)
        await client.ask(SNAPSHOT)
        assert await client.closed() == (1011, "crashed")
        assert (await other.call(ProtoId.KEEP_ALIVE, b"\x0a\x00")).head[0] == 0
    assert "a bug" in caplog.text


async def test_the_server_of_another_protocol_is_no_websocket(autojump_clock: MockClock) -> None:
    async with world() as w:
        with pytest.raises(BaseExceptionGroup) as raised:
            async with connected(w, "/nothing"):
                pass
        assert raised.group_contains(ConnectionRejected)
