"""A gRPC gateway in grpc.aio, written the obvious way: what a gRPC face of one's own has to compete with.

It does what opendmux does for a request that needs no decision, and nothing more: reads the FutuRequest, checks the
key by its SHA-256, sends the body in OpenD's framing over the one upstream connection, finds the answer by its serial
number, checks its digest, and puts it and its retType into a FutuResponse.

Usage: grpc_relay.py LISTEN_PORT UPSTREAM_PORT KEY (both on 127.0.0.1)
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path
from typing import Any

import grpc

sys.path[:0] = [str(Path(__file__).parents[1] / "src")]

from opendmux.cli._bench_frames import HEADER, INIT_CONNECT, build_frame, init_connect_body  # noqa: E402
from opendmux.wire.pb import futu, opend  # noqa: E402

SERVICE = "futu.service.FutuOpenD"
BEARER = "Bearer "


class Upstream(asyncio.Protocol):
    """The connection to the stub."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._open: dict[int, asyncio.Future[bytes]] = {}
        self._serial = 0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        sys.exit(f"upstream has closed: {exc}")

    def ask(self, proto_id: int, body: bytes) -> asyncio.Future[bytes]:
        self._serial += 1
        waiting = asyncio.get_running_loop().create_future()
        self._open[self._serial] = waiting
        self._transport.write(build_frame(proto_id, self._serial, body))
        return waiting

    def data_received(self, data: bytes) -> None:
        held = self._held
        held += data
        at = 0
        while len(held) - at >= HEADER.size:
            _, _, _, _, serial_no, length, digest = HEADER.unpack_from(held, at)
            end = at + HEADER.size + length
            if end > len(held):
                break
            body = bytes(held[at + HEADER.size : end])
            at = end
            waiting = self._open.pop(serial_no)
            if waiting.cancelled():
                continue  # its client has gone
            if hashlib.sha1(body).digest() == digest:
                waiting.set_result(body)
            else:
                waiting.set_exception(ValueError("the digest of the reply is wrong"))
        del held[:at]


class Gateway:
    def __init__(self, upstream: Upstream, key: str) -> None:
        self._upstream = upstream
        self._keys = {hashlib.sha256(key.encode()).digest(): "bench"}

    async def request(self, message: Any, context: Any) -> Any:
        shown = next((value for name, value in context.invocation_metadata() if name == "authorization"), "")
        if hashlib.sha256(shown.removeprefix(BEARER).encode()).digest() not in self._keys:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the key is not known here")
        body = await self._upstream.ask(message.proto_id, message.body)
        head = opend.ResponseHead.FromString(body)
        return futu.FutuResponse(ret_type=head.retType, ret_msg=head.retMsg, proto_id=message.proto_id, body=body)


async def main(port: int, upstream_port: int, key: str) -> None:
    _, upstream = await asyncio.get_running_loop().create_connection(Upstream, "127.0.0.1", upstream_port)
    await upstream.ask(INIT_CONNECT, init_connect_body())
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        Gateway(upstream, key).request,
        request_deserializer=futu.FutuRequest.FromString,
        response_serializer=futu.FutuResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Request": handler}),))
    if server.add_insecure_port(f"127.0.0.1:{port}") != port:
        sys.exit(f"cannot listen on port {port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
