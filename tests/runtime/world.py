"""A proxy with memory streams on both sides: tests play OpenD and the clients, on the mock clock, without a port."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec
import trio
import trio.testing

from opendmux.config import PROTOCOLS, Config, ProtocolName, WatchConfig
from opendmux.runtime.door import Plain
from opendmux.runtime.house import House
from opendmux.runtime.operator import Member
from opendmux.runtime.server import Face, Proxy, run_proxy
from opendmux.runtime.station import Reach
from opendmux.wire.frame import Frame, Splitter, build_frame
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

MemoryStream: TypeAlias = "trio.StapledStream[trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream]"

MAX_BODY = 64 * 1024 * 1024
UPSTREAM_CONN_ID = 0x1234_5678_9ABC_DEF0
OK = ret_body(0, 0)
QUIET = WatchConfig(ask_s=0)
"""OpenD is not asked how it is, so its log holds what the test has sent."""


class MemoryListener(trio.abc.Listener[trio.StapledStream[trio.abc.SendStream, trio.abc.ReceiveStream]]):
    """A listener that clients reach with `connect`."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.abc.Stream](100)

    async def accept(self) -> trio.abc.Stream:  # type: ignore[override]
        return await self._receive.receive()

    async def connect(self) -> tuple[MemoryStream, MemoryStream]:
        """Both ends of a new connection, the client's first."""
        ours, theirs = trio.testing.memory_stream_pair()
        await self._send.send(theirs)
        return ours, theirs

    async def aclose(self) -> None:
        self._send.close()
        await trio.lowlevel.checkpoint()


class Peer:
    """One end of a frame stream."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._splitter = Splitter(MAX_BODY)
        self._ready: deque[Frame] = deque()

    async def send(self, proto_id: int, serial_no: int, body: bytes, *, proto_fmt: int = 0) -> None:
        await self.stream.send_all(build_frame(proto_id, proto_fmt, serial_no, body))

    async def receive(self) -> Frame:
        """The next frame; raises EndOfChannel when the stream ended at a frame boundary."""
        while not self._ready:
            data = await self.stream.receive_some(65536)
            if not data:
                assert self._splitter.pending == 0, "closed in the middle of a frame"
                raise trio.EndOfChannel
            self._ready.extend(self._splitter.feed_untrusted(data))
        return self._ready.popleft()

    async def read_to_the_end(self) -> int:
        """How many frames come before the peer closes, which must be at a frame boundary."""
        count = 0
        try:
            while True:
                await self.receive()
                count += 1
        except trio.EndOfChannel:
            return count

    async def nothing_comes(self, seconds: float = 1.0) -> bool:
        """True when no frame arrives for so long (on the mock clock)."""
        with trio.move_on_after(seconds):
            self._ready.appendleft(await self.receive())
            return False
        return True


class Client(Peer):
    """A client of the proxy."""

    def __init__(self, stream: trio.abc.Stream, far_end: MemoryStream) -> None:
        super().__init__(stream)
        self.far_end = far_end
        """The proxy's end, for its hooks."""
        self.serial_no = 100
        self.conn_id = 0

    async def request(self, proto_id: int, body: bytes, *, proto_fmt: int = 0) -> int:
        """Send, do not wait; returns the serial."""
        self.serial_no += 1
        await self.send(proto_id, self.serial_no, body, proto_fmt=proto_fmt)
        return self.serial_no

    async def call(self, proto_id: int, body: bytes) -> Frame:
        """Send and wait for this very reply; pushes in between are lost."""
        serial_no = await self.request(proto_id, body)
        while True:
            frame = await self.receive()
            if (frame.proto_id, frame.serial_no) == (proto_id, serial_no):
                return frame

    async def init(
        self, client_id: str = "test", *, recv_notify: bool = False, push_proto_fmt: int = 0
    ) -> opend.InitConnectS2C:
        c2s = opend.InitConnectC2S(
            clientVer=300,
            clientID=client_id,
            recvNotify=recv_notify,
            packetEncAlgo=-1,
            pushProtoFmt=push_proto_fmt,
        )
        frame = await self.call(ProtoId.INIT_CONNECT, encode(opend.InitConnectRequest(c2s=c2s)))
        response = opend.InitConnectResponse.FromString(frame.body)
        assert response.retType == 0
        self.conn_id = response.s2c.connID
        return response.s2c


