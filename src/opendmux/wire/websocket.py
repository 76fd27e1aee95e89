"""OpenD's WebSocket: the dialect ``ft-v1.0`` of the JavaScript SDK, and what a program may ask of an upgrade. Sans-IO.

One binary message is one protocol message, all integers big-endian. A request has a head of 20 bytes (sign, cmd,
section), an answer one of 44 (the same, an error number, 20 characters of text). ``cmd`` is a proto_id but for two:
1 is Init, which says who the client is; 2 says that OpenD is gone. ``section`` numbers the requests; a push has 0.

Facts about the SDK that are built in here. It reads the text as 20 characters, so anything but ASCII would shift the
body. An answer without a body never settles its promise, so every answer has one. It looks at the error number of
Init alone, and an error there stops it for good.

`MessageGuard` walks along the frames of a WebSocket before a library takes them apart, because a message must be
bounded when it is announced, and not when it has been put together.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from typing import Final

from opendmux.errors import RemoteProtocolError

from .http import RequestHead
from .messages import decode_untrusted, encode
from .pb import opend

__all__ = [
    "INIT",
    "REPLY_HEAD",
    "REQUEST_HEAD",
    "SIGN",
    "UPSTREAM_LOST",
    "WS_REFUSED",
    "CloseCode",
    "MessageGuard",
    "WsHello",
    "WsReply",
    "WsRequest",
    "build_reply",
    "close_frame",
    "init_reply",
    "is_upgrade",
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
FRAMES_MAX: Final = 4096
"""Pieces of one message. Libraries send a large message in a handful; a million empty ones would be an attack."""


class CloseCode:
    """Why a WebSocket is closed (RFC 6455, 7.4.1)."""

    NORMAL: Final = 1000
    GOING_AWAY: Final = 1001
    PROTOCOL_ERROR: Final = 1002
    UNSUPPORTED: Final = 1003
    POLICY: Final = 1008
    TOO_BIG: Final = 1009
    INTERNAL: Final = 1011
    RESTART: Final = 1012


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


# -- the upgrade


def is_upgrade(head: RequestHead) -> bool:
    """The request asks for a WebSocket, rightly or not."""
    return any("websocket" in _words(value) for value in head.all("upgrade"))


def upgrade_problem(head: RequestHead) -> tuple[int, str] | None:
    """Why a request for a WebSocket can't be granted: (status, text). What passes here, every library accepts."""
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


def _words(value: str) -> list[str]:
    return [word.strip().lower() for word in value.split(",")]


# -- frames


def close_frame(code: int, reason: str) -> bytes:
    """A server's close frame. The reason is cut to what one frame may hold."""
    text = cut(reason).encode()
    return bytes([0x88, 2 + len(text)]) + code.to_bytes(2, "big") + text


def cut(reason: str) -> str:
    """So much of the text as a close frame may hold: 123 bytes of UTF-8."""
    return reason.encode("utf-8", "replace")[:123].decode("utf-8", "ignore")


class MessageGuard:
    """Follows the frames of a client, which are masked. ``limit``: the largest message, in bytes; it may be changed at
    any time and counts from the next frame head on."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._head = bytearray()
        self._skip = 0
        """Payload that is still to come of the present frame."""
        self._frames = 0
        """Of the present message."""
        self.size = 0
        """Bytes announced of the message that is not complete; 0 between two messages."""
        self._fin = True

    def feed_untrusted(self, data: bytes | bytearray) -> None:
        """Look at a chunk. Raises RemoteProtocolError for a message over the limit; nothing may be fed after that."""
        at, end = 0, len(data)
        while at < end:
            if self._skip:
                step = min(self._skip, end - at)
                self._skip -= step
                at += step
            else:
                self._head.append(data[at])
                at += 1
                if len(self._head) < 2 or len(self._head) < self._head_len():
                    continue
                self._begin_untrusted()
            if not self._skip and not self._head and self._fin:
                self.size = self._frames = 0

    def _head_len(self) -> int:
        code = self._head[1] & 0x7F
        return 2 + (2 if code == 126 else 8 if code == 127 else 0) + (4 if self._head[1] & 0x80 else 0)

    def _begin_untrusted(self) -> None:
        head, code = self._head, self._head[1] & 0x7F
        length = int.from_bytes(head[2:4]) if code == 126 else int.from_bytes(head[2:10]) if code == 127 else code
        control = bool(head[0] & 0x08)
        fin = bool(head[0] & 0x80)
        head.clear()
        self._skip = length
        if control:
            return
        self._fin = fin
        self.size += length
        self._frames += 1
        if self.size > self.limit:
            raise RemoteProtocolError(f"a message of {self.size} bytes; at most {self.limit} are taken here")
        if self._frames > FRAMES_MAX:
            raise RemoteProtocolError(f"a message in more than {FRAMES_MAX} pieces")
