"""OpenD's WebSocket: the dialect ``ft-v1.0`` of the JavaScript SDK, and what a program may ask of an upgrade. Sans-IO.

One binary message is one protocol message, all integers big-endian. A request has a head of 20 bytes (sign, cmd,
section), an answer one of 44 (the same, an error number, 20 characters of text). ``cmd`` is a proto_id but for two:
1 is Init, which says who the client is; 2 says that OpenD is gone. ``section`` numbers the requests; a push has 0.

Facts about the SDK that are built in here. It reads the text as 20 characters, so anything but ASCII would shift the
body. An answer without a body never settles its promise, so every answer has one. It looks at the error number of
Init alone, and an error there stops it for good.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass, field
from typing import Final

from opendmux.errors import RemoteProtocolError

from .frame import HEADER_LEN, ProtoFmt, RetType, build_frame
from .http import RequestHead
from .messages import decode_untrusted, encode, head_untrusted, ret_body
from .pb import opend

__all__ = [
    "INIT",
    "REPLY_HEAD",
    "REQUEST_HEAD",
    "SIGN",
    "UPSTREAM_LOST",
    "WS_REFUSED",
    "Sections",
    "WsHello",
    "WsReply",
    "WsRequest",
    "build_reply",
    "init_reply",
    "is_upgrade",
    "numbered_push",
    "own_upgrade",
    "parse_request_untrusted",
    "upgrade_problem",
    "ws_hello_untrusted",
]

SIGN: Final = b"ft-v1.0\0"
_REQUEST: Final = struct.Struct(">8sIQ")
_REPLY: Final = struct.Struct(">8sIQi20s")
REQUEST_HEAD: Final = _REQUEST.size
REPLY_HEAD: Final = _REPLY.size

INIT: Final = 1
UPSTREAM_LOST: Final = 2

WS_REFUSED: Final = -1
"""The error number of an Init that is turned away."""

NAME_SHOWN: Final = 80
NUMBER_BYTES: Final = 8
"""At the end of an FT header, reserved by OpenD and zero there."""
FIRST_SERIAL: Final = 1 << 31
"""Serial numbers of the SDK's requests. Pushes keep OpenD's own, which begin low."""


@dataclass(frozen=True, slots=True)
class WsRequest:
    """A message of the SDK."""

    cmd: int
    section: int
    body: bytes


@dataclass(frozen=True, slots=True)
class WsReply:
    """A message to the SDK: an answer, or a push in section 0."""

    cmd: int
    section: int
    body: bytes
    error: int = 0
    errmsg: str = ""


@dataclass(frozen=True, slots=True)
class WsHello:
    """What a client says in Init."""

    md5: str
    """MD5 of its key in hex; empty when it shows none."""
    client_id: str
    language: str
    ignored: str
    """What it asks for that only OpenD's own service may do, for the log; empty: nothing. Never the key."""


def parse_request_untrusted(message: bytes) -> WsRequest:
    """Read one message of the SDK."""
    if len(message) < REQUEST_HEAD:
        raise RemoteProtocolError(f"a message of {len(message)} bytes has no ft-v1.0 head")
    sign, cmd, section = _REQUEST.unpack_from(message)
    if sign != SIGN:
        raise RemoteProtocolError("the message does not begin with ft-v1.0")
    return WsRequest(cmd, section, message[REQUEST_HEAD:])


def build_reply(reply: WsReply) -> bytes:
    """One message to the SDK. The text is cut, and what is not ASCII in it becomes a question mark."""
    text = reply.errmsg.encode("ascii", "replace").replace(b"\0", b"?")[:20]
    return _REPLY.pack(SIGN, reply.cmd, reply.section, reply.error, text) + reply.body


def ws_hello_untrusted(body: bytes) -> WsHello:
    """Read InitWebSocket."""
    c2s = decode_untrusted(opend.InitWebSocketRequest, body, 0).c2s
    ignored = [f"OpenD at {c2s.IP[:NAME_SHOWN]!a}"] if c2s.IP else []
    ignored += [f"port {c2s.Port}"] if c2s.Port else []
    ignored += ["an RSA private key"] if c2s.RSAPrivateKey else []
    return WsHello(
        c2s.websocketKey, c2s.clientID[:NAME_SHOWN], c2s.programmingLanguage[:NAME_SHOWN], " and ".join(ignored)
    )