@dataclass
class OpenD:
    """Upstream, played by the test: it answers 1001, 1004 and what `answers` holds; the rest waits in `requests`."""

    nursery: trio.Nursery
    answers: dict[int, Callable[[Frame], bytes | None]] = field(default_factory=dict)
    up: bool = True
    connections: int = 0
    log: list[Frame] = field(default_factory=list)
    """Every frame but InitConnect and KeepAlive, in order."""
    peer: Peer | None = None
    """Of the newest connection."""
    peers: list[Peer] = field(default_factory=list)
    inits: list[opend.InitConnectC2S] = field(default_factory=list)
    """What each connection said in InitConnect."""
    origins: dict[int, Peer] = field(default_factory=dict)
    """By id() of a frame in `log`: the connection it came by."""

    def __post_init__(self) -> None:
        self._waiting, self.requests = trio.open_memory_channel[Frame](10000)

    async def dial(self) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        if not self.up:
            raise ConnectionRefusedError(111, "Connection refused")
        ours, theirs = trio.testing.memory_stream_pair()
        self.connections += 1
        self.peer = Peer(theirs)
        self.peers.append(self.peer)
        self.nursery.start_soon(self._serve, self.peer)
        return ours

    async def _serve(self, peer: Peer) -> None:
        try:
            while True:
                await self._one(peer, await peer.receive())
        except (trio.EndOfChannel, trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def _one(self, peer: Peer, frame: Frame) -> None:
        if frame.proto_id == ProtoId.INIT_CONNECT:
            self.inits.append(opend.InitConnectRequest.FromString(frame.body).c2s)
            s2c = opend.InitConnectS2C(
                serverVer=1009, loginUserID=77, connID=UPSTREAM_CONN_ID, connAESKey="0" * 16, keepAliveInterval=10
            )
            await peer.send(frame.proto_id, frame.serial_no, encode(opend.InitConnectResponse(retType=0, s2c=s2c)))
        elif frame.proto_id == ProtoId.KEEP_ALIVE:
            await peer.send(frame.proto_id, frame.serial_no, OK)
        else:
            self.log.append(frame)
            self.origins[id(frame)] = peer
            answer = self.answers.get(frame.proto_id)
            body = answer(frame) if answer else None
            if body is not None:
                await peer.send(frame.proto_id, frame.serial_no, body, proto_fmt=frame.proto_fmt)
            else:
                self._waiting.send_nowait(frame)

    async def reply(self, frame: Frame, body: bytes) -> None:
        await self.origins[id(frame)].send(frame.proto_id, frame.serial_no, body, proto_fmt=frame.proto_fmt)

    async def push(self, proto_id: int, body: bytes, *, connection: int = -1, proto_fmt: int = 0) -> None:
        await self.peers[connection].send(proto_id, 0, body, proto_fmt=proto_fmt)

    def sent_by(self, connection: int, proto_id: int) -> list[Frame]:
        """Requests that came by one connection (counted from 0)."""
        peer = self.peers[connection]
        return [f for f in self.log if f.proto_id == proto_id and self.origins[id(f)] is peer]

    async def drop(self) -> None:
        """End the connection; `up` decides whether the next one succeeds."""
        assert self.peer is not None
        await trio.aclose_forcefully(self.peer.stream)

    def bodies(self, proto_id: int) -> list[bytes]:
        return [frame.body for frame in self.log if frame.proto_id == proto_id]


@dataclass
class World:
    """The proxy under test, its upstream, and where clients connect."""

    proxy: Proxy
    opend: OpenD
    listener: MemoryListener

    async def connect(self) -> Client:
        return Client(*await self.listener.connect())

    async def client(self, client_id: str = "test", *, recv_notify: bool = False, push_proto_fmt: int = 0) -> Client:
        """Connected, InitConnect done, settled: pushes may come."""
        client = await self.connect()
        await client.init(client_id, recv_notify=recv_notify, push_proto_fmt=push_proto_fmt)
        await trio.sleep(0.2)
        return client


@asynccontextmanager
async def world(
    config: Config | None = None,
    *,
    up: bool = True,
    house: House | None = None,
    protocols: Sequence[ProtocolName] = PROTOCOLS,
    plain: Plain = Plain.ANYBODY,
    bound_to: str | None = None,
    asks: bool = False,
    consoles: Sequence[Member] = (),
) -> AsyncIterator[World]:
    """A running proxy on memory streams; ends without a drain. ``asks``: it asks OpenD how it is, as it does for
    users; see `QUIET`."""
    async with trio.open_nursery() as nursery:
        opend_double = OpenD(nursery, up=up)
        listener = MemoryListener()

        async def run(task_status: trio.TaskStatus[Proxy]) -> None:
            settings = config or Config()
            if not asks:
                settings = msgspec.structs.replace(settings, watch=QUIET)
            face = Face(
                Reach("opend.test:11111", opend_double.dial, consoles=consoles),
                settings,
                settings.on_outage,
                bound_to=bound_to,
                listeners=[listener],
                protocols=protocols,
                plain=plain,
            )
            await run_proxy([face], drain_s=settings.timeouts.drain_s, house=house, task_status=task_status)

        proxy = await nursery.start(run)
        if up:
            await proxy.listening.wait()
        yield World(proxy, opend_double, listener)
        nursery.cancel_scope.cancel(reason="test is over")
