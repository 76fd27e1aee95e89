"""One connection to the gRPC face on memory streams: h2 as the client, and a proxy that is made up."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_pair, wait_all_tasks_blocked

from opendmux.runtime.transports.grpc import GrpcLimits, serve_grpc
from opendmux.wire.pb import futu, grpc_status
from tests.wire.grpc_kit import Client, Headers, Seen

from .grpc_kit import KEY, OK_BODY, FakeBackend, FakeStream

PUSH = "/futu.service.FutuOpenD/SubscribePush"
BEARER = [("authorization", f"Bearer {KEY}")]

MemoryStream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


@dataclass
class World:
    backend: FakeBackend
    client: Client
    stream: MemoryStream
    server_stream: MemoryStream
    draining: trio.Event
    over: trio.Event = field(default_factory=trio.Event)
    serving: bool = True
    paused: bool = False
    inbox: bytearray = field(default_factory=bytearray)

    async def read(self) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while got := await self.stream.receive_some():
                self.inbox += got

    async def settle(self) -> None:
        """Bytes to and fro until both sides have nothing more to say, in no time at all."""
        while True:
            data = self.client.h2.data_to_send()
            if data:
                with contextlib.suppress(trio.BrokenResourceError):
                    await self.stream.send_all(data)
            await wait_all_tasks_blocked()
            got = b""
            if not self.paused:
                got = bytes(self.inbox)
                self.inbox.clear()
                self.client.receive(got)
            if not data and not got:
                return

    async def wait(self, seconds: float) -> None:
        """So much time, in which the client answers pings."""
        until = trio.current_time() + seconds
        while trio.current_time() < until:
            await trio.sleep(min(10.0, until - trio.current_time()))
            await self.settle()

    async def ask(
        self, proto_id: int = 3004, body: bytes = OK_BODY, headers: Headers = (), *, settle: bool = True
    ) -> Seen:
        message = futu.FutuRequest(proto_id=proto_id, body=body).SerializeToString()
        seen = self.client.streams[self.client.call(message, headers)]
        if settle:
            await self.settle()
        return seen

    async def call(self, path: str, message: bytes = b"", headers: Headers = ()) -> Seen:
        seen = self.client.streams[self.client.call(message, headers, path=path)]
        await self.settle()
        return seen

    async def subscribe(self, headers: Headers = ()) -> tuple[Seen, FakeStream]:
        seen = await self.call(PUSH, b"", headers)
        return seen, self.backend.callers[-1].streams[-1]


@asynccontextmanager
async def world(
    *, limits: GrpcLimits | None = None, first: bytes = b"", window: int = 65_535, acknowledge: bool = True
) -> AsyncIterator[World]:
    client = Client(window=window, acknowledge=acknowledge)
    ours, theirs = memory_stream_pair()
    w = World(FakeBackend(), client, ours, theirs, trio.Event())
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await serve_grpc(
                theirs,
                first,
                w.backend,
                peer="127.0.0.1:5",
                local=True,
                serving=lambda: w.serving,
                limits=limits,
                draining=w.draining,
            )
            w.over.set()

        nursery.start_soon(serve)
        nursery.start_soon(w.read)
        await w.settle()
        yield w
        nursery.cancel_scope.cancel()


def replies(seen: Seen) -> list[futu.FutuResponse]:
    return [futu.FutuResponse.FromString(message) for message in seen.messages]


def events(seen: Seen) -> list[futu.PushEvent]:
    return [futu.PushEvent.FromString(message) for message in seen.messages]


def reason(seen: Seen) -> str:
    raw = seen.headers[-1]["grpc-status-details-bin"]
    whole = grpc_status.Status.FromString(base64.b64decode(raw + "=" * (-len(raw) % 4)))
    return grpc_status.ErrorInfo.FromString(whole.details[0].value).reason