def init_reply(*, conn_id: int, wall_time: int) -> bytes:
    """The body of the answer to an Init that is accepted. ``wall_time`` in UTC seconds."""
    s2c = opend.InitWebSocketS2C(serverTime=wall_time, connID=conn_id)
    return encode(opend.InitWebSocketResponse(retType=0, s2c=s2c))


# -- pushes that can be asked for again


def numbered_push(proto_id: int, body: bytes, number: int) -> bytes:
    """An FT frame of a push whose reserved bytes say which event it is (64 bits, little-endian; 0: it has no number).
    Whoever does not look there reads it as any other."""
    frame = build_frame(proto_id, ProtoFmt.PROTOBUF, 0, body)
    return frame[: HEADER_LEN - NUMBER_BYTES] + number.to_bytes(NUMBER_BYTES, "little") + frame[HEADER_LEN:]


# -- the upgrade


def is_upgrade(head: RequestHead) -> bool:
    """The request asks for a WebSocket, rightly or not."""
    return any("websocket" in _words(value) for value in head.all("upgrade"))


def upgrade_problem(head: RequestHead) -> tuple[int, str] | None:
    """Why a request for a WebSocket can't be granted: (status, text)."""
    if head.method != "GET" or head.version != "1.1" or head.has_body:
        return 400, "a WebSocket begins with a GET of HTTP/1.1 without a body"
    if not any("upgrade" in _words(value) for value in head.all("connection")):
        return 400, "a WebSocket needs the header Connection: Upgrade"
    if head.get("upgrade") is None or head.get("host") is None or len(head.all("connection")) != 1:
        return 400, "the headers Host, Upgrade and Connection must stand there once"
    if head.get("sec-websocket-version") != "13":
        return 426, "this proxy speaks version 13 of WebSocket"
    try:
        nonce = base64.b64decode(head.get("sec-websocket-key") or "", validate=True)
    except (binascii.Error, ValueError):
        nonce = b""
    return None if len(nonce) == 16 else (400, "Sec-WebSocket-Key must be 16 bytes in base64")


def own_upgrade(head: RequestHead) -> bytes:
    """A request that can be granted, in our own words, for a library that wants to read one. In the client's there may
    be headers that it trips over: a list of extensions that is not ASCII, a Host that is no name in IDNA."""
    nonce = head.get("sec-websocket-key")
    return (
        "GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        f"sec-websocket-version: 13\r\nsec-websocket-key: {nonce}\r\n\r\n"
    ).encode("ascii")


def _words(value: str) -> list[str]:
    return [word.strip().lower() for word in value.split(",")]


# -- requests and their answers


@dataclass(slots=True)
class Sections:
    """What the SDK's requests are called on either side, while they wait for an answer. They have no serial number, and
    their sections are the client's own choice."""

    serial_no: int = FIRST_SERIAL - 1
    open: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    """(proto_id, serial_no) -> (cmd, section)."""

    def add(self, proto_id: int, cmd: int, section: int) -> int:
        self.serial_no = FIRST_SERIAL + (self.serial_no + 1) % FIRST_SERIAL
        self.open[proto_id, self.serial_no] = (cmd, section)
        return self.serial_no

    def message_of(self, frame: bytes) -> bytes:
        """A frame of the outbox as the SDK wants it."""
        proto_id, serial_no = int.from_bytes(frame[2:6], "little"), int.from_bytes(frame[8:12], "little")
        body = frame[HEADER_LEN:] or ret_body(ProtoFmt.PROTOBUF, RetType.FAILED, "OpenD's answer was empty")
        cmd, section = self.open.pop((proto_id, serial_no), (proto_id, 0))
        if cmd == INIT and head_untrusted(body, ProtoFmt.PROTOBUF)[0] != RetType.SUCCEED:
            return build_reply(WsReply(cmd, section, body, WS_REFUSED, "login was refused"))
        return build_reply(WsReply(cmd, section, body))
