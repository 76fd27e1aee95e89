"""The client's side of a gRPC connection, on h2, for tests: joined back to back with `GrpcServer`."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import h2.events
from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.settings import SettingCodes, Settings

from opendmux.wire.grpc import GrpcServer
from opendmux.wire.grpc_events import Event
from opendmux.wire.grpc_guard import GrpcLimits
from opendmux.wire.grpc_status import OK

PATH = "/futu.service.FutuOpenD/Request"

Headers = Sequence[tuple[str, str]]


def framed(message: bytes, flag: int = 0) -> bytes:
    return struct.pack(">BI", flag, len(message)) + message


@dataclass
class Seen:
    """What the client has got on one stream."""

    headers: list[dict[str, str]] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: int | None = None

    @property
    def messages(self) -> list[bytes]:
        out, at = [], 0
        while at + 5 <= len(self.data):
            size = int.from_bytes(self.data[at + 1 : at + 5])
            out.append(bytes(self.data[at + 5 : at + 5 + size]))
            at += 5 + size
        return out

    @property
    def status(self) -> int | None:
        return int(self.headers[-1]["grpc-status"]) if self.ended and "grpc-status" in self.headers[-1] else None


class Client:
    """h2 as a client. ``window``: what it lets the server send per stream and (together) per connection."""

    def __init__(self, *, window: int = 65_535, connection_window: int = 65_535, acknowledge: bool = True) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.local_settings = Settings(client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.h2.initiate_connection()
        if connection_window > 65_535:
            self.h2.increment_flow_control_window(connection_window - 65_535)
        self.acknowledge = acknowledge
        self.streams: dict[int, Seen] = {}
        self.goaways: list[h2.events.ConnectionTerminated] = []
        self.pings: list[bytes] = []
        self.unsent: dict[int, tuple[bytes, bool]] = {}

    def open(self, headers: Headers = (), *, path: str = PATH, method: str = "POST", end: bool = False) -> int:
        stream_id = self.h2.get_next_available_stream_id()
        own = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "localhost")]
        if not any(name == "content-type" for name, _ in headers):
            own.append(("content-type", "application/grpc"))
        self.h2.send_headers(stream_id, [*own, ("te", "trailers"), *headers], end_stream=end)
        self.streams[stream_id] = Seen()
        return stream_id

    def send(self, stream_id: int, data: bytes, *, end: bool = True) -> None:
        """Queue bytes for a stream; they go as the windows allow."""
        assert stream_id not in self.unsent
        self.unsent[stream_id] = (data, end)
        self.push()

    def call(self, message: bytes, headers: Headers = (), *, path: str = PATH) -> int:
        stream_id = self.open(headers, path=path)
        self.send(stream_id, framed(message))
        return stream_id

    def push(self) -> None:
        for stream_id, (unsent, end) in list(self.unsent.items()):
            data = unsent
            while True:
                if stream_id not in self.h2.streams or self.h2.streams[stream_id].closed:
                    del self.unsent[stream_id]
                    break
                size = min(len(data), self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size)
                if size <= 0 and data:
                    self.unsent[stream_id] = (data, end)
                    break
                self.h2.send_data(stream_id, data[:size], end_stream=end and size == len(data))
                data = data[size:]
                if not data:
                    del self.unsent[stream_id]
                    break

    def receive(self, data: bytes) -> None:
        while data:
            size = 9 + int.from_bytes(data[:3])
            frame, data = data[:size], data[size:]
            self._receive_frame(frame)
        self.push()

    def _receive_frame(self, frame: bytes) -> None:
        for event in self.h2.receive_data(frame):
            match event:
                case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                    pairs = [(str(name), str(value)) for name, value in event.headers]
                    self.streams[event.stream_id].headers.append(dict(pairs))
                case h2.events.DataReceived():
                    self.streams[event.stream_id].data += event.data
                    if self.acknowledge:
                        self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamEnded(stream_id=stream_id):
                    self.streams[stream_id].ended = True
                case h2.events.StreamReset():
                    self.streams[event.stream_id].reset = int(event.error_code)
                case h2.events.ConnectionTerminated():
                    self.goaways.append(event)
                    # h2 would say nothing more; real clients let their calls end.
                    self.h2.state_machine.state = ConnectionState.CLIENT_OPEN
                case h2.events.PingAckReceived():
                    self.pings.append(event.ping_data)


class Pair:
    """Both ends, and the clock."""

    def __init__(self, limits: GrpcLimits | None = None, **client: int) -> None:
        self.server = GrpcServer(limits or GrpcLimits())
        self.client = Client(**client)  # type: ignore[arg-type]
        self.now = 0.0
        self.log: list[Event] = []
        self.exchange()

    def exchange(self) -> list[Event]:
        """Bytes to and fro until nobody has anything to say; returns what the server has been told."""
        told: list[Event] = []
        while True:
            up = self.client.h2.data_to_send()
            if up:
                self.server.receive_untrusted(up, self.now)
            told += self.server.events()
            down = self.server.data_to_send()
            told += self.server.events()
            if down:
                self.client.receive(down)
            if not up and not down:
                self.log += told
                return told

    def raw(self, data: bytes) -> list[Event]:
        self.server.receive_untrusted(data, self.now)
        return self.exchange()


def answer(pair: Pair, stream_id: int, message: bytes = b"reply") -> None:
    pair.server.send_message(stream_id, message)
    pair.server.finish(stream_id, OK)
    pair.exchange()


def http2_frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream_id.to_bytes(4) + payload
