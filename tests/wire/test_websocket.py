"""The dialect ft-v1.0, byte by byte, and what may be asked of an upgrade."""

from __future__ import annotations

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import HEADER_LEN, RetType, Splitter, build_frame
from opendmux.wire.http import RequestHead
from opendmux.wire.messages import encode, head_untrusted, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.websocket import (
    INIT,
    REPLY_HEAD,
    WS_REFUSED,
    Sections,
    WsReply,
    WsRequest,
    build_reply,
    init_reply,
    is_upgrade,
    numbered_push,
    parse_request_untrusted,
    upgrade_problem,
    ws_hello_untrusted,
)

MD5 = hashlib.md5(b"a key").hexdigest()
UPGRADE = {
    "host": "localhost",
    "upgrade": "websocket",
    "connection": "keep-alive, Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def head(method: str = "GET", version: str = "1.1", has_body: bool = False, **changes: str) -> RequestHead:
    fields = UPGRADE | {name.replace("_", "-"): value for name, value in changes.items()}
    return RequestHead(
        method, "/", "", tuple((name, value) for name, value in fields.items() if value), version, has_body
    )


def test_the_head_that_the_sdk_sends() -> None:
    message = bytes.fromhex("66742d76312e3000 000003ea 0000000000000003") + b"body"
    assert parse_request_untrusted(message) == WsRequest(1002, 3, b"body")


def test_the_head_of_an_answer() -> None:
    message = build_reply(WsReply(1002, 3, b"body", -1, "no"))
    assert (
        message.hex()
        == "66742d76312e3000" + "000003ea" + "0000000000000003" + "ffffffff" + b"no".hex() + ("00" * 18) + b"body".hex()
    )
    assert len(message) == REPLY_HEAD + 4


@given(st.text(), st.integers(-(2**31), 2**31 - 1))
def test_the_text_is_20_characters_of_ascii(text: str, error: int) -> None:
    message = build_reply(WsReply(1, 2, b"x", error, text))
    assert len(message) == 45
    assert message[24:44].decode("ascii").rstrip("\0").find("\0") == -1


@given(st.binary(max_size=64))
def test_any_bytes_are_a_request_or_a_protocol_error(data: bytes) -> None:
    try:
        request = parse_request_untrusted(data)
    except RemoteProtocolError:
        assert len(data) < 20 or data[:8] != b"ft-v1.0\0"
    else:
        assert data[20:] == request.body


@given(st.binary(max_size=64))
def test_any_body_is_a_hello_or_a_protocol_error(body: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        ws_hello_untrusted(body)


def test_the_login() -> None:
    c2s = opend.InitWebSocketC2S(websocketKey=MD5, programmingLanguage="JavaScript", clientID="n" * 500)
    hello = ws_hello_untrusted(encode(opend.InitWebSocketRequest(c2s=c2s)))
    assert (hello.md5, hello.language, hello.client_id, hello.ignored) == (MD5, "JavaScript", "n" * 80, "")


def test_what_only_opend_may_be_asked_is_named_without_the_key() -> None:
    c2s = opend.InitWebSocketC2S(IP="10.0.0.1\n", Port=11111, RSAPrivateKey="-----BEGIN secret")
    hello = ws_hello_untrusted(encode(opend.InitWebSocketRequest(c2s=c2s)))
    assert hello.ignored == "OpenD at '10.0.0.1\\n' and port 11111 and an RSA private key"


def test_the_answer_to_a_login() -> None:
    response = opend.InitWebSocketResponse.FromString(init_reply(conn_id=2**63 + 5, wall_time=1_700_000_000))
    assert (response.retType, response.s2c.connID, response.s2c.serverTime) == (0, 2**63 + 5, 1_700_000_000)


# -- requests and their answers


def test_an_answer_finds_its_section_and_a_push_has_none() -> None:
    sections = Sections()
    first, second = sections.add(1002, 1002, 7), sections.add(1002, 1002, 2**64 - 1)
    assert first != second
    assert sections.message_of(build_frame(1002, 0, second, b"\x08\x00"))[8:20].hex() == "000003ea" + "ff" * 8
    assert sections.message_of(build_frame(3005, 0, first, b"\x08\x00"))[8:20].hex() == "00000bbd" + "00" * 8
    assert sections.message_of(build_frame(1002, 0, first, b"\x08\x00"))[8:20].hex() == "000003ea" + "00" * 7 + "07"
    assert not sections.open


def test_every_answer_has_a_body() -> None:
    sections = Sections()
    message = sections.message_of(build_frame(3004, 0, sections.add(3004, 3004, 5), b""))
    assert head_untrusted(message[44:], 0)[0] == RetType.FAILED


@pytest.mark.parametrize(("ret_type", "error"), [(0, 0), (-1, WS_REFUSED)])
def test_the_error_number_is_for_logins_alone(ret_type: int, error: int) -> None:
    for cmd, expected in ((INIT, error), (3004, 0)):
        sections = Sections()
        frame = build_frame(1001, 0, sections.add(1001, cmd, 2), ret_body(0, ret_type, "no"))
        message = sections.message_of(frame)
        assert int.from_bytes(message[8:12]) == cmd
        assert int.from_bytes(message[20:24], signed=True) == expected


def test_serials_begin_again() -> None:
    sections = Sections(2**32 - 2)
    assert [sections.add(1, 1, 1) for _ in range(3)] == [2**32 - 1, 2**31, 2**31 + 1]


# -- numbered pushes


@pytest.mark.parametrize("number", [1, 0x0102_0304_0506_0708, 2**64 - 1])
def test_the_number_of_a_push_is_where_opend_has_zeros(number: int) -> None:
    plain, message = build_frame(3005, 0, 0, b"body"), numbered_push(3005, b"body", number)
    assert message[36:44] == number.to_bytes(8, "little")
    assert message[:36] + bytes(8) + message[HEADER_LEN:] == plain
    (frame,) = Splitter(100).feed_untrusted(message)
    assert (frame.proto_id, frame.body, frame.sha1_matches()) == (3005, b"body", True)


def test_a_push_without_a_number_is_any_push() -> None:
    assert numbered_push(3005, b"body", 0) == build_frame(3005, 0, 0, b"body")


# -- the upgrade


def test_a_good_upgrade() -> None:
    assert is_upgrade(head())
    assert is_upgrade(head(upgrade="h2c, WebSocket"))
    assert not is_upgrade(head(upgrade="h2c"))
    assert upgrade_problem(head()) is None


@pytest.mark.parametrize(
    ("status", "changed"),
    [
        (400, head(method="POST")),
        (400, head(version="1.0")),
        (400, head(has_body=True)),
        (400, head(connection="keep-alive")),
        (400, head(host="")),
        (426, head(sec_websocket_version="8")),
        (426, head(sec_websocket_version="")),
        (400, head(sec_websocket_key="")),
        (400, head(sec_websocket_key="c2hvcnQ=")),
        (400, head(sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ==x")),
        (400, head(sec_websocket_key="d\N{LATIN SMALL LETTER U WITH DIAERESIS}")),
    ],
)
def test_a_bad_upgrade(status: int, changed: RequestHead) -> None:
    problem = upgrade_problem(changed)
    assert problem is not None
    assert problem[0] == status
    assert problem[1]


@pytest.mark.parametrize("name", ["host", "upgrade", "connection", "sec-websocket-version", "sec-websocket-key"])
def test_what_stands_twice_is_no_upgrade(name: str) -> None:
    twice = RequestHead("GET", "/", "", (*UPGRADE.items(), (name, UPGRADE[name])), "1.1", False)
    assert upgrade_problem(twice) is not None
