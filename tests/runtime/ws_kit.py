"""WebSocket clients on memory streams."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import h11
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from opendmux.wire.frame import Frame, Splitter, build_frame
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend

from .world import MemoryStream, World

Headers = Sequence[tuple[str, str]]
UPGRADE = [
    ("host", "localhost"),
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
]


@dataclass(frozen=True)
class Told:
    """A message to the SDK."""

    cmd: int
    section: int
    error: int
    errmsg: str
    body: bytes

    @property
    def head(self) -> tuple[int, str]:
        response = opend.ResponseHead.FromString(self.body)
        return response.retType, response.retMsg


class WsClient:
    """One WebSocket, in either dialect."""

    def __init__(self, ws: WebSocketConnection, far_end: MemoryStream) -> None:
        self.ws = ws
        self.far_end = far_end
        """The proxy's end, for its hooks."""
        self._section = 1

    # -- ft-v1.0

    async def ask(self, cmd: int, body: bytes = b"", *, section: int | None = None) -> int:
        self._section += 1
        number = self._section if section is None else section
        await self.ws.send_message(b"ft-v1.0\0" + cmd.to_bytes(4) + number.to_bytes(8) + body)
        return number

    async def told(self) -> Told:
        message = await self.ws.get_message()
        assert isinstance(message, bytes)
        assert message[:8] == b"ft-v1.0\0"
        number = int.from_bytes
        text = message[24:44].decode("ascii").rstrip("\0")
        return Told(
            number(message[8:12]), number(message[12:20]), number(message[20:24], signed=True), text, message[44:]
        )

    async def call(self, cmd: int, body: bytes = b"") -> Told:
        section = await self.ask(cmd, body)
        while (told := await self.told()).section != section:
            pass
        return told

    async def init(self, **fields: object) -> Told:
        c2s = opend.InitWebSocketC2S(programmingLanguage="JavaScript", **fields)  # type: ignore[arg-type]
        return await self.call(1, encode(opend.InitWebSocketRequest(c2s=c2s)))

    # -- FT

    async def send_frame(self, proto_id: int, serial_no: int, body: bytes = b"") -> None:
        await self.ws.send_message(build_frame(proto_id, 0, serial_no, body))

    async def frame(self) -> Frame:
        message = await self.ws.get_message()
        assert isinstance(message, bytes)
        (frame,) = Splitter(2**20).feed_untrusted(message)
        return frame

    # -- the end

    async def closed(self) -> tuple[int, str]:
        """Read to the end: code and reason."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.ws.get_message()
        reason = self.ws.closed
        assert reason is not None
        return reason.code, reason.reason or ""

    async def nothing_comes(self, seconds: float = 1.0) -> bool:
        with trio.move_on_after(seconds):
            await self.ws.get_message()
            return False
        return True


@asynccontextmanager
async def connected(w: World, target: str = "/", headers: Headers = ()) -> AsyncIterator[WsClient]:
    ours, theirs = await w.listener.connect()
    async with trio.open_nursery() as nursery:
        extra = [(name.encode(), value.encode()) for name, value in headers]
        ws = await wrap_client_stream(nursery, ours, "localhost", target, extra_headers=extra)  # type: ignore[arg-type]
        yield WsClient(ws, theirs)
        nursery.cancel_scope.cancel()
        await trio.aclose_forcefully(ours)


async def asked(
    w: World, target: str = "/", *, headers: Headers = (), base: Headers = UPGRADE
) -> tuple[int, dict[str, str], bytes]:
    """The answer to an upgrade: status, headers, and the body unless it is granted."""
    stream, _ = await w.listener.connect()
    client = h11.Connection(h11.CLIENT)
    request = h11.Request(method="GET", target=target, headers=[*base, *headers])
    await stream.send_all((client.send(request) or b"") + (client.send(h11.EndOfMessage()) or b""))
    status, fields, body = 0, {}, b""
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            client.receive_data(bytes(await stream.receive_some()))
        elif isinstance(event, h11.Response | h11.InformationalResponse):
            status = event.status_code
            fields = {name.decode(): value.decode() for name, value in event.headers}
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
            await trio.aclose_forcefully(stream)
            return status, fields, body
