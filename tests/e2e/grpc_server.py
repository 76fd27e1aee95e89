"""The gRPC face alone on a free loopback port, with a made-up proxy behind it. Prints ``port N``; drains on SIGTERM.

What a request gets depends on its proto_id: 3006 no answer at all, 3012 an answer during the drain, 3008 a reply of as
many zero bytes as its body says, 3010 a refusal with a retry delay, 3100 the server's counters as JSON in ret_msg,
anything else its own body.
"""

from __future__ import annotations

import json
import resource
import signal
from functools import partial
from pathlib import Path

import trio

from opendmux.core.denial import Denial, DenialKind
from opendmux.core.events import PushEvent
from opendmux.runtime.backend import Answer
from opendmux.runtime.transports.grpc import GrpcTimes, serve_grpc
from tests.runtime.grpc_kit import Asked, FakeBackend, FakeStream, quote

FLOOD = "fc_" + "f" * 64
FLOOD_EVENTS = 20_000
FLOOD_BYTES = 4000
FLOOD_CODES = 50
LIMITED = Denial(DenialKind.LIMIT, "rate", "zu viele Aufträge: 5 in a minute", "", 12.5)
SLOW = Denial(DenialKind.LIMIT, "slow", "the stream was too slow")


def memory_kib() -> int:
    """Resident now; where that can't be seen, the most there ever was."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Server:
    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.backend = FakeBackend()
        self.backend.keys[FLOOD] = "flood"
        self.backend.answers = self.answer
        self.backend.on_stream = self.on_stream
        self.streams: list[FakeStream] = []
        self.waiting: list[Asked] = []
        self.draining = trio.Event()

    def answer(self, asked: Asked) -> None:
        match asked.proto_id:
            case 3006:
                pass
            case 3012:
                self.waiting.append(asked)
                print("waiting", flush=True)
            case 3008:
                asked.answer(Answer(0, "", bytes(int.from_bytes(asked.body[-4:]))))
            case 3010:
                asked.answer(Answer(-1, "", b"", LIMITED))
            case 3100:
                asked.answer(Answer(0, json.dumps(self.counters()), b""))
            case _:
                asked.answer(Answer(0, "", asked.body))

    def counters(self) -> dict[str, int]:
        return {
            "asked": self.backend.asked,
            "dropped": self.backend.dropped,
            "taken": sum(stream.taken for stream in self.streams),
            "conflated": sum(stream.conflated for stream in self.streams),
            "closed": sum(stream.closed for stream in self.streams),
            "memory_kib": memory_kib(),
        }

    def on_stream(self, stream: FakeStream) -> None:
        self.streams.append(stream)
        if self.backend.callers[-1].key_id == "flood":
            self.nursery.start_soon(self.flood, stream)
        else:
            stream.put(quote("00700", 1))
            stream.put(PushEvent(2208, "1_00700", 0, b"order", "trade", 2**63 + 1))

    async def flood(self, stream: FakeStream) -> None:
        for value in range(FLOOD_EVENTS):
            stream.put(quote(f"{value % FLOOD_CODES:05}", value, FLOOD_BYTES))
            if value % 50 == 0:
                await trio.sleep(0.002)
        stream.end(SLOW)

    async def serve(self, stream: trio.SocketStream) -> None:
        await serve_grpc(
            stream,
            b"",
            self.backend,
            peer="a client",
            local=True,
            times=GrpcTimes(goodbye_s=30),  # the machine may be busy
            draining=self.draining,
        )


async def main() -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as sessions:
            server = Server(sessions)
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            async with trio.open_nursery() as accepting:
                serve = partial(trio.serve_listeners, server.serve, listeners, handler_nursery=sessions)
                accepting.start_soon(serve)
                print("port", listeners[0].socket.getsockname()[1], flush=True)
                async for _ in signals:
                    break
                accepting.cancel_scope.cancel()
            server.draining.set()
            sessions.cancel_scope.deadline = trio.current_time() + 10
            await trio.sleep(0.3)  # the clients have seen the GOAWAY
            for asked in server.waiting:
                asked.answer(Answer(0, "", asked.body))
    print("drained", flush=True)


if __name__ == "__main__":
    trio.run(main)
