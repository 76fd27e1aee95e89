"""Whatever both sides do, in whatever order: nothing of ours breaks, and the books are even at the end."""

from __future__ import annotations

import contextlib
import gzip

from h2.stream import StreamState
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.errors import RemoteProtocolError
from opendmux.wire.grpc_guard import GrpcLimits
from opendmux.wire.grpc_status import OK, Code, Status

from .grpc_kit import Pair, framed

LIMITS = GrpcLimits(max_streams=6, request_bytes=300_000, request_budget_bytes=400_000)
OPERATIONS = [
    "call", "open", "large", "bomb", "end", "client reset", "half frame", "bad gzip", "window", "tiny window", "goaway",
    "accept", "send", "send large", "finish", "fail", "discard", "server reset", "room", "drain", "ping", "exchange",
    "exchange", "garbage",
]  # fmt: skip


def act(pair: Pair, name: str, n: int) -> None:
    client, server = pair.client, pair.server
    ids = list(client.streams) or [1]
    stream_id = ids[n % len(ids)]
    if name in ("end", "client reset", "half frame", "bad gzip"):
        stream = client.h2.streams.get(stream_id)
        states = (StreamState.OPEN, StreamState.HALF_CLOSED_REMOTE)
        if stream is None or stream.state_machine.state not in states or stream_id in client.unsent:
            return  # the client's own h2 would refuse it
        if client.h2.local_flow_control_window(stream_id) < 105:
            return
    match name:
        case "call":
            if client.h2.open_outbound_streams < LIMITS.max_streams:
                client.call(bytes(n * 10))
        case "open":
            if client.h2.open_outbound_streams < LIMITS.max_streams:
                client.open([("grpc-encoding", "gzip")] if n % 2 else [])
        case "large":
            if client.h2.open_outbound_streams < LIMITS.max_streams:
                client.call(bytes(n * 3000))
        case "bomb":
            if client.h2.open_outbound_streams < LIMITS.max_streams:
                client.send(client.open([("grpc-encoding", "gzip")]), framed(gzip.compress(bytes(n * 3000)), 1))
        case "end":
            client.h2.end_stream(stream_id)
        case "client reset":
            client.h2.reset_stream(stream_id, 8)
        case "half frame":
            client.h2.send_data(stream_id, framed(bytes(100))[: n % 100])
        case "bad gzip":
            client.h2.send_data(stream_id, framed(b"no gzip", 1))
        case "window":
            known = n % 2 and stream_id in client.h2.streams and not client.h2.streams[stream_id].closed
            client.h2.increment_flow_control_window(n * 1000 + 1, stream_id if known else None)
        case "tiny window":
            client.h2.update_settings({4: n})
        case "goaway":
            server.receive_untrusted(b"\0\0\x08\x07\0\0\0\0\0" + bytes(8), 0)
        case "accept":
            server.accept(stream_id)
        case "send":
            server.send_message(stream_id, bytes(n))
        case "send large":
            server.send_message(stream_id, bytes(n * 3000))
        case "finish":
            server.finish(stream_id, OK)
        case "fail":
            server.finish(stream_id, Status(Code.INTERNAL, "no", "because"))
        case "discard":
            server.finish(stream_id, OK, discard=True)
        case "server reset":
            server.reset(stream_id)
        case "room":
            assert server.room(stream_id) >= 0
        case "drain":
            server.drain()
        case "ping":
            server.ping()
        case "exchange":
            pair.exchange()
        case "garbage" if n == 77:
            server.receive_untrusted(bytes([n]) * n, 0)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 100)), max_size=40), st.booleans())
def test_any_life(operations: list[tuple[str, int]], acknowledge: bool) -> None:
    pair = Pair(LIMITS, acknowledge=acknowledge)
    with contextlib.suppress(RemoteProtocolError):
        for name, n in operations:
            act(pair, name, n)
        pair.exchange()
        for stream_id in list(pair.client.streams):
            pair.server.finish(stream_id, OK, discard=True)
        pair.exchange()
    assert pair.server.queued_bytes == 0
    assert not pair.server.finishing()
    if not pair.server._failed:
        assert pair.server._windows.budget._used == 0
        assert not pair.server._streams
